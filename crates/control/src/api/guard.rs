//! Around every call: its id, its problem document, and no panic past it.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::Request;
use axum::http::header::ALLOW;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use portunus_gateway::request_id::{RequestId, X_REQUEST_ID};

use super::error::ApiError;
use crate::dialect;

/// Gives the call an id, turns a panic into 500, and completes problem documents.
pub async fn guard(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::given(request.headers()).unwrap_or_else(RequestId::random);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(id.clone());
    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(target: "control", path, request_id = id.as_str(), "PANIC recovery triggered");
            ApiError::internal().into_response()
        }
    };
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let allow = response.headers_mut().remove(ALLOW);
        response = dialect::render(&path, error, id.as_str());
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
    }
    response.headers_mut().insert(X_REQUEST_ID, id.header().clone());
    tracing::debug!(
        target: "control",
        method = %method,
        path,
        code = response.status().as_u16(),
        latency = %format_args!("{:.2}ms", started.elapsed().as_secs_f64() * 1e3),
        request_id = id.as_str(),
        "control request completed"
    );
    response
}
