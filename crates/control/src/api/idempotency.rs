//! `Idempotency-Key`: a repeated POST gets the answer of the first one, and does nothing.
//!
//! Answers are kept in memory for a day and die with the process: they can hold secrets, which must not reach the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use portunus_gateway::problem::Problem;
use quick_cache::sync::Cache;

use super::error::ApiError;
use super::identify::Identity;
use crate::control::Control;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The most answers that are kept.
const MOST: usize = 10_000;

/// The most bytes of a request or answer that can be repeated.
const LARGEST: usize = 1024 * 1024;

/// Answers by account and key.
pub struct Replies(Cache<(Id, String), Arc<Reply>>);

impl Default for Replies {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

struct Reply {
    made: Instant,
    request: [u8; 32],
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a repeated POST from memory. Two at once are made one after the other.
pub async fn replay(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    request: Request,
    next: Next,
) -> Response {
    let key = request.headers().get(&HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(key) = key.filter(|_| *request.method() == Method::POST) else { return next.run(request).await };
    if key.is_empty() || key.len() > 255 {
        return ApiError::bad_request("`Idempotency-Key` has 1 to 255 characters").into_response();
    }
    let (parts, body) = request.into_parts();
    // Without an account the call is refused anyway, by its handler.
    let Ok(Some(principal)) = identity.principal else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST).await else {
        return ApiError::too_large("a call with `Idempotency-Key` takes at most 1 MiB").into_response();
    };
    let digest = digest(parts.uri.path(), &bytes);
    let key = (principal.account.id, key);
    loop {
        match control.replies.0.get_value_or_guard_async(&key).await {
            Ok(reply) if reply.made.elapsed() > KEPT => {
                control.replies.0.remove(&key);
            }
            Ok(reply) if reply.request != digest => {
                let problem = Problem::new(
                    "",
                    "this `Idempotency-Key` was used for another request",
                    "a new key for a new request",
                );
                return ApiError::invalid(vec![problem]).into_response();
            }
            Ok(reply) => return reply.again(),
            Err(guard) => {
                let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
                // A refusal or a fault changed nothing; the next attempt may succeed.
                if !response.status().is_success() {
                    return response;
                }
                let (head, body) = response.into_parts();
                let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
                    return ApiError::internal().into_response();
                };
                if body.len() <= LARGEST {
                    let reply = Reply {
                        made: Instant::now(),
                        request: digest,
                        status: head.status,
                        headers: head.headers.clone(),
                        body: body.clone(),
                    };
                    // Only fails when the entry was removed meanwhile, and then nobody waits for it.
                    let _ = guard.insert(Arc::new(reply));
                }
                return Response::from_parts(head, Body::from(body));
            }
        }
    }
}

impl Reply {
    fn again(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

fn digest(path: &str, body: &[u8]) -> [u8; 32] {
    let mut text = Vec::with_capacity(path.len() + body.len() + 1);
    text.extend_from_slice(path.as_bytes());
    text.push(0);
    text.extend_from_slice(body);
    api_key::hash(&text)
}
