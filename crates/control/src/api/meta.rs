//! What Portunus says of itself: health, metrics, kinds, policy types, the description of its API.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use portunus_gateway::own::{Health, METRICS_TYPE};
use portunus_gateway::policy;
use serde_json::{Value, json};

use crate::control::Control;
use crate::openapi;
use crate::resource;

/// How long the store may take to answer while it counts as ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// `GET /health`.
pub async fn health() -> Response {
    Json(Health::now()).into_response()
}

/// `GET /health/ready` (S04): whether the store can be read.
pub async fn ready(State(control): State<Arc<Control>>) -> Response {
    let reads = sqlx::query("SELECT revision FROM store_revision").fetch_one(control.store.readers());
    match tokio::time::timeout(READY_TIMEOUT, reads).await {
        Ok(Ok(_)) => Json(json!({ "status": "UP" })).into_response(),
        Ok(Err(error)) => down(&error.to_string()),
        Err(_) => down("it did not answer in time"),
    }
}

fn down(error: &str) -> Response {
    tracing::error!(target: "control", error, "database_connection_failed");
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "DOWN" }))).into_response()
}

/// `GET /metrics`, in the Prometheus text format.
pub async fn metrics(State(control): State<Arc<Control>>) -> Response {
    ([(CONTENT_TYPE, METRICS_TYPE)], control.metrics.render()).into_response()
}

/// `GET /v1/openapi.json`.
pub async fn openapi() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| openapi::document().to_string());
    ([(CONTENT_TYPE, "application/json")], text.as_str()).into_response()
}

/// `GET /v1/kinds`: every kind with its schema.
pub async fn kinds() -> Response {
    let kinds: Vec<Value> = resource::all()
        .map(|kind| {
            json!({
                "kind": kind.kind,
                "plural": kind.plural,
                "noun": kind.noun,
                "description": kind.description(),
                "references": kind.references.iter().map(|reference| json!({ "field": reference.field, "kind": reference.kind })).collect::<Vec<_>>(),
                "schema": (kind.schema)().schema,
            })
        })
        .collect();
    Json(json!({ "items": kinds, "total": kinds.len() })).into_response()
}

/// `GET /v1/policy-types`: every policy type with its schema and an example.
pub async fn policy_types() -> Response {
    let types: Vec<Value> = policy::TYPES
        .iter()
        .map(|known| {
            json!({
                "policy_type": known.name,
                "phase": known.phase,
                "stacks": known.stacks,
                "example": known.example,
                "schema": (known.schema)().schema,
            })
        })
        .collect();
    Json(json!({ "items": types, "total": types.len() })).into_response()
}
