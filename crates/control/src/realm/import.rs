//! Reads a document into the store.
//!
//! Resources are found again by kind, tenant and name, so that a document fits onto a machine that has made its own first
//! accounts; what is new keeps its id. They are written in one commit, then keys and tables in one transaction: a document
//! that was read once more after a failure in between ends in the same state.

use std::collections::{HashMap, HashSet};

use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::document::{Document, Refused, Resource, Secrets};
use super::{KINDS, tables};
use crate::api::error::ApiError;
use crate::audit::event::{Actor, NewEvent};
use crate::control::Control;
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;
use crate::store::{Action, Change, Committed, Import, Op};
use crate::token::keys;

/// What happens to what is there and not in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It stays.
    #[default]
    Merge,
    /// Accounts, roles, tokens and providers go; tenants stay.
    Replace,
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let place = match refused {
            Refused::Passphrase | Refused::NeedsPassphrase => "/passphrase",
            Refused::Form(_) | Refused::Newer(_) | Refused::Altered => "/document",
        };
        let expected = "a document as `portunus realm export` writes it, with its passphrase";
        Self::invalid(vec![Problem::new(place, refused.to_string(), expected)])
    }
}

/// Everything that is there, by what it is found again with.
type Names = HashMap<(&'static str, Id, String), Row>;

/// Reads a document into the store, or says what that would do.
pub async fn import(
    control: &Control,
    document: Document,
    passphrase: Option<String>,
    mode: Mode,
    dry_run: bool,
    actor: Actor,
) -> Result<Committed, ApiError> {
    let secrets = open(&document, passphrase).await?;
    let existing = existing(control).await?;
    let ids = ids(&document, &existing)?;
    let mut ops = Vec::with_capacity(document.resources.len());
    if mode == Mode::Replace {
        must_be_usable(&document, secrets.is_some())?;
        ops.extend(deletions(&existing, &ids));
    }
    for name in KINDS {
        for (index, resource) in of_kind(&document, name) {
            ops.push(step(control, index, resource, secrets.as_ref(), &ids, &existing)?);
        }
    }
    let change = Change { actor: actor.clone(), principal: None, ops, dry_run, call: None };
    let committed = control.store.commit(change).await?;
    if !dry_run {
        beside(control, secrets.unwrap_or_default(), ids, mode, &document.sha256, &committed, actor).await?;
    }
    Ok(committed)
}

async fn open(document: &Document, passphrase: Option<String>) -> Result<Option<Secrets>, ApiError> {
    let Some(sealed) = document.secrets.clone() else { return Ok(None) };
    let passphrase = passphrase.ok_or(Refused::NeedsPassphrase)?;
    let bound = document.bound();
    let opened = tokio::task::spawn_blocking(move || sealed.open(&passphrase, &bound));
    let plain = opened.await.map_err(|_| ApiError::internal())??;
    let secrets = serde_json::from_slice(&plain).map_err(|error| Refused::Form(error.to_string()))?;
    Ok(Some(secrets))
}

async fn existing(control: &Control) -> Result<Names, ApiError> {
    let mut names = Names::new();
    for kind in KINDS.into_iter().filter_map(resource::by_kind) {
        let page = control.store.list(kind, &Filter { limit: 1_000_000, ..Filter::default() }).await?;
        // The platform's tenant belongs to itself, here and in the document.
        names.extend(page.rows.into_iter().map(|row| ((kind.kind, row.tenant_id, row.name.clone()), row)));
    }
    Ok(names)
}

/// The resources of a kind with their places, the tenant that all others belong to first.
fn of_kind<'d>(document: &'d Document, kind: &str) -> Vec<(usize, &'d Resource)> {
    let all = document.resources.iter().enumerate();
    let mut found: Vec<_> = all.filter(|(_, resource)| resource.kind == kind).collect();
    found.sort_by_key(|(_, resource)| resource.id != resource.tenant_id);
    found
}

/// What the ids of the document are here.
fn ids(document: &Document, existing: &Names) -> Result<HashMap<Id, Id>, ApiError> {
    let mut ids = HashMap::new();
    let taken: HashSet<Id> = existing.values().map(|row| row.id).collect();
    let problem = |index: usize, message: &str, expected: &str| {
        let path = format!("/document/resources/{index}");
        ApiError::invalid(vec![Problem::new(path, message, expected)])
    };
    for name in KINDS {
        for (index, resource) in of_kind(document, name) {
            let Some(kind) = resource::by_kind(name) else {
                return Err(problem(index, "this version does not know the kind", "a kind of this version"));
            };
            let found = if resource.id == resource.tenant_id {
                existing.values().find(|row| row.kind.kind == kind.kind && row.id == row.tenant_id)
            } else {
                let tenant = ids.get(&resource.tenant_id).ok_or_else(|| {
                    problem(index, "its tenant is not in the document", "a document with all tenants of its resources")
                })?;
                existing.get(&(kind.kind, *tenant, resource.name.clone()))
            };
            let here = match found {
                Some(row) => row.id,
                None if taken.contains(&resource.id) => Uuid::now_v7(),
                None => resource.id,
            };
            if ids.insert(resource.id, here).is_some() {
                return Err(problem(index, "two resources have this id", "each id once"));
            }
        }
    }
    if let Some(index) = document.resources.iter().position(|resource| !KINDS.contains(&resource.kind.as_str())) {
        return Err(problem(index, "the kind does not belong into a realm", &KINDS.join(", ")));
    }
    Ok(ids)
}

