//! Portunus as a small OpenID provider, at `/realms/{realm}/...`, the paths that Keycloak has. All realms are the same one;
//! what a client gets from a realm carries that realm's name as issuer.

pub mod client;
pub mod discovery;
pub mod introspect;
pub mod keys;
pub mod revoke;
pub mod transfer;
pub mod userinfo;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path};
use axum::http::Method;
use axum::http::request::Parts;
use axum::routing;

use super::LARGEST_APPLY;
use super::error::ApiError;
use super::routes::{Needs, Routes, permission};
use super::token;
use crate::access::Verb;
use crate::token::is_realm;

/// The realm that a path names.
pub struct Realm(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Realm {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(realm)) if is_realm(&realm) => Ok(Self(realm)),
            _ => Err(ApiError::not_found("the name of a realm has 1 to 64 letters, digits, `-` and `_`")),
        }
    }
}

/// The provider's routes.
pub fn routes() -> Routes {
    use Needs::{Account, Nothing};
    const OWN: Needs = Account("it tells an account about itself");
    const SECRET: Needs = Nothing("it takes the credentials of the client itself");
    Routes::default()
        .get("/realms/{realm}/.well-known/openid-configuration", Nothing("it is for everybody"), discovery::document)
        .get(
            "/realms/{realm}/protocol/openid-connect/certs",
            Nothing("public keys are for everybody"),
            discovery::certs,
        )
        .post("/realms/{realm}/protocol/openid-connect/token", SECRET, token::issue)
        .get("/realms/{realm}/protocol/openid-connect/userinfo", OWN, userinfo::userinfo)
        .post("/realms/{realm}/protocol/openid-connect/userinfo", OWN, userinfo::userinfo)
        .post("/realms/{realm}/protocol/openid-connect/token/introspect", SECRET, introspect::introspect)
        .post("/realms/{realm}/protocol/openid-connect/revoke", SECRET, revoke::revoke)
        .post("/v1/realm/keys/rotate", permission("realm", Verb::Write), keys::rotate)
        .get("/v1/realm/export", permission("realm", Verb::Read), transfer::show)
        .post("/v1/realm/export", permission("realm", Verb::Write), transfer::export)
        .add(
            Method::POST,
            "/v1/realm/import",
            permission("realm", Verb::Write),
            routing::post(transfer::import).layer(DefaultBodyLimit::max(LARGEST_APPLY)),
        )
}
