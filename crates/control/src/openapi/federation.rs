//! Logins at providers outside.

use serde_json::json;

use super::Operations;
use super::operation::Operation;
use crate::federation::login::CALLBACK;

/// The tag of these operations.
pub const TAG: (&str, &str) = ("federation", "Logins at identity providers outside; browsers are sent here.");

/// The operations.
pub fn operations() -> Operations {
    vec![("/v1/login/oidc/{provider}/start".to_owned(), "get", start()), (CALLBACK.to_owned(), "get", callback())]
}

fn start() -> Operation {
    let provider = json!({"name": "provider", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "Id or name of an identity provider."});
    let return_to = json!({"name": "return_to", "in": "query", "schema": {"type": "string", "default": "/"},
        "description": "The path of this server to go to afterwards."});
    Operation::new("startExternalLogin", TAG.0, "Send a browser to a provider")
        .description("Begins the authorization code flow with PKCE. What is begun in one browser ends there.")
        .public()
        .parameter(provider)
        .parameter(return_to)
        .answers_empty(303, "To the provider.")
        .refuses(&[400, 404, 502])
}

fn callback() -> Operation {
    let query = |name: &str, text: &str| json!({"name": name, "in": "query", "description": text, "schema": {"type": "string"}});
    Operation::new("finishExternalLogin", TAG.0, "Take a browser back from a provider")
        .description("The redirect URI to register at the provider. Begins a session and sets its cookies.")
        .public()
        .parameter(query("state", "Which login it is."))
        .parameter(query("code", "What the provider gives its token for."))
        .parameter(query("iss", "Who answers (RFC 9207)."))
        .parameter(query("error", "Why nobody has logged in."))
        .answers_empty(303, "To the path that was asked for, with a session.")
        .answers_as(401, "Nobody is logged in.", "application/problem+json", super::operation::schema("Problem"))
        .refuses(&[400, 502])
}