/// Nobody replaces everybody by nobody.
fn must_be_usable(document: &Document, has_secrets: bool) -> Result<(), ApiError> {
    let has = |kind: &str| document.resources.iter().any(|resource| resource.kind == kind);
    if has_secrets && has("Role") && (has("User") || has("ServiceAccount")) {
        return Ok(());
    }
    let message = "nobody could log in afterwards";
    let expected = "a document with secrets, roles and accounts, or the mode merge";
    Err(ApiError::invalid(vec![Problem::new("/document", message, expected)]))
}

fn deletions(existing: &Names, ids: &HashMap<Id, Id>) -> Vec<Op> {
    let kept: HashSet<&Id> = ids.values().collect();
    // What refers goes first.
    let kinds = KINDS.iter().rev().filter(|kind| **kind != "Tenant");
    kinds
        .flat_map(|kind| existing.values().filter(move |row| row.kind.kind == *kind))
        .filter(|row| !kept.contains(&row.id))
        .map(|row| Op {
            kind: row.kind,
            path: String::new(),
            action: Action::Delete { id: row.id, if_match: None, cascade: false },
        })
        .collect()
}

fn step(
    control: &Control,
    index: usize,
    resource: &Resource,
    secrets: Option<&Secrets>,
    ids: &HashMap<Id, Id>,
    existing: &Names,
) -> Result<Op, ApiError> {
    let kind = resource::by_kind(&resource.kind).ok_or_else(ApiError::internal)?;
    let path = format!("/document/resources/{index}/spec");
    let here = |id: &Id| ids.get(id).copied().ok_or_else(ApiError::internal);
    let (id, tenant_id) = (here(&resource.id)?, here(&resource.tenant_id)?);
    let mut spec = Value::Object(resource.spec.clone());
    refer(kind, &mut spec, ids);
    let own = secrets.and_then(|secrets| secrets.resources.get(&resource.id));
    let before = existing.get(&(kind.kind, tenant_id, resource.name.clone())).map(|row| &row.spec);
    for (place, secret) in own.into_iter().flat_map(|own| &own.sealed) {
        put(&mut spec, place, secret);
    }
    portunus_gateway::secret::field::settle(kind.secrets, &mut spec, before, &control.store.keys.secrets)
        .map_err(|problems| ApiError::invalid(problems.into_iter().map(|problem| problem.under(&path)).collect()))?;
    // Without secrets, an account that is here keeps its own.
    let mut hidden = own.map(|own| own.hidden.clone()).unwrap_or_default();
    if own.is_none() {
        let kept = kind.hidden.iter().filter_map(|field| Some(((*field).to_owned(), before?.get(*field)?.clone())));
        hidden.extend(kept);
    }
    hidden.retain(|field, _| kind.hidden.contains(&field.as_str()));
    let import = Import { id, tenant_id, name: resource.name.clone(), spec, hidden };
    Ok(Op { kind, path, action: Action::Import(Box::new(import)) })
}

/// References become those of this machine.
fn refer(kind: &KindInfo, spec: &mut Value, ids: &HashMap<Id, Id>) {
    for reference in kind.references {
        let Some(value) = spec.get_mut(reference.field) else { continue };
        let items = match value {
            Value::Array(items) => items.as_mut_slice(),
            single => std::slice::from_mut(single),
        };
        for item in items {
            let known = item.as_str().and_then(|text| text.parse::<Id>().ok()).and_then(|id| ids.get(&id));
            if let Some(id) = known {
                *item = id.to_string().into();
            }
        }
    }
}

/// Puts a secret back into its place.
fn put(spec: &mut Value, place: &str, secret: &str) {
    if let Some((parent, field)) = place.rsplit_once('/')
        && let Some(Value::Object(fields)) = spec.pointer_mut(parent)
    {
        fields.insert(field.to_owned(), secret.into());
    }
}

/// Keys and tables, and the event that tells of it all.
async fn beside(
    control: &Control,
    secrets: Secrets,
    ids: HashMap<Id, Id>,
    mode: Mode,
    sha256: &str,
    committed: &Committed,
    actor: Actor,
) -> Result<(), ApiError> {
    let details =
        json!({ "resources": committed.outcomes.len(), "mode": format!("{mode:?}").to_lowercase(), "sha256": sha256 });
    let event = NewEvent::new(actor, "realm.imported").with(details);
    let keyring = control.store.keys.secrets.clone();
    let epoch = control.tokens.epoch();
    let written = control.store.transact(move |write| {
        Box::pin(async move {
            if mode == Mode::Replace && !secrets.signing_keys.is_empty() {
                keys::retire(write.db, write.now).await?;
            }
            for mut key in secrets.signing_keys {
                key.seal(&keyring);
                match mode {
                    // What it signed is still good; this machine's own key goes on signing.
                    Mode::Merge => key.retired_at = key.retired_at.or(Some(write.now)),
                    Mode::Replace => keys::remove(write.db, &key.kid).await?,
                }
                keys::insert(write.db, &key, &epoch).await?;
            }
            for table in tables::TABLES {
                let rows = secrets.tables.get(table.name).map(Vec::as_slice).unwrap_or_default();
                tables::write(write.db, table, rows, &ids, &keyring).await?;
            }
            *write.accounts_changed = true;
            write.events.push(event);
            Ok(())
        })
    });
    written.await.map_err(ApiError::store)?;
    control.tokens.reload(&control.store).await.map_err(ApiError::store)?;
    control.federation.reload(&control.store).await.map_err(ApiError::store)
}
