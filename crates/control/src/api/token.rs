//! The token endpoint (RFC 6749 section 4.3 and 4.4; S29).

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::error::ApiError;
use super::realm::userinfo::role_names;
use crate::access::AccountKind;
use crate::control::Control;
use crate::password;
use crate::serve::Peer;
use crate::token::{Recipient, is_realm};

/// The client that people log in with; it has no secret (RFC 6749 section 2.1, a public client).
pub const PUBLIC_CLIENT: &str = "portunus-cli";

/// `POST /realms/{realm}/protocol/openid-connect/token`. All realms are the same one.
pub async fn issue(
    State(control): State<Arc<Control>>,
    Path(realm): Path<String>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    if !is_realm(&realm) {
        return ApiError::not_found("there is no realm with such a name").into_response();
    }
    let Ok(Form(mut form)) = form else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "send a form (application/x-www-form-urlencoded)");
    };
    if let Some((client, secret)) = basic(&headers) {
        form.insert("client_id".to_owned(), client);
        form.insert("client_secret".to_owned(), secret);
    }
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (kind, name, secret) = match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => (AccountKind::ServiceAccount, field("client_id"), field("client_secret")),
        Some("password") if field("client_id") == PUBLIC_CLIENT => {
            (AccountKind::User, field("username"), field("password"))
        }
        Some("password") => {
            return refused(
                StatusCode::BAD_REQUEST,
                "unauthorized_client",
                "the password grant is for the client portunus-cli",
            );
        }
        Some(_) => {
            return refused(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "there are client_credentials and password",
            );
        }
        None => return refused(StatusCode::BAD_REQUEST, "invalid_request", "`grant_type` is missing"),
    };
    if let Some(wait) = control.throttle.is_guessing(peer.0.ip(), &name) {
        let mut response =
            refused(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many wrong secrets from this address");
        response.headers_mut().insert(RETRY_AFTER, wait.into());
        return response;
    }
    let account = control.store.access.load().named(kind, &name).cloned();
    let hash = account.as_ref().and_then(|account| account.secret_hash.clone());
    if !password::verify(hash, secret).await {
        control.throttle.guessed_wrong(peer.0.ip(), &name);
        tracing::warn!(target: "control", account = name, client_ip = %peer.0.ip(), "login_failed");
        let (error, text) = match kind {
            AccountKind::ServiceAccount => ("invalid_client", "the client or its secret is not known"),
            AccountKind::User => ("invalid_grant", "the user or the password is not known"),
        };
        return refused(StatusCode::UNAUTHORIZED, error, text);
    }
    let Some(account) = account else {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", "the client or its secret is not known");
    };
    let roles = match role_names(&control, &account).await {
        Ok(roles) => roles,
        Err(error) => return error.into_response(),
    };
    let client_id = field("client_id");
    let recipient = Recipient { realm: &realm, client_id: &client_id, roles: &roles };
    let answer = json!({
        "access_token": control.tokens.issue_to(account.id, None, &recipient),
        "token_type": "Bearer",
        "expires_in": control.tokens.lifetime,
    });
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(client, secret)| (client.to_owned(), secret.to_owned()))
}

/// RFC 6749 section 5.2.
pub(super) fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    let answer = Json(json!({ "error": error, "error_description": description }));
    let mut response = (status, [(CACHE_CONTROL, "no-store")], answer).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Basic realm=\"portunus\""));
    }
    response
}
