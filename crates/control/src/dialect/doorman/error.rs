//! Doorman's form of a refusal: a code of its own and a sentence.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use crate::api::error::ApiError;

/// Whether refusals at this path have this form.
pub fn is_here(path: &str) -> bool {
    path.strip_prefix("/platform").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Doorman's status and code for a refusal.
fn code(error: &ApiError, path: &str) -> (StatusCode, &'static str) {
    let is_user = path.starts_with("/platform/user/");
    let is_login = path == "/platform/authorization";
    let code = match error.code {
        // Doorman answers a wrong login with 400.
        "login_failed" => return (StatusCode::BAD_REQUEST, "AUTH002"),
        "bad_request" if is_login && error.detail.starts_with("Missing") => "AUTH001",
        "bad_request" if is_login => "AUTH004",
        "unauthorized" if path.ends_with("/refresh") => "AUTH003",
        "unauthorized" => "AUTH005",
        "csrf_failed" => "CSRF001",
        "password_reset_required" => "AUTH008",
        "forbidden" if is_user => "USR006",
        "forbidden" => "AUTH900",
        "not_found" if is_user || path.ends_with("/invalidate") => "USR002",
        "not_found" | "method_not_allowed" => "REQ404",
        "conflict" => "USR004",
        "bad_request" | "invalid" => "VAL001",
        "body_too_large" => "REQ001",
        "unsupported_media_type" => "REQ003",
        "rate_limited" => "IP_RATE_LIMIT",
        _ => "ISE001",
    };
    (error.status, code)
}

/// The refusal in Doorman's form, with the faults and members that ours has besides.
pub fn render(error: ApiError, path: &str) -> Response<Body> {
    let (status, code) = code(&error, path);
    let mut body = Map::new();
    body.insert("error_code".to_owned(), code.into());
    let faults: Vec<String> = error.errors.iter().map(ToString::to_string).collect();
    let sentence = if faults.is_empty() { error.detail } else { format!("{}: {}", error.detail, faults.join("; ")) };
    body.insert("error_message".to_owned(), Value::String(sentence));
    body.extend(error.members.into_iter().flat_map(|members| *members));
    let mut response = (status, axum::Json(Value::Object(body))).into_response();
    if let Some((name, value)) = error.header {
        response.headers_mut().insert(name, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
