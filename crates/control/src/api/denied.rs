//! Denied calls are on the record, rolled up: who, from where, on which route, why, and exactly how often.

use std::sync::Arc;

use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use portunus_gateway::clock;
use serde_json::json;

use super::error::ApiError;
use super::identify::Identity;
use crate::audit::event::{Actor, NewEvent};
use crate::control::Control;

/// The action of denied calls of the control plane.
pub const DENIED: &str = "call.denied";

/// Counts a call that is answered with 401, 403 or 429.
pub async fn record(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let status = response.status();
    let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    if is_denied {
        let actor = match &identity.principal {
            Ok(Some(principal)) => principal.actor(),
            _ => Actor { address: identity.origin.address, ..Actor::default() },
        };
        let tenant_id = match &identity.principal {
            Ok(Some(principal)) => Some(principal.account.tenant_id),
            _ => None,
        };
        let code = response.extensions().get::<ApiError>().map_or("unauthorized", |error| error.code);
        let route = format!("{method} {}", path.as_ref().map_or("", MatchedPath::as_str));
        let event = NewEvent {
            tenant_id,
            kind: "Route".to_owned(),
            resource_name: route,
            ..NewEvent::new(actor, DENIED).denied(code).with(json!({ "status": status.as_u16() }))
        };
        let now = clock::now().as_microsecond();
        control.audit.rollup.add(event, now, now);
    }
    response
}
