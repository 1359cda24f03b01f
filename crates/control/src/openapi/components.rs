//! The parts that many operations share: parameters, headers, refusals.

use serde_json::{Map, Value, json};

use super::operation::schema;
use crate::api::error::CODES;
use crate::api::page;

/// Codes whose status is described under another code.
const BESIDE: [&str; 5] =
    ["second_factor_required", "second_factor_enrolment_required", "csrf_failed", "approval_required", "busy"];

/// The refusals by their codes. An operation that is described has its method, so 405 is not among them.
pub fn responses() -> Map<String, Value> {
    let response = |(status, code, title): &(u16, &str, &str)| {
        let mut response = json!({
            "description": title,
            "content": {"application/problem+json": {"schema": schema("Problem")}},
        });
        let header = match status {
            401 => Some("WWW-Authenticate"),
            429 | 503 => Some("Retry-After"),
            _ => None,
        };
        if let Some(name) = header {
            response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
        }
        ((*code).to_owned(), response)
    };
    CODES.iter().filter(|(status, code, _)| *status != 405 && !BESIDE.contains(code)).map(response).collect()
}

/// Headers of answers.
pub fn headers() -> Value {
    let header = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "ETag": header("The resource's revision in quotes, such as `\"3\"`; send it back in `If-Match`."),
        "Location": header("The path of the new resource."),
        "Retry-After": {"description": "After how many seconds to try again.", "schema": {"type": "integer"}},
        "WWW-Authenticate": header("How to authenticate, and why the token was refused (RFC 6750)."),
    })
}

/// Parameters of paths, queries and headers.
pub fn parameters() -> Value {
    let path = |name: &str, description: &str| {
        json!({"name": name, "in": "path", "required": true, "description": description,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128}})
    };
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}});
    let most = page::MOST;
    json!({
        "Tenant": path("tenant", "Id or name of the tenant."),
        "Id": path("id", "Id or name of the resource."),
        "Page": query("page", "Which page, from 1.", json!({"type": "integer", "minimum": 1, "default": 1})),
        "PageSize": query("page_size", "How many resources a page has.",
            json!({"type": "integer", "minimum": 1, "maximum": most, "default": 20})),
        "Cursor": query("cursor", "`next_cursor` of the page before; unlike `page`, what is deleted meanwhile does not disturb it.",
            json!({"type": "string"})),
        "Search": query("q", "Only those with this text in their name or fields, in upper or lower case.", json!({"type": "string"})),
        "Cascade": query("cascade", "Whether to delete what refers to it as well.", json!({"type": "boolean", "default": false})),
        "IfMatch": header("If-Match", "The `ETag` that was read; if the resource has changed since, the call is refused with 412."),
        "IfNoneMatch": header("If-None-Match", "The `ETag` that was read; if it is still the same, the answer is 304."),
        "IdempotencyKey": header("Idempotency-Key",
            "Anything unique; sent again with the same call, it gives the answer of the first one and does nothing."),
    })
}

/// How to authenticate.
pub fn security_schemes() -> Value {
    let url = "/realms/portunus/protocol/openid-connect/token";
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of the token endpoint. What its account may do is looked up at each call.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "portunus_session",
            "description": "The cookie of a session, which `POST /v1/login` sets.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "Beside the cookie of a session, with every call but GET: the value of the cookie `csrf_token`.",
        },
        "oauth2": {
            "type": "oauth2",
            "description": "A service account is a client, with its name as client id.",
            "flows": {"clientCredentials": {"tokenUrl": url, "scopes": {}}},
        },
    })
}
