//! Passwords: changing the own one, and setting one with a link.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portunus_gateway::api_key;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::body::Object;
use super::super::caller::Caller;
use super::super::error::ApiError;
use super::super::identify::Identity;
use super::read;
use crate::control::Control;
use crate::login::{Arrival, credentials, link, password_change, stranger};

/// The page that a link leads to.
const PAGE: &str = include_str!("reset.html");

/// The old password and the new one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password that holds now.
    #[schemars(length(min = 1, max = 256))]
    pub current_password: String,
    /// The new one; how long it must be is said by the login policy.
    #[schemars(length(min = 12, max = 256))]
    pub new_password: String,
}

/// A token from a link, and a new password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// What stands after the `#` of a link, or `reset_token` of a login that must set a new password.
    #[schemars(length(min = 1, max = 200))]
    pub token: String,
    /// The new password; how long it must be is said by the login policy.
    #[schemars(length(min = 12, max = 256))]
    pub new_password: String,
}

/// Whose password is forgotten.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The user's address.
    #[schemars(length(min = 3, max = 320))]
    pub email: String,
}

/// `POST /v1/me/password`.
pub async fn change(
    State(control): State<Arc<Control>>,
    caller: Caller,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let change: PasswordChange = read(body)?;
    if caller.0.proof.session().is_none() {
        return Err(ApiError::forbidden("a password is changed by its owner, in a session"));
    }
    let arrival = Arrival::new(&caller.0.origin, &headers);
    credentials::confirm(&control, &caller.0.account, change.current_password, &arrival).await?;
    password_change::by_owner(&control, &caller.0, &change.new_password).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/login/reset`.
pub async fn reset(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let reset: PasswordReset = read(body)?;
    let arrival = Arrival::new(&identity.origin, &headers);
    password_change::by_token(&control, &reset.token, &reset.new_password, &arrival).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/login/forgot`: 202 whatever comes of it.
pub async fn forgot(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    body: Object,
) -> Result<Response, ApiError> {
    let forgotten: Forgotten = read(body)?;
    control.letters.ask(identity.origin.address, &forgotten.email).map_err(ApiError::rate_limited)?;
    link::forgotten(&control, forgotten.email, stranger(&identity.origin));
    Ok(StatusCode::ACCEPTED.into_response())
}

/// `GET /login/reset`: the page that a link leads to.
pub async fn page() -> Response {
    let script =
        PAGE.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>")).map_or("", |(text, _)| text);
    let hash = STANDARD.encode(api_key::hash(script.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, PAGE).into_response()
}
