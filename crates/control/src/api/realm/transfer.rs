//! The realm as a document: out and in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use portunus_gateway::problem::Problem;
use portunus_gateway::schema;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::body::Object;
use super::super::caller::Caller;
use super::super::error::ApiError;
use crate::access::{Permission, Verb};
use crate::control::Control;
use crate::realm::document::Document;
use crate::realm::export;
use crate::realm::import::{self, Mode};
use crate::store::Done;

/// What an export is sealed with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// The passphrase that secrets are sealed under.
    #[schemars(length(min = 12, max = 1000))]
    passphrase: String,
}

/// A document to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Importing {
    /// What an export answered.
    #[schemars(with = "serde_json::Map<String, Value>")]
    document: Value,
    /// The passphrase that it was written with, if it has secrets.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    passphrase: Option<String>,
    /// Whether accounts, roles, tokens and providers that are not in the document stay (`merge`) or go (`replace`).
    #[serde(default)]
    mode: Mode,
    /// Whether only to say what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// `GET /v1/realm/export`: without secrets.
pub async fn show(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    caller.needs_everywhere(Permission::new("realm", Verb::Read))?;
    written(&export::export(&control, None, caller.0.actor()).await?)
}

/// `POST /v1/realm/export`: with secrets. Whoever has them can be anybody, so it takes the right to write the realm.
pub async fn export(State(control): State<Arc<Control>>, caller: Caller, body: Object) -> Result<Response, ApiError> {
    caller.needs_everywhere(Permission::new("realm", Verb::Write))?;
    let sealing: Sealing = schema::parse(&Value::Object(body.0)).map_err(ApiError::invalid)?;
    written(&export::export(&control, Some(sealing.passphrase), caller.0.actor()).await?)
}

fn written(document: &Document) -> Result<Response, ApiError> {
    let mut response = Json(document).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `POST /v1/realm/import`.
pub async fn import(State(control): State<Arc<Control>>, caller: Caller, body: Object) -> Result<Response, ApiError> {
    caller.needs_everywhere(Permission::new("realm", Verb::Write))?;
    // A document can hand out every right there is.
    if !caller.0.covers(&["*:*".to_owned()], None) {
        return Err(ApiError::forbidden("nobody can hand out more rights than they have: this needs *:* everywhere"));
    }
    let asked: Importing = schema::parse(&Value::Object(body.0)).map_err(ApiError::invalid)?;
    let document = Document::read(asked.document)?;
    let committed =
        import::import(&control, document, asked.passphrase, asked.mode, asked.dry_run, caller.0.actor()).await;
    let committed = committed.map_err(located)?;
    let items: Vec<Value> = committed
        .outcomes
        .iter()
        .filter(|outcome| outcome.done != Done::Unchanged)
        .map(|outcome| {
            let row = &outcome.row;
            json!({ "kind": row.kind.kind, "tenant_id": row.tenant_id, "name": row.name, "id": row.id, "done": outcome.done.word() })
        })
        .collect();
    let unchanged = committed.outcomes.len() - items.len();
    Ok(Json(json!({ "dry_run": asked.dry_run, "unchanged": unchanged, "changes": items })).into_response())
}

/// A document that is not taken is a fault of what was sent, whatever it contradicts.
fn located(error: ApiError) -> ApiError {
    match error.code {
        "not_found" => ApiError::invalid(vec![Problem::new("/document", error.detail, "a complete document")]),
        _ => error,
    }
}
