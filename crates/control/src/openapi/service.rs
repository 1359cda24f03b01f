//! What is not CRUD: tokens, manifests, what Portunus says of itself, the steps of credentials and subscriptions.

use portunus_gateway::own::METRICS_TYPE;
use portunus_gateway::policy::TYPES;
use serde_json::{Map, Value, json};

use super::Operations;
use super::operation::{Operation, example, schema};
use crate::access::Verb;
use crate::manifest::{self, API_VERSION};
use crate::resource;

/// The tags of these operations.
pub const TAGS: [(&str, &str); 3] = [
    ("tokens", "Access tokens (RFC 6749)."),
    ("manifests", "Many resources at once, as files say them."),
    ("about", "What Portunus says of itself."),
];

/// The operations.
pub fn operations() -> Operations {
    let path = |path: &str| path.to_owned();
    let mut operations = vec![
        (path("/realms/{realm}/protocol/openid-connect/token"), "post", token()),
        (path("/v1/apply"), "post", apply()),
        (path("/v1/export"), "get", export()),
        (path("/health"), "get", about("getHealth", "Say whether the process serves").answers(200, "It does.", schema("Health"))),
        (path("/metrics"), "get", metrics()),
        (path("/v1/openapi.json"), "get", about("getOpenApi", "Describe this API").answers(200, "This document.", json!({"type": "object"}))),
        (path("/v1/kinds"), "get", about("listKinds", "List the kinds of resources").answers(200, "Every kind.", schema("KindDescriptions"))),
        (path("/v1/policy-types"), "get", policy_types()),
        (path("/v1/tenants/{tenant}/credentials/{id}/rotate"), "post", rotate()),
        (path("/v1/tenants/{tenant}/credentials/{id}/revoke"), "post", revoke()),
    ];
    for (step, after) in [("approve", "active"), ("suspend", "suspended"), ("resume", "active"), ("revoke", "revoked")] {
        operations.push((format!("/v1/tenants/{{tenant}}/subscriptions/{{id}}/{step}"), "post", subscription_step(step, after)));
    }
    operations
}

fn about(id: &str, summary: &str) -> Operation {
    Operation::new(id, "about", summary).public()
}

fn metrics() -> Operation {
    about("getMetrics", "Read all counters").answers_as(200, "The Prometheus text format.", METRICS_TYPE, json!({"type": "string"}))
}

fn policy_types() -> Operation {
    about("listPolicyTypes", "List the policy types").answers(200, "Every policy type.", schema("PolicyTypes"))
}

fn token() -> Operation {
    let realm = json!({"name": "realm", "in": "path", "required": true, "description": "Any name; all realms are the same one.",
        "schema": {"type": "string"}, "example": "portunus"});
    Operation::new("issueToken", "tokens", "Get an access token")
        .description(
            "For a service account: `grant_type=client_credentials` with `client_id` and `client_secret`, in the form or by \
             basic authentication. For a person: `grant_type=password` with `client_id=portunus-cli`, `username` and `password`.",
        )
        .public()
        .parameter(realm)
        .body_as(&["application/x-www-form-urlencoded"], schema("TokenRequest"), Map::new())
        .answers(200, "A token.", schema("Token"))
        .answers(400, "The request is not one for a token.", schema("TokenError"))
        .answers(401, "The client, the user or the secret is not known.", schema("TokenError"))
        .answers(429, "Too many wrong secrets; `Retry-After` says when to come again.", schema("TokenError"))
}

fn apply() -> Operation {
    let flag = |name: &str, text: &str| {
        json!({"name": name, "in": "query", "description": text, "schema": {"type": "boolean", "default": false}})
    };
    let body = json!({"manifests": [{
        "apiVersion": API_VERSION,
        "kind": "Api",
        "metadata": {"tenant": manifest::DEFAULT_TENANT, "name": "orders"},
        "spec": {"base_path": "/orders", "upstream": {"targets": [{"url": "http://127.0.0.1:9000"}]}},
    }]});
    Operation::new("applyManifests", "manifests", "Make what manifests say true")
        .description("All of it in one commit, or nothing. Needs `write` on every manifest's kind, and `delete` with `prune`.")
        .permission("{kind}", Verb::Write)
        .parameter(flag("dry_run", "Whether only to say what would change."))
        .parameter(flag("prune", "Whether to delete what no manifest describes, among the manifests' kinds and tenants."))
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
        .answers(200, "Ready to be applied.", schema("Manifests"))
        .refuses(&[400, 404, 503])
}

fn rotate() -> Operation {
    Operation::new("rotateCredential", "credentials", "Replace a key by a new one")
        .description("The old key ends at once, or after the grace period.")
        .permission("credential", Verb::Write)
        .parameters(&["Tenant", "Id", "IdempotencyKey"])
        .body(schema("Rotation"), example("a_day", &json!({"grace_period_hours": 24})))
        .optional_body()
        .answers(201, "The new credential with its key.", schema("CredentialCreated"))
        .refuses(&[404, 409, 422, 503])
}

