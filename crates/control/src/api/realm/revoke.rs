//! Token revocation (RFC 7009): a client takes back a token that it got.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

use super::super::error::ApiError;
use super::super::identify::{Identity, of_access_token};
use super::super::token::refused;
use super::Realm;
use super::client::{Fields, authenticate};
use crate::control::Control;
use crate::token::revoked::Revocation;

/// `POST /realms/{realm}/protocol/openid-connect/revoke`. A token that is none is no fault (section 2.2).
pub async fn revoke(
    State(control): State<Arc<Control>>,
    Realm(_): Realm,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    form: Fields,
) -> Response {
    let (form, client) = match authenticate(&control, &identity.origin, &headers, form).await {
        Ok(known) => known,
        Err(refusal) => return *refusal,
    };
    let Some(token) = form.get("token") else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "`token` is missing");
    };
    let Ok(verified) = control.tokens.verify(token) else { return StatusCode::OK.into_response() };
    if verified.claims.client_id != client.id() {
        let text = "the token was issued to another client";
        return refused(StatusCode::BAD_REQUEST, "unauthorized_client", text);
    }
    let actor = match of_access_token(&control, token, &identity.origin).await {
        Ok(principal) => principal.actor(),
        // The account is gone or locked, so the token is dead already.
        Err(_) => return StatusCode::OK.into_response(),
    };
    match control.tokens.revoked.revoke(&control.store, &verified.claims, actor).await {
        Ok(Revocation::Done) => StatusCode::OK.into_response(),
        Ok(Revocation::Full) => {
            let text = "too many tokens are revoked; the oldest are over soon";
            let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
            response
        }
        Err(error) => ApiError::store(error).into_response(),
    }
}
