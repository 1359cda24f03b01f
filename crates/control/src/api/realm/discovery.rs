//! What a client has to know of the provider: its addresses and its keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Realm;
use crate::control::Control;
use crate::token::key::ALGORITHM;

/// The grants of the token endpoint.
pub const GRANTS: &[&str] = &["client_credentials", "password"];

/// How clients prove themselves.
const CLIENT_AUTHENTICATION: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// `GET /realms/{realm}/.well-known/openid-configuration` (OpenID Connect Discovery 1.0, RFC 8414).
pub async fn document(State(control): State<Arc<Control>>, Realm(realm): Realm) -> Response {
    let issuer = control.tokens.issuer(&realm);
    let at = |path: &str| format!("{issuer}/protocol/openid-connect/{path}");
    Json(json!({
        "issuer": issuer,
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("userinfo"),
        "jwks_uri": at("certs"),
        "introspection_endpoint": at("token/introspect"),
        "revocation_endpoint": at("revoke"),
        "grant_types_supported": GRANTS,
        // There is no authorization endpoint: people log in at Portunus itself.
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "introspection_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "preferred_username", "name", "email", "roles"],
    }))
    .into_response()
}

/// `GET /realms/{realm}/protocol/openid-connect/certs`: the key set (RFC 7517).
pub async fn certs(State(control): State<Arc<Control>>, Realm(_): Realm) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=60")];
    (headers, control.tokens.jwks().to_string()).into_response()
}
