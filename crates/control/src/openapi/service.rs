//! What is not CRUD: manifests, what Portunus says of itself, the steps of credentials and subscriptions.

use portunus_gateway::own::METRICS_TYPE;
use serde_json::json;

use super::Operations;
use super::operation::{Operation, example, schema};
use crate::access::Verb;
use crate::manifest::{self, API_VERSION};
use crate::resource;

/// The tags of these operations.
pub const TAGS: [(&str, &str); 2] =
    [("manifests", "Many resources at once, as files say them."), ("about", "What Portunus says of itself.")];

/// The operations.
pub fn operations() -> Operations {
    let mut operations: Operations = [
        ("/v1/apply", "post", apply()),
        ("/v1/export", "get", export()),
        ("/health", "get", health()),
        ("/health/ready", "get", ready()),
        ("/metrics", "get", metrics()),
        ("/v1/openapi.json", "get", openapi()),
        ("/v1/kinds", "get", kinds()),
        ("/v1/policy-types", "get", policy_types()),
        ("/v1/tenants/{tenant}/credentials/{id}/rotate", "post", rotate()),
        ("/v1/tenants/{tenant}/credentials/{id}/revoke", "post", revoke()),
    ]
    .into_iter()
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect();
    for (step, after) in STEPS {
        let path = format!("/v1/tenants/{{tenant}}/subscriptions/{{id}}/{step}");
        operations.push((path, "post", subscription_step(step, after)));
    }
    operations
}

/// The steps of a subscription, and the status after each.
const STEPS: [(&str, &str); 4] =
    [("approve", "active"), ("suspend", "suspended"), ("resume", "active"), ("revoke", "revoked")];

fn about(id: &str, summary: &str) -> Operation {
    Operation::new(id, "about", summary).public()
}

fn health() -> Operation {
    about("getHealth", "Say whether the process serves").answers(200, "It does.", schema("Health"))
}

fn ready() -> Operation {
    about("getReadiness", "Say whether the process can do its work")
        .answers(200, "It can.", schema("Readiness"))
        .answers(503, "The store cannot be read.", schema("Readiness"))
}

fn openapi() -> Operation {
    about("getOpenApi", "Describe this API").answers(200, "This document.", json!({"type": "object"}))
}

fn kinds() -> Operation {
    about("listKinds", "List the kinds of resources").answers(200, "Every kind.", schema("KindDescriptions"))
}

fn metrics() -> Operation {
    about("getMetrics", "Read all counters").answers_as(
        200,
        "The Prometheus text format.",
        METRICS_TYPE,
        json!({"type": "string"}),
    )
}

fn policy_types() -> Operation {
    about("listPolicyTypes", "List the policy types").answers(200, "Every policy type.", schema("PolicyTypes"))
}

fn apply() -> Operation {
    let flag = |name: &str, text: &str| json!({"name": name, "in": "query", "description": text, "schema": {"type": "boolean", "default": false}});
    let body = json!({"manifests": [{
        "apiVersion": API_VERSION,
        "kind": "Api",
        "metadata": {"tenant": manifest::DEFAULT_TENANT, "name": "orders"},
        "spec": {"base_path": "/orders", "upstream": {"targets": [{"url": "http://127.0.0.1:9000"}]}},
    }]});
    Operation::new("applyManifests", "manifests", "Make what manifests say true")
        .description(
            "All of it in one commit, or nothing. Needs `write` on every manifest's kind, and `delete` with `prune`.",
        )
        .permission("{kind}", Verb::Write)
        .parameter(flag("dry_run", "Whether only to say what would change."))
        .parameter(flag(
            "prune",
            "Whether to delete what no manifest describes, among the manifests' kinds and tenants.",
        ))
        .parameters(&["IdempotencyKey"])
        .body(schema("Manifests"), example("one", &body))
        .answers(200, "What changed.", schema("Applied"))
        .refuses(&[409, 422, 503])
}

fn export() -> Operation {
    let kinds: Vec<&str> = resource::all().map(|kind| kind.kind).collect();
    Operation::new("exportManifests", "manifests", "Write resources as manifests")
        .description("References are written by name. Needs `read` on every kind that is asked for.")
        .permission("{kind}", Verb::Read)
        .parameter(json!({"name": "kind", "in": "query", "description": "Only these kinds, separated by commas.",
            "style": "form", "explode": false, "schema": {"type": "array", "items": {"enum": kinds}}}))
        .parameter(json!({"name": "tenant", "in": "query", "description": "Only this tenant, by id or name.",
            "schema": {"type": "string"}}))
        .parameter(json!({"name": "secrets", "in": "query", "schema": {"const": "sealed"},
            "description": "Write secrets sealed, for this store alone, instead of as marks. Needs `secret:write` everywhere."}))
        .answers(200, "Ready to be applied.", schema("Manifests"))
        .refuses(&[400, 404, 503])
}

fn rotate() -> Operation {
    Operation::new("rotateCredential", "credentials", "Replace a key by a new one")
        .description("The old key ends at once, or after the grace period.")
        .permission("credential", Verb::Write)
        .at(&["Tenant", "Id"])
        .parameters(&["IdempotencyKey"])
        .body(schema("Rotation"), example("a_day", &json!({"grace_period_hours": 24})))
        .optional_body()
        .answers(201, "The new credential with its key.", schema("CredentialCreated"))
        .refuses(&[409, 422, 503])
}

fn revoke() -> Operation {
    Operation::new("revokeCredential", "credentials", "Revoke a key")
        .description("The next request with it is refused with 401.")
        .permission("credential", Verb::Write)
        .at(&["Tenant", "Id"])
        .parameters(&["IdempotencyKey"])
        .answers(200, "It is revoked.", schema("Credential"))
        .refuses(&[503])
}

fn subscription_step(step: &str, after: &str) -> Operation {
    let capital = step[..1].to_uppercase() + &step[1..];
    Operation::new(format!("{step}Subscription"), "subscriptions", format!("{capital} subscription"))
        .description(format!(
            "Its status is `{after}` after that; refused with 409 if the step cannot be taken from where it is."
        ))
        .permission("subscription", Verb::Write)
        .at(&["Tenant", "Id"])
        .parameters(&["IdempotencyKey"])
        .answers(200, "As it is now.", schema("Subscription"))
        .refuses(&[409, 412, 503])
}
