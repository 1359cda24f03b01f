//! Writes the realm as a document.

use portunus_gateway::clock;
use portunus_gateway::secret::text::{Form, SecretText};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sqlx::Acquire as _;

use super::document::{Document, OfResource, Resource, Secrets};
use super::sealed::Sealed;
use super::{KINDS, tables};
use crate::api::error::ApiError;
use crate::audit::event::{Actor, NewEvent};
use crate::control::Control;
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;
use crate::token::keys;

/// The most resources of a kind.
const MOST: u64 = 1_000_000;

/// The realm as it is now. Without a passphrase its secrets are left out.
pub async fn export(control: &Control, passphrase: Option<String>, actor: Actor) -> Result<Document, ApiError> {
    let mut secrets = Secrets::default();
    let mut resources = Vec::new();
    for kind in KINDS.into_iter().filter_map(resource::by_kind) {
        let page = control.store.list(kind, &Filter { limit: MOST, ..Filter::default() }).await?;
        for row in page.rows {
            let (resource, own) = part(control, &row)?;
            resources.push(resource);
            if let Some(own) = own {
                secrets.resources.insert(row.id, own);
            }
        }
    }
    let has_secrets = passphrase.is_some();
    if has_secrets {
        beside(control, &mut secrets).await?;
    }
    let count = resources.len();
    let now = clock::now().to_string();
    let written = tokio::task::spawn_blocking(move || {
        Document::new(resources, now, |bound| {
            let plain = serde_json::to_vec(&secrets).expect("secrets serialise to JSON");
            passphrase.map(|passphrase| Sealed::seal(&plain, &passphrase, bound))
        })
    });
    let document = written.await.map_err(|_| ApiError::internal())?;
    let details = json!({ "resources": count, "secrets": has_secrets, "sha256": document.sha256 });
    control.store.record(vec![NewEvent::new(actor, "realm.exported").with(details)]).await.map_err(ApiError::store)?;
    Ok(document)
}

/// A resource, and what is secret of it.
fn part(control: &Control, row: &Row) -> Result<(Resource, Option<OfResource>), ApiError> {
    let mut spec = row.spec.clone();
    let mut own = OfResource::default();
    for field in row.kind.secrets {
        let Some(Value::String(text)) = spec.pointer(field.path) else { continue };
        // Where a secret is, is no secret.
        if !matches!(Form::of(text), Form::Sealed { .. }) {
            continue;
        }
        let secret = SecretText::deserialize(Value::from(text.as_str())).map_err(|_| ApiError::internal())?;
        let plain = control.store.keys.secrets.reveal(&secret, field.purpose).map_err(|error| {
            tracing::error!(target: "control", error = %error, resource = %row.id, "a secret cannot be opened");
            ApiError::internal()
        })?;
        own.sealed.insert(field.path.to_owned(), plain.to_string());
        remove(&mut spec, field.path);
    }
    let mut spec = match spec {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for hidden in row.kind.hidden {
        if let Some(value) = spec.remove(*hidden) {
            own.hidden.insert((*hidden).to_owned(), value);
        }
    }
    let has_secrets = !own.hidden.is_empty() || !own.sealed.is_empty();
    let resource =
        Resource { kind: row.kind.kind.to_owned(), id: row.id, tenant_id: row.tenant_id, name: row.name.clone(), spec };
    Ok((resource, has_secrets.then_some(own)))
}

/// Takes the value at a place away.
fn remove(value: &mut Value, path: &str) {
    if let Some((parent, field)) = path.rsplit_once('/')
        && let Some(Value::Object(fields)) = value.pointer_mut(parent)
    {
        fields.remove(field);
    }
}

/// Keys and tables.
async fn beside(control: &Control, secrets: &mut Secrets) -> Result<(), ApiError> {
    let mut db = control.store.readers().acquire().await?;
    // All of it as of one moment.
    let mut moment = db.begin().await?;
    let keyring = &control.store.keys.secrets;
    for mut key in keys::read(&mut moment).await? {
        key.private_key = key.open(keyring).ok_or_else(ApiError::internal)?;
        secrets.signing_keys.push(key);
    }
    for table in tables::TABLES {
        secrets.tables.insert(table.name.to_owned(), tables::read(&mut moment, table, keyring).await?);
    }
    Ok(())
}