fn revoke() -> Operation {
    Operation::new("revokeCredential", "credentials", "Revoke a key")
        .description("The next request with it is refused with 401.")
        .permission("credential", Verb::Write)
        .parameters(&["Tenant", "Id", "IdempotencyKey"])
        .answers(200, "It is revoked.", schema("Credential"))
        .refuses(&[404, 503])
}

fn subscription_step(step: &str, after: &str) -> Operation {
    let capital = step[..1].to_uppercase() + &step[1..];
    Operation::new(format!("{step}Subscription"), "subscriptions", format!("{capital} subscription"))
        .description(format!("Its status is `{after}` after that; refused with 409 if the step cannot be taken from where it is."))
        .permission("subscription", Verb::Write)
        .parameters(&["Tenant", "Id", "IdempotencyKey"])
        .answers(200, "As it is now.", schema("Subscription"))
        .refuses(&[404, 409, 412, 503])
}

/// The schemas of these operations.
pub fn schemas() -> Vec<(String, Value)> {
    let named = |name: &str, value: Value| (name.to_owned(), value);
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required});
    let text = |description: &str| json!({"type": "string", "description": description});
    let kinds: Vec<&str> = resource::all().map(|kind| kind.kind).collect();
    let types: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    let json_schema = json!({"type": "object", "description": "JSON Schema 2020-12."});
    let fields = |description: &str| json!({"type": ["object", "null"], "description": description});
    let mut manifest = manifest::schema();
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.retain(|field, _| !matches!(field.as_str(), "$schema" | "title" | "allOf" | "$defs"));
    }
    manifest["properties"]["spec"]["description"] = json!("The fields of `{Kind}Input` without the name; references by id or name.");
    let list = |of: Value| object(json!({"items": {"type": "array", "items": of}, "total": {"type": "integer"}}), &["items", "total"]);
    vec![
        named("Manifest", manifest),
        named("Manifests", object(json!({"manifests": {"type": "array", "items": schema("Manifest")}}), &["manifests"])),
        named("Change", object(json!({
            "action": {"enum": ["created", "updated", "unchanged", "deleted"]},
            "kind": {"enum": kinds},
            "tenant": text("The name of its tenant."),
            "name": text("Its name."),
            "id": {"type": "string", "format": "uuid"},
            "before": fields("The fields before; null for a new resource."),
            "after": fields("The fields after; null for a deleted one."),
            "secret": {"type": "object", "additionalProperties": {"type": "string"},
                "description": "A secret by its field, such as `api_key`; shown this once."},
        }), &["action", "kind", "tenant", "name", "id", "before", "after"])),
        named("Applied", object(json!({
            "changes": {"type": "array", "items": schema("Change")},
            "revision": {"type": "integer", "description": "The store's revision after the change."},
        }), &["changes", "revision"])),
        named("Rotation", json!({"type": "object", "properties": {
            "grace_period_hours": {"type": "integer", "minimum": 0, "maximum": 720, "default": 0,
                "description": "How long the old key goes on working beside the new one."},
        }})),
        named("TokenRequest", object(json!({
            "grant_type": {"enum": ["client_credentials", "password"]},
            "client_id": text("The service account's name; `portunus-cli` for the password grant."),
            "client_secret": {"type": "string", "writeOnly": true},
            "username": text("A user's name."),
            "password": {"type": "string", "writeOnly": true},
        }), &["grant_type"])),
        named("Token", object(json!({
            "access_token": {"type": "string"},
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "description": "In seconds."},
        }), &["access_token", "token_type", "expires_in"])),
        named("TokenError", object(json!({
            "error": text("A code of RFC 6749 section 5.2."),
            "error_description": {"type": "string"},
        }), &["error"])),
        named("Health", object(json!({
            "status": {"const": "ok"},
            "version": {"type": "string"},
            "uptime_seconds": {"type": "integer", "minimum": 0},
        }), &["status", "version", "uptime_seconds"])),
        named("KindDescriptions", list(object(json!({
            "kind": {"enum": kinds},
            "plural": text("As in paths."),
            "noun": text("As in permissions."),
            "description": {"type": "string"},
            "references": {"type": "array", "items": object(json!({"field": {"type": "string"}, "kind": {"enum": kinds}}), &["field", "kind"])},
            "schema": json_schema,
        }), &["kind", "plural", "noun", "description", "references", "schema"]))),
        named("PolicyTypes", list(object(json!({
            "policy_type": {"enum": types},
            "phase": text("When in the walk of a request it is asked."),
            "stacks": {"type": "boolean", "description": "Whether all policies of this type apply to a call, instead of the one that wins."},
            "example": text("A configuration in YAML."),
            "schema": json_schema,
        }), &["policy_type", "phase", "stacks", "example", "schema"]))),
    ]
}
