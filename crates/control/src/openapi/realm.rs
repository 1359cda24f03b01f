//! Portunus as an OpenID provider, and what administrators do with the realm.

use serde_json::{Map, Value, json};

use super::Operations;
use super::operation::{Operation, schema};
use crate::access::Verb;

const FORM: &[&str] = &["application/x-www-form-urlencoded"];

/// The tag of these operations.
pub const TAG: (&str, &str) = ("realm", "Portunus as an OpenID provider: its description, keys and tokens.");

/// The operations.
pub fn operations() -> Operations {
    let realm = |path: &str| format!("/realms/{{realm}}/{path}");
    let connect = |path: &str| realm(&format!("protocol/openid-connect/{path}"));
    vec![
        (realm(".well-known/openid-configuration"), "get", discovery()),
        (connect("certs"), "get", certs()),
        (connect("token"), "post", token()),
        (connect("userinfo"), "get", userinfo("getUserinfo")),
        (connect("userinfo"), "post", userinfo("postUserinfo")),
        (connect("token/introspect"), "post", introspect()),
        (connect("revoke"), "post", revoke()),
        ("/v1/realm/keys/rotate".to_owned(), "post", rotate()),
    ]
}

/// The schemas that only these operations have.
pub fn schemas() -> Vec<(String, Value)> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let secret = json!({"type": "string", "writeOnly": true});
    let token_form = |description: &str| {
        json!({
            "type": "object",
            "properties": {
                "token": text(description),
                "token_type_hint": text("Not needed; taken and not used."),
                "client_id": text("The client, unless it is in basic authentication."),
                "client_secret": secret,
            },
            "required": ["token"],
        })
    };
    let schemas = [
        ("IntrospectionRequest", token_form("The access token to ask about.")),
        ("RevocationRequest", token_form("The token to take back.")),
        (
            "Introspection",
            json!({
                "type": "object",
                "properties": {
                    "active": {"type": "boolean", "description": "Whether the token is good now; all else is only there when it is."},
                    "token_type": {"const": "Bearer"},
                    "iss": text("The realm."),
                    "sub": text("The account's id."),
                    "aud": text("Whom the token is for."),
                    "client_id": text("The client that got it."),
                    "username": text("The account's name."),
                    "iat": {"type": "integer", "description": "When it was made, in seconds since 1970."},
                    "exp": {"type": "integer", "description": "When its time is over, in seconds since 1970."},
                    "jti": text("The token's id."),
                    "sid": text("The session that it ends with."),
                    "roles": {"type": "array", "items": {"type": "string"}, "description": "The roles when it was made."},
                },
                "required": ["active"],
            }),
        ),
        (
            "Userinfo",
            json!({
                "type": "object",
                "properties": {
                    "sub": text("The account's id."),
                    "preferred_username": text("The account's name."),
                    "name": text("The name to show to people."),
                    "email": text("Where to reach them."),
                    "tenant_id": text("The account's tenant."),
                    "roles": {"type": "array", "items": {"type": "string"}, "description": "The names of its roles."},
                },
                "required": ["sub", "preferred_username", "tenant_id"],
            }),
        ),
        (
            "SigningKey",
            json!({"type": "object", "properties": {"kid": text("The new key's id.")}, "required": ["kid"]}),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn realm(id: &str, summary: &str) -> Operation {
    let name = json!({"name": "realm", "in": "path", "required": true, "description": "Any name; all realms are the same one.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}, "example": "portunus"});
    Operation::new(id, TAG.0, summary).parameter(name).refuses(&[404])
}

fn discovery() -> Operation {
    realm("getOpenIdConfiguration", "Describe the provider")
        .description("OpenID Connect Discovery 1.0, RFC 8414.")
        .public()
        .answers(200, "Issuer and addresses.", json!({"type": "object"}))
}

fn certs() -> Operation {
    realm("getJwks", "Read the public keys")
        .description("RFC 7517. A key that signs no more stays until its last token is over.")
        .public()
        .answers(200, "The key set.", json!({"type": "object"}))
}

fn token() -> Operation {
    realm("issueToken", "Get an access token")
        .description(
            "For a service account: `grant_type=client_credentials` with `client_id` and `client_secret`, in the form or by \
             basic authentication. For a person: `grant_type=password` with `client_id=portunus-cli`, `username` and `password`, \
             which begins a session, and then `grant_type=refresh_token` with `refresh_token`.",
        )
        .public()
        .body_as(FORM, schema("TokenRequest"), Map::new())
        .answers(200, "A token.", schema("Token"))
        .answers(400, "The request is not one for a token.", schema("TokenError"))
        .answers(401, "The client, the user or the secret is not known.", schema("TokenError"))
        .answers(429, "Too many wrong secrets; `Retry-After` says when to come again.", schema("TokenError"))
}

fn userinfo(id: &str) -> Operation {
    realm(id, "Read what the provider knows of the caller").account().answers(200, "The caller.", schema("Userinfo"))
}

fn introspect() -> Operation {
    realm("introspectToken", "Ask whether a token is good")
        .description("RFC 7662. A client of the tenant `platform` may ask about every token, others about those of their tenant.")
        .public()
        .body_as(FORM, schema("IntrospectionRequest"), Map::new())
        .answers(200, "Whether it is, and what it says.", schema("Introspection"))
        .answers(400, "The token is missing.", schema("TokenError"))
        .answers(401, "The client or its secret is not known.", schema("TokenError"))
        .answers(429, "Too many wrong secrets; `Retry-After` says when to come again.", schema("TokenError"))
}

fn revoke() -> Operation {
    realm("revokeToken", "Take a token back")
        .description("RFC 7009. Only the client that got a token can; what is no token is no fault.")
        .public()
        .body_as(FORM, schema("RevocationRequest"), Map::new())
        .answers_empty(200, "The token is not good any more.")
        .answers(400, "The token is missing, or another client's.", schema("TokenError"))
        .answers(401, "The client or its secret is not known.", schema("TokenError"))
        .answers(429, "Too many wrong secrets; `Retry-After` says when to come again.", schema("TokenError"))
        .answers(503, "Too many tokens are revoked at the moment.", schema("TokenError"))
}

fn rotate() -> Operation {
    Operation::new("rotateSigningKey", TAG.0, "Sign with a new key from here on")
        .description("Tokens that were signed with the one before stay good for their time.")
        .permission("realm", Verb::Write)
        .answers(200, "The new key.", schema("SigningKey"))
        .refuses(&[503])
}
