//! What a new resource of each kind can look like.

use portunus_gateway::policy::{PolicyType, TYPES};
use serde_json::{Map, Value, json};

/// A body that makes a resource of each kind, and the field of the answer that shows a secret once.
const KINDS: &[(&str, &str, Option<&str>)] = &[
    ("Tenant", r#"{"name": "acme", "display_name": "Acme Ltd"}"#, None),
    (
        "Api",
        r#"{"name": "orders", "base_path": "/orders", "upstream": {"targets": [{"url": "http://127.0.0.1:9000"}]}}"#,
        None,
    ),
    (
        "Upstream",
        r#"{"name": "orders-pool", "targets": [{"url": "http://10.0.0.1:9000"}, {"url": "http://10.0.0.2:9000"}]}"#,
        None,
    ),
    ("Binding", r#"{"policy_id": "standard-limit", "api_id": "orders"}"#, None),
    ("Plan", r#"{"name": "starter", "rate_limit": {"requests_per_minute": 60, "burst": 10}}"#, None),
    ("Consumer", r#"{"name": "acme-app", "email": "api@acme.example"}"#, None),
    ("Subscription", r#"{"consumer_id": "acme-app", "api_id": "orders", "plan_id": "starter"}"#, None),
    ("Credential", r#"{"consumer_id": "acme-app"}"#, Some("api_key")),
    ("ContentPage", r#"{"content_type": "project", "slug": "portunus", "data": {"title": "Portunus"}}"#, None),
    ("ApiToken", r#"{"service_account_id": "pipeline", "scopes": ["api:*", "upstream:read"]}"#, Some("token")),
    (
        "IdentityProvider",
        r#"{"name": "keycloak", "issuer": "https://id.example.com/realms/stoa", "client_id": "portunus", "audience": "portunus",
            "rules": [{"claim": "realm_access.roles", "contains": "gateway-admin", "roles": ["operator"]}]}"#,
        None,
    ),
    ("Role", r#"{"name": "publisher", "permissions": ["api:*", "upstream:*", "policy:read"]}"#, None),
    ("LoginPolicy", r#"{"name": "default", "second_factor": "admins", "step_up_minutes": 10}"#, None),
    ("ServiceAccount", r#"{"name": "pipeline", "roles": ["ci"]}"#, Some("client_secret")),
    (
        "ApprovalRule",
        r#"{"name": "two-for-roles", "permissions": ["role:*", "user:delete"], "approvals": 2, "webhooks": ["https://hooks.example.com/portunus"]}"#,
        Some("webhook_secret"),
    ),
    ("User", r#"{"name": "ada", "email": "ada@example.com", "roles": ["developer"]}"#, Some("password")),
];

fn known(kind: &str) -> Option<&'static (&'static str, &'static str, Option<&'static str>)> {
    KINDS.iter().find(|(known, ..)| *known == kind)
}

/// The field that shows a secret once, in the answer that made a resource of this kind.
pub fn secret(kind: &str) -> Option<&'static str> {
    known(kind)?.2
}

/// Bodies that make a resource of this kind, by name; for a policy one of each type.
pub fn bodies(kind: &str) -> Map<String, Value> {
    if kind == "Policy" {
        return TYPES.iter().map(|known| (known.name.to_owned(), json!({"value": policy(known)}))).collect();
    }
    let body = known(kind).and_then(|(_, text, _)| serde_json::from_str::<Value>(text).ok());
    body.map(|body| super::operation::example("minimal", &body)).unwrap_or_default()
}

fn policy(known: &PolicyType) -> Value {
    json!({"name": format!("my-{}", known.name.replace('_', "-")), "policy_type": known.name, "config": config(known)})
}

/// The example of a policy type as JSON.
fn config(known: &PolicyType) -> Value {
    serde_saphyr::from_str(known.example).expect("the examples of all policies are tested to be YAML")
}

#[cfg(test)]
mod tests {
    use portunus_gateway::kind::check_name;

    use portunus_gateway::secret::Keyring;

    use super::*;
    use crate::manifest::{self, API_VERSION};
    use crate::resource;

    #[test]
    fn every_example_can_be_sent() {
        for kind in resource::all() {
            for (name, body) in bodies(kind.kind) {
                let mut spec = body["value"].as_object().expect("a body is an object").clone();
                let sent = spec.shift_remove("name").unwrap_or_else(|| json!("made-up"));
                assert_eq!(check_name(sent.as_str().unwrap()), None);
                let whole =
                    json!({"apiVersion": API_VERSION, "kind": kind.kind, "metadata": {"name": sent}, "spec": spec});
                assert_eq!(manifest::check(&[whole]), [], "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn the_secrets_are_those_that_are_made() {
        for (kind, text, secret) in KINDS {
            let kind = resource::by_kind(kind).expect("the table has only kinds that exist");
            let mut spec: Value = serde_json::from_str(text).unwrap();
            spec.as_object_mut().unwrap().remove("name");
            for reference in kind.references {
                if let Some(field) = spec.get_mut(reference.field) {
                    let nil = uuid::Uuid::nil();
                    *field = if reference.many { json!([nil]) } else { json!(nil) };
                }
            }
            let made = (kind.prepare)(&spec, None, &Keyring::ephemeral())
                .unwrap_or_else(|problems| panic!("{kind:?}: {problems:?}"));
            assert_eq!(made.secret.map(|secret| secret.field), *secret, "{kind:?}");
        }
    }
}
