//! The record of what happened: lists, proof, export, retention, erasure, evidence.

mod change;
mod evidence;
mod export;
pub mod list;
mod query;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use portunus_gateway::kind::Id;
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::ApiError;
use super::routes::{Routes, permission};
use crate::access::{Permission, Verb};
use crate::audit::event::NewEvent;
use crate::audit::keeper::{KeepError, READ};
use crate::audit::verify::VerifyError;
use crate::control::Control;

/// Reads the record.
const AUDIT_READ: Permission = Permission::new("audit", Verb::Read);
/// Seals and erases.
const AUDIT_WRITE: Permission = Permission::new("audit", Verb::Write);

/// The routes.
pub fn routes() -> Routes {
    let (read, write) = (permission("audit", Verb::Read), permission("audit", Verb::Write));
    Routes::default()
        .get("/v1/audit", read, list::everywhere)
        .get("/v1/audit/verify", read, verify)
        .get("/v1/audit/export", read, export::export)
        .get("/v1/audit/evidence", read, evidence::evidence)
        .post("/v1/audit/seal", write, change::seal)
        .post("/v1/audit/erase", write, change::erase)
        .get("/v1/audit/{tenant}", read, list::of_tenant)
}

/// `GET /v1/audit/verify`.
async fn verify(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    if let Some(name) = parameters.keys().next() {
        return Err(ApiError::bad_request(format!("unknown query parameter `{name}`; there is none here")));
    }
    caller.needs_everywhere(AUDIT_READ)?;
    let report = control.audit.verify().await?;
    read(&control, &caller, None, "verify");
    let key = control.store.keys.audit.signer().public_key();
    let mut answer = json!(report);
    answer["public_key"] = key.to_pem().into();
    Ok(Json(answer))
}

/// Notes that the caller read the record.
fn read(control: &Control, caller: &Caller, tenant_id: Option<Id>, what: &str) {
    let event = NewEvent { tenant_id, ..NewEvent::new(caller.0.actor(), READ).with(json!({ "what": what })) };
    control.audit.reading(event);
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        Self::store(error)
    }
}

impl From<KeepError> for ApiError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Broken(_) => Self::conflict(error.to_string(), Vec::new()),
            error => Self::store(error),
        }
    }
}
