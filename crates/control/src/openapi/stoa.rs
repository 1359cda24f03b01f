//! The paths of STOA's control plane, which are other names for the same resources.

use portunus_gateway::policy::TYPES;
use serde_json::{Value, json};

use super::Operations;
use super::operation::{Operation, example, schema};
use crate::access::Verb;

/// The tag of these operations.
pub const TAG: (&str, &str) =
    ("stoa", "Paths and shapes of STOA's control plane, for scripts that were written for it.");

/// The operations.
pub fn operations() -> Operations {
    let path = |path: &str| path.to_owned();
    vec![
        (path("/v1/admin/policies"), "get", list_policies()),
        (path("/v1/admin/policies"), "post", create_policy()),
        (path("/v1/admin/policies/{id}"), "get", read_policy()),
        (
            path("/v1/admin/policies/{id}"),
            "patch",
            change_policy("stoaUpdatePolicy", "JSON merge patch (RFC 7396), also within `config`."),
        ),
        (
            path("/v1/admin/policies/{id}"),
            "put",
            change_policy(
                "stoaReplacePolicy",
                "Each field that is sent replaces the one that is there; `config` is replaced whole.",
            ),
        ),
        (path("/v1/admin/policies/{id}"), "delete", delete_policy()),
        (path("/v1/admin/policies/bindings"), "post", bind()),
        (path("/v1/consumers/{tenant}"), "post", create_consumer()),
        (path("/v1/subscriptions"), "post", create_subscription()),
        (path("/v1/subscriptions/{id}/revoke"), "post", revoke_subscription()),
    ]
}

fn operation(id: &str, summary: &str, noun: &str, verb: Verb) -> Operation {
    Operation::new(id, TAG.0, summary).permission(noun, verb).refuses(&[503])
}

fn create_policy() -> Operation {
    let body = json!({
        "name": "browser-cors",
        "policy_type": "cors",
        "tenant_id": "default",
        "scope": "api",
        "config": {"origins": ["https://app.example.com"], "methods": ["GET", "POST"], "max_age": 3600},
    });
    operation("stoaCreatePolicy", "Create policy", "policy", Verb::Write)
        .parameters(&["IdempotencyKey"])
        .body(schema("StoaPolicyInput"), example("cors", &body))
        .answers(201, "It is made.", schema("StoaPolicy"))
        .refuses(&[404, 409, 422])
}

fn list_policies() -> Operation {
    operation("stoaListPolicies", "List policies", "policy", Verb::Read)
        .description("Of every tenant that the account may see, or of one.")
        .parameter(json!({"name": "tenant_id", "in": "query", "description": "Id or name of a tenant.", "schema": {"type": "string"}}))
        .parameters(&["Page", "PageSize", "Cursor", "Search"])
        .answers(200, "A page of them.", schema("PolicyList"))
        .refuses(&[404])
}

fn read_policy() -> Operation {
    operation("stoaGetPolicy", "Read policy", "policy", Verb::Read)
        .parameter(id("policy"))
        .answers(200, "As it is now.", schema("StoaPolicy"))
        .refuses(&[404])
}

fn change_policy(operation_id: &str, description: &str) -> Operation {
    let body = json!({"config": {"requests_per_minute": 200, "burst": 20}});
    operation(operation_id, "Change policy", "policy", Verb::Write)
        .description(description)
        .parameter(id("policy"))
        .body(schema("StoaPolicyChange"), example("limit", &body))
        .answers(200, "As it is now.", schema("StoaPolicy"))
        .refuses(&[404, 409, 422])
}

fn delete_policy() -> Operation {
    operation("stoaDeletePolicy", "Delete policy", "policy", Verb::Delete)
        .description("Its bindings go with it.")
        .parameter(id("policy"))
        .answers_empty(204, "It is gone.")
        .refuses(&[404, 409])
}

fn bind() -> Operation {
    let body = json!({"policy_id": "browser-cors", "api_catalog_id": "orders", "tenant_id": "default"});
    operation("stoaBindPolicy", "Bind policy", "policy", Verb::Write)
        .parameters(&["IdempotencyKey"])
        .body(schema("StoaBindingInput"), example("api", &body))
        .answers(201, "It applies from the next request on.", schema("StoaBinding"))
        .refuses(&[404, 409, 422])
}

fn create_consumer() -> Operation {
    let body = json!({
        "external_id": "user-12345",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "consumer_metadata": {"plan": "starter"},
    });
    operation("stoaCreateConsumer", "Create consumer", "consumer", Verb::Write)
        .at(&["Tenant"])
        .parameters(&["IdempotencyKey"])
        .body(schema("StoaConsumerInput"), example("minimal", &body))
        .answers(201, "It is made.", schema("StoaConsumer"))
        .refuses(&[404, 409, 422])
}

