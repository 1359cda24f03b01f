//! The past of a resource, and the way back to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::KindInfo;
use portunus_gateway::problem::Problem;
use serde_json::{Value, json};

use super::body::Object;
use super::caller::Caller;
use super::error::ApiError;
use super::resources::{self, etag, first, one, tenants};
use crate::access::{Permission, Verb};
use crate::control::Control;
use crate::store::read::Past;
use crate::store::row::{Row, time};
use crate::store::{Action, Edit};

/// How many revisions are shown; older ones are kept.
const MOST: u64 = 100;

/// `GET …/{id}/history`, also of a resource that was deleted, by its id.
pub async fn of_resource(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural, id)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    let kind = resources::kind(&plural)?;
    let tenant_id = caller.tenant(&control, &tenant, Permission::new(kind.noun, Verb::Read)).await?;
    let id = control.store.find(kind, Some(tenant_id), &id).await?.map_or(id, |row| row.id.to_string());
    let past = control.store.history(kind, tenant_id, &id, MOST).await?;
    if past.is_empty() {
        return Err(ApiError::not_found(format!("there is and was no such {}", kind.kind)));
    }
    Ok(answer(kind, past))
}

/// `GET /v1/tenants/{tenant}/history`.
pub async fn of_tenant(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = tenants::find(&control, &caller, &id, Verb::Read).await?;
    let past = control.store.history(row.kind, row.tenant_id, &row.id.to_string(), MOST).await?;
    Ok(answer(row.kind, past))
}

fn answer(kind: &KindInfo, past: Vec<Past>) -> Response {
    let items: Vec<Value> = past
        .into_iter()
        .map(|line| {
            json!({
                "revision": line.revision,
                "store_revision": line.store_revision,
                "action": line.action,
                "actor": line.actor,
                "changed_at": time(line.changed_at),
                "name": line.name,
                "resource": kind.show(&line.spec),
            })
        })
        .collect();
    Json(json!({ "items": items, "total": items.len() })).into_response()
}

/// `POST /v1/tenants/{tenant}/rollback {"revision": N}`.
pub async fn rollback_tenant(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Response, ApiError> {
    let row = tenants::find(&control, &caller, &id, Verb::Write).await?;
    roll_back(&control, &caller, &row, &body).await
}

/// A new revision with the fields of an old one: `{"revision": N}`.
pub async fn roll_back(control: &Control, caller: &Caller, row: &Row, body: &Object) -> Result<Response, ApiError> {
    let revision = body.0.get("revision").and_then(Value::as_u64).ok_or_else(|| {
        ApiError::invalid(vec![Problem::new(
            "/revision",
            "`revision` is missing or not a number",
            "a revision of the resource's history",
        )])
    })?;
    let action = Action::Update { id: row.id, if_match: None, name: None, edit: Edit::Rollback(revision) };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    let outcome = first(committed.outcomes)?;
    let mut response = one(&outcome).into_response();
    response.headers_mut().insert(ETAG, etag(&outcome.row));
    Ok(response)
}
