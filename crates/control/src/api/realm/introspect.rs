//! Token introspection (RFC 7662): a client asks whether a token is good now.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderMap};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::identify::{Identity, of_access_token};
use super::super::token::refused;
use super::Realm;
use super::client::{Client, Fields, authenticate};
use crate::access::Account;
use crate::control::Control;

/// `POST /realms/{realm}/protocol/openid-connect/token/introspect`.
pub async fn introspect(
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
    let Client::Confidential(client) = client else {
        let text = "introspection is for service accounts with their secret";
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", text);
    };
    let Some(token) = form.get("token") else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "`token` is missing");
    };
    let answer = match of_access_token(&control, token, &identity.origin).await {
        Ok(principal) if may_see(&control, &client, &principal.account) => {
            describe(&control, token, &principal.account)
        }
        // Of a token that is no good, nothing else is told (section 2.2).
        _ => json!({ "active": false }),
    };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// A client of the platform sees every token, any other those of its tenant's accounts.
fn may_see(control: &Control, client: &Account, account: &Account) -> bool {
    Some(client.tenant_id) == control.store.access.load().platform || client.tenant_id == account.tenant_id
}

fn describe(control: &Control, token: &str, account: &Account) -> Value {
    let Ok(verified) = control.tokens.verify(token) else { return json!({ "active": false }) };
    let claims = verified.claims;
    let mut answer = json!({
        "active": true,
        "token_type": "Bearer",
        "iss": claims.iss,
        "sub": claims.sub,
        "aud": claims.aud,
        "client_id": claims.client_id,
        "username": account.name,
        "iat": claims.iat,
        "exp": claims.exp,
        "jti": claims.jti,
        "roles": claims.roles,
    });
    if let Some(session) = claims.sid {
        answer["sid"] = session.to_string().into();
    }
    answer
}