fn create_subscription() -> Operation {
    let body = json!({"consumer_id": "user-12345", "api_id": "orders", "tenant_id": "default"});
    operation("stoaCreateSubscription", "Subscribe and make a key", "subscription", Verb::Write)
        .description("Needs `credential:write` as well, for the key.")
        .parameters(&["IdempotencyKey"])
        .body(schema("StoaSubscriptionInput"), example("minimal", &body))
        .answers(201, "It is made, with a key that is shown this once.", schema("StoaSubscriptionCreated"))
        .refuses(&[404, 409, 422])
}

fn revoke_subscription() -> Operation {
    operation("stoaRevokeSubscription", "Revoke subscription", "subscription", Verb::Write)
        .description("Its keys are refused with 401 from the next request on.")
        .parameter(id("subscription"))
        .parameters(&["IdempotencyKey"])
        .answers(200, "It is revoked.", schema("Subscription"))
        .refuses(&[404, 409, 412])
}

/// These paths name no tenant, so a name would be ambiguous.
fn id(what: &str) -> Value {
    json!({"name": "id", "in": "path", "required": true, "description": format!("Id of the {what}."),
        "schema": {"type": "string", "format": "uuid"}})
}

/// The schemas of these operations.
pub fn schemas() -> Vec<(String, Value)> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let tenant = text("Id or name of the tenant; left out, what is made holds for the whole platform.");
    let reference = |kind: &str| text(&format!("Id or name of the {kind}."));
    let types: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    let changes = json!({
        "name": text("Unique among the tenant's policies."),
        "policy_type": {"enum": types},
        "config": {"type": "object", "description": "As `PolicyConfig_{policy_type}`."},
        "priority": {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 100},
        "scope": schema("Scope"),
        "enabled": {"type": "boolean", "default": true},
        "description": {"type": ["string", "null"]},
    });
    let mut policy = changes.clone();
    policy["tenant_id"] = tenant.clone();
    let input = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let with =
        |base: &str, properties: Value| json!({"allOf": [schema(base), {"type": "object", "properties": properties}]});
    let named = |name: &str, value: Value| (format!("Stoa{name}"), value);
    vec![
        named("PolicyInput", input(policy, &["name", "policy_type"])),
        named("PolicyChange", input(changes, &[])),
        named("Policy", with("Policy", json!({"binding_count": {"type": "integer", "minimum": 0}}))),
        named(
            "BindingInput",
            input(
                json!({
                    "policy_id": reference("policy"),
                    "tenant_id": tenant,
                    "api_catalog_id": reference("API"),
                    "plan_id": reference("plan"),
                    "consumer_id": reference("consumer"),
                    "subscription_id": reference("subscription"),
                    "enabled": {"type": "boolean", "default": true},
                }),
                &["policy_id"],
            ),
        ),
        named(
            "Binding",
            with(
                "Binding",
                json!({
                    "api_catalog_id": {"type": ["string", "null"], "format": "uuid"},
                    "gateway_instance_id": {"type": "null", "description": "Policies are not bound to one gateway."},
                }),
            ),
        ),
        named(
            "ConsumerInput",
            input(
                json!({
                    "external_id": text("Your own identifier of the consumer; its name in the other paths."),
                    "name": text("The name to show to people."),
                    "email": text("Where to reach them."),
                    "company": text("The company they belong to."),
                    "consumer_metadata": {"type": "object", "description": "Anything you want to keep with them."},
                }),
                &["external_id"],
            ),
        ),
        named(
            "Consumer",
            with(
                "Consumer",
                json!({
                    "external_id": {"type": "string"},
                    "consumer_metadata": {"type": "object"},
                }),
            ),
        ),
        named(
            "SubscriptionInput",
            input(
                json!({
                    "name": text("Left out, one is made up."),
                    "consumer_id": reference("consumer"),
                    "api_id": reference("API"),
                    "plan_id": reference("plan"),
                    "tenant_id": tenant,
                    "expires_at": {"type": "string", "format": "date-time"},
                }),
                &["consumer_id", "api_id"],
            ),
        ),
        named(
            "SubscriptionCreated",
            with(
                "Subscription",
                json!({
                    "api_key": text("Shown this once."),
                    "api_key_prefix": text("The first characters of the key, to recognise it by."),
                }),
            ),
        ),
    ]
}
