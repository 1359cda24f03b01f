//! `GET /v1/export`: resources as manifests.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::{Id, KindInfo};
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::ApiError;
use crate::access::{Permission, Verb};
use crate::audit::event::NewEvent;
use crate::control::Control;
use crate::manifest::{self, Secrets};
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;

/// The resources of some kinds and a tenant, or all that the caller may see, ready for `apply`.
pub async fn export(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(mut parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let kinds = kinds(parameters.remove("kind"))?;
    let tenant = parameters.remove("tenant");
    let secrets = secrets(parameters.remove("secrets").as_deref())?;
    if let Some(other) = parameters.keys().next() {
        return Err(ApiError::bad_request(format!(
            "unknown query parameter `{other}`; there are kind, tenant and secrets"
        )));
    }
    if secrets == Secrets::Sealed {
        caller.needs_everywhere(Permission::new("secret", Verb::Write))?;
        let event = NewEvent::new(caller.0.actor(), "secret.exported");
        control.store.record(vec![event]).await.map_err(ApiError::store)?;
    }
    let mut rows = Vec::new();
    for kind in kinds {
        let permission = Permission::new(kind.noun, Verb::Read);
        let tenants = match &tenant {
            Some(tenant) => Some(vec![caller.tenant(&control, tenant, permission).await?]),
            None => caller.reach(permission)?,
        };
        rows.extend(
            control.store.list(kind, &Filter { tenants, limit: i64::MAX as u64, ..Filter::default() }).await?.rows,
        );
    }
    let names = names(&control, &rows).await?;
    let unknown = String::new();
    let manifests: Vec<Value> = rows
        .iter()
        .map(|row| {
            let tenant = names.get(&row.tenant_id).unwrap_or(&unknown);
            manifest::render(row, tenant, secrets, &|id| names.get(&id).cloned())
        })
        .collect();
    Ok(Json(json!({ "manifests": manifests })).into_response())
}

fn secrets(text: Option<&str>) -> Result<Secrets, ApiError> {
    match text {
        None => Ok(Secrets::Marked),
        Some("sealed") => Ok(Secrets::Sealed),
        Some(other) => Err(ApiError::bad_request(format!("`secrets` is sealed or left out, and {other:?} is neither"))),
    }
}

fn kinds(list: Option<String>) -> Result<Vec<&'static KindInfo>, ApiError> {
    let Some(list) = list else { return Ok(resource::all().collect()) };
    list.split(',')
        .map(str::trim)
        .map(|text| {
            resource::all().find(|kind| kind.kind.eq_ignore_ascii_case(text) || kind.plural == text).ok_or_else(|| {
                let known: Vec<&str> = resource::all().map(|kind| kind.kind).collect();
                ApiError::bad_request(format!("unknown kind `{text}`; there are {}", known.join(", ")))
            })
        })
        .collect()
}

/// The names of the rows, of their tenants and of everything that they refer to.
async fn names(control: &Control, rows: &[Row]) -> Result<HashMap<Id, String>, ApiError> {
    let mut names: HashMap<Id, String> = rows.iter().map(|row| (row.id, row.name.clone())).collect();
    let wanted: BTreeSet<Id> = rows
        .iter()
        .flat_map(|row| row.references().into_iter().map(|(_, id)| id).chain([row.tenant_id]))
        .filter(|id| !names.contains_key(id))
        .collect();
    let missing = control.store.many(&wanted.into_iter().collect::<Vec<_>>()).await?;
    names.extend(missing.into_iter().map(|row| (row.id, row.name)));
    Ok(names)
}
