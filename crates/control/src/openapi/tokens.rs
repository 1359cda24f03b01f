//! API tokens: the steps of a token, the tokens that somebody makes for themselves, and the review of all access.

use serde_json::json;

use super::Operations;
use super::operation::{Operation, example, schema};
use crate::access::Verb;

const TAG: &str = "api-tokens";

/// The operations.
pub fn operations() -> Operations {
    [
        ("/v1/tenants/{tenant}/api-tokens/{id}/rotate", "post", rotate()),
        ("/v1/tenants/{tenant}/api-tokens/{id}/revoke", "post", revoke()),
        ("/v1/me/tokens", "get", list_own()),
        ("/v1/me/tokens", "post", create_own()),
        ("/v1/me/tokens/{id}", "get", read_own()),
        ("/v1/me/tokens/{id}", "delete", delete_own()),
        ("/v1/me/tokens/{id}/rotate", "post", rotate_own()),
        ("/v1/access-review", "get", review()),
    ]
    .into_iter()
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect()
}

fn rotation(id: &str, summary: &str) -> Operation {
    Operation::new(id, TAG, summary)
        .description("The old text ends at once, or after the grace period. A new rotation ends all older texts.")
        .parameters(&["IdempotencyKey"])
        .body(schema("TokenRotation"), example("a_day", &json!({"grace_period_hours": 24})))
        .optional_body()
        .answers(201, "The token with its new text.", schema("ApiTokenCreated"))
        .refuses(&[409, 412, 422, 503])
}

fn rotate() -> Operation {
    rotation("rotateApiToken", "Replace a token's text by a new one")
        .permission("api_token", Verb::Write)
        .at(&["Tenant", "Id"])
}

fn revoke() -> Operation {
    Operation::new("revokeApiToken", TAG, "Revoke a token")
        .description("The next call with it is refused with 401.")
        .permission("api_token", Verb::Write)
        .at(&["Tenant", "Id"])
        .parameters(&["IdempotencyKey"])
        .answers(200, "It is revoked.", schema("ApiToken"))
        .refuses(&[503])
}

fn list_own() -> Operation {
    Operation::new("listOwnTokens", TAG, "List the caller's own tokens")
        .account()
        .answers(200, "All of them.", schema("ApiTokenList"))
        .refuses(&[503])
}

fn create_own() -> Operation {
    Operation::new("createOwnToken", TAG, "Create a token for oneself")
        .description("It carries no more than what it is made with, and does not outlive a token that it is made with.")
        .account()
        .parameters(&["IdempotencyKey"])
        .body(schema("OwnToken"), example("read_only", &json!({"name": "laptop", "scopes": ["*:read"]})))
        .answers(201, "It is made; `token` is shown this once.", schema("ApiTokenCreated"))
        .refuses(&[409, 422, 503])
}

fn read_own() -> Operation {
    Operation::new("getOwnToken", TAG, "Read one of the caller's own tokens")
        .account()
        .at(&["Id"])
        .answers(200, "As it is now.", schema("ApiToken"))
        .refuses(&[503])
}

fn delete_own() -> Operation {
    Operation::new("deleteOwnToken", TAG, "Delete one of the caller's own tokens")
        .account()
        .at(&["Id"])
        .answers(200, "It is gone.", schema("Deleted"))
        .refuses(&[503])
}

fn rotate_own() -> Operation {
    rotation("rotateOwnToken", "Replace the text of one of the caller's own tokens").account().at(&["Id"])
}

fn review() -> Operation {
    let query = |name: &str, description: &str, schema: serde_json::Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    Operation::new("reviewAccess", TAG, "List who can do what, and when they last did")
        .description(
            "Users, service accounts and API tokens. Needs `service_account:read` and `api_token:read` as well.",
        )
        .permission("user", Verb::Read)
        .parameter(query("tenant", "Only this tenant, by id or name.", json!({"type": "string"})))
        .parameter(query("kind", "Only these.", json!({"enum": ["user", "service_account", "api_token"]})))
        .answers(200, "All of them.", schema("AccessReview"))
        .refuses(&[400, 503])
}
