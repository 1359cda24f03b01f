//! A refusal as Folionaut tells it: `{"error": {"code", "message", "requestId"}}`.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::api::error::ApiError;

/// Our codes, and the status and code that Folionaut has for them.
const CODES: &[(&str, u16, &str)] = &[
    ("bad_request", 400, "BAD_REQUEST"),
    ("invalid", 400, "VALIDATION_ERROR"),
    ("unauthorized", 401, "UNAUTHORIZED"),
    ("forbidden", 403, "FORBIDDEN"),
    ("not_found", 404, "NOT_FOUND"),
    ("method_not_allowed", 405, "METHOD_NOT_ALLOWED"),
    ("conflict", 409, "CONFLICT"),
    ("precondition_failed", 409, "CONFLICT"),
    ("body_too_large", 413, "PAYLOAD_TOO_LARGE"),
    ("rate_limited", 429, "RATE_LIMIT_EXCEEDED"),
    ("store_unavailable", 503, "SERVICE_UNAVAILABLE"),
];

/// The refusal in Folionaut's shape.
pub fn render(error: ApiError, request_id: &str) -> Response<Body> {
    let found = CODES.iter().find(|(code, ..)| *code == error.code);
    let (status, code) = match found {
        Some((_, status, code)) => (StatusCode::from_u16(*status).unwrap_or(error.status), (*code).to_owned()),
        None if error.status.is_server_error() => (error.status, "INTERNAL_SERVER_ERROR".to_owned()),
        None => (error.status, error.code.to_uppercase()),
    };
    let mut inner = json!({ "code": code, "message": message(&error), "requestId": request_id });
    if !error.errors.is_empty() {
        let mut fields: Map<String, Value> = Map::new();
        for problem in &error.errors {
            let path = problem.path.trim_start_matches('/').replace('/', ".");
            let texts = fields.entry(path).or_insert_with(|| json!([]));
            let text = format!("{}; expected {}", problem.message, problem.expected);
            texts.as_array_mut().expect("every field has a list").push(text.into());
        }
        inner["fields"] = fields.into();
    }
    if let Some((name, value)) = &error.header
        && *name == RETRY_AFTER
    {
        inner["retryAfter"] = value.to_str().ok().and_then(|text| text.parse::<u64>().ok()).into();
    }
    let mut response = Response::new(Body::from(json!({ "error": inner }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, value)) = error.header {
        response.headers_mut().insert(name, value);
    }
    response
}

fn message(error: &ApiError) -> String {
    if error.code != "unauthorized" {
        return error.detail.clone();
    }
    let challenge = error.header.as_ref().and_then(|(_, value)| value.to_str().ok()).unwrap_or_default();
    match challenge.contains("error=") {
        true => "Invalid X-Admin-Key".to_owned(),
        false => "Missing X-Admin-Key header".to_owned(),
    }
}
