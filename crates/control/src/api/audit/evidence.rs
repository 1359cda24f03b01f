//! Evidence for an investigation, as one signed file.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use portunus_gateway::clock;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::AUDIT_READ;
use crate::access::{Permission, Verb};
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::audit::event::NewEvent;
use crate::audit::evidence::gather::{EvidenceError, gather};
use crate::audit::moment;
use crate::control::Control;
use crate::store::row::time;

/// Sees who was logged in.
const SESSION_READ: Permission = Permission::new("session", Verb::Read);

/// Bytes in memory at once.
const PIECE: usize = 64 * 1024;

/// `GET /v1/audit/evidence?since=...&until=...`.
pub async fn evidence(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(mut parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    caller.needs_everywhere(AUDIT_READ)?;
    caller.needs_everywhere(SESSION_READ)?;
    let mut moment = |name: &str| match parameters.remove(name) {
        Some(text) => match moment::parse(&text, clock::now()) {
            Some(at) => Ok(Some(at)),
            None => Err(ApiError::bad_request(format!("`{name}` is {}, and {text:?} is not", moment::FORMS))),
        },
        None => Ok(None),
    };
    let (since, until) = (moment("since")?, moment("until")?);
    let since = since.ok_or_else(|| ApiError::bad_request(format!("`since` is missing: {}", moment::FORMS)))?;
    if let Some(name) = parameters.keys().next() {
        return Err(ApiError::bad_request(format!("unknown query parameter `{name}`; there are since and until")));
    }
    // It is on the record, and in the evidence itself.
    let details = json!({ "since": time(since), "until": until.map(time) });
    control
        .store
        .record(vec![NewEvent::new(caller.0.actor(), "evidence.exported").with(details)])
        .await
        .map_err(ApiError::store)?;
    let file = gather(&control.store, &control.audit, since, until).await?;
    let pieces = stream::try_unfold(tokio::fs::File::from_std(file), |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await? {
            0 => Ok::<_, io::Error>(None),
            _ => Ok(Some((Bytes::from(piece), file))),
        }
    });
    let headers = [
        (CONTENT_TYPE, "application/gzip"),
        (CONTENT_DISPOSITION, "attachment; filename=\"portunus-evidence.tar.gz\""),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

impl From<EvidenceError> for ApiError {
    fn from(error: EvidenceError) -> Self {
        Self::store(error)
    }
}
