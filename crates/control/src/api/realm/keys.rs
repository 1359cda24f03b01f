//! The keys that tokens are signed with, as an administrator changes them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::error::ApiError;
use crate::access::{Permission, Verb};
use crate::control::Control;

/// `POST /v1/realm/keys/rotate`: a new key signs from here on.
pub async fn rotate(State(control): State<Arc<Control>>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.needs_everywhere(Permission::new("realm", Verb::Write))?;
    let kid = control.tokens.rotate(&control.store, caller.0.actor()).await.map_err(ApiError::store)?;
    Ok(Json(json!({ "kid": kid })))
}
