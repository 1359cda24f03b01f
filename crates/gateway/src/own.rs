//! The paths that the gateway listener answers itself, as far as it is told to expose them.

use http::header::{self, HeaderValue};
use http::{Method, Response};
use serde::Serialize;

use crate::body::Body;
use crate::clock;
use crate::error::{Refusal, Rejection};
use crate::worker::Shared;

/// What the gateway listener serves besides traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expose {
    /// `GET /health`.
    pub health: bool,
    /// `GET /metrics`.
    pub metrics: bool,
}

/// The answer of `/health` (S02).
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
}

impl Health {
    /// The state of this process.
    pub fn now() -> Self {
        Self { status: "ok", version: crate::VERSION, uptime_seconds: clock::monotonic_ns() / 1_000_000_000 }
    }
}

/// The media type of the Prometheus text format as [`crate::telemetry::metrics::Metrics::render`] writes it.
pub const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer, if this path is the gateway's own.
pub fn answer(shared: &Shared, method: &Method, path: &str) -> Option<Result<Response<Body>, Rejection>> {
    let (text, media_type) = match path {
        "/health" if shared.expose.health => (
            serde_json::to_vec(&Health::now()).expect("the health of a process serialises to JSON"),
            "application/json",
        ),
        "/metrics" if shared.expose.metrics => (shared.telemetry.metrics.render().into_bytes(), METRICS_TYPE),
        _ => return None,
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let rejection =
            Rejection::from(Refusal::MethodNotAllowed).with(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(Err(rejection));
    }
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(Ok(response))
}
