//! How often the control plane may be called by one account.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::header::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use portunus_gateway::limit::{LimitState, WINDOWS, Window};
use quick_cache::sync::Cache;

use super::error::ApiError;
use super::identify::Identity;
use crate::control::Control;

/// Calls of one account: 60,000 a minute, 20,000 of them at once.
fn calls() -> [Option<Window>; WINDOWS] {
    [None, Some(Window::new(60_000, 60, 20_000)), None, None]
}

/// The counters; bounded, the least used are forgotten first.
pub struct Throttle {
    calls: Cache<Id, Arc<LimitState>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { calls: Cache::new(1_000) }
    }
}

/// Limits calls by account and says in `RateLimit` what is left. Calls without a valid token have no account to count.
pub async fn limit(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(Some(principal)) = identity.principal else { return next.run(request).await };
    let made = control
        .throttle
        .calls
        .get_or_insert_with(&principal.account.id, || Ok::<_, std::convert::Infallible>(Arc::default()));
    let Ok(state) = made;
    let decision = state.take(&calls(), clock::monotonic_ns());
    let mut response = match decision.allowed {
        true => next.run(request).await,
        false => ApiError::rate_limited(decision.retry_after.as_secs() + 1).into_response(),
    };
    let left = format!("\"control\";r={};t={}", decision.remaining, decision.reset_after.as_secs() + 1);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("ratelimit-policy"), HeaderValue::from_static("\"control\";q=60000;w=60"));
    if let Ok(value) = HeaderValue::try_from(left) {
        headers.insert(HeaderName::from_static("ratelimit"), value);
    }
    response
}
