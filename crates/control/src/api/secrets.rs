//! The keys that secrets are sealed with, as an administrator changes them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::ApiError;
use crate::access::{Permission, Verb};
use crate::control::Control;
use crate::store::rotation::RotationError;

/// `POST /v1/secrets/rotate`: a new key seals, and everything is sealed anew with it.
pub async fn rotate(State(control): State<Arc<Control>>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.needs_everywhere(Permission::new("secret", Verb::Write))?;
    let (store, actor) = (control.store.clone(), caller.0.actor());
    // A task of its own: it goes on when the caller does not wait for its end.
    let rotated = tokio::spawn(async move { store.rotate_secrets(actor).await });
    match rotated.await {
        Ok(Ok(done)) => Ok(Json(json!({
            "key": done.key, "resealed": done.resealed, "deleted": done.deleted, "left": done.left,
        }))),
        Ok(Err(RotationError::Busy)) => Err(ApiError::conflict("the keys are being changed already", Vec::new())),
        Ok(Err(RotationError::Store(error))) => Err(ApiError::store(error)),
        Err(_) => Err(ApiError::internal()),
    }
}
