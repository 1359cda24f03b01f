//! From the claims of a provider to a tenant and roles, by the provider's rules.

use portunus_gateway::kind::Id;
use serde_json::Value;

use super::Provider;
use crate::access::AccessTable;
use crate::resource::identity_provider::Rule;

/// The most roles that claims give.
const MOST_ROLES: usize = 32;

/// What claims give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The account's tenant.
    pub tenant_id: Id,
    /// Its roles, in order of their ids.
    pub roles: Vec<Id>,
}

/// What these claims give. A role or tenant that does not exist gives nothing.
pub fn evaluate(provider: &Provider, claims: &Value, access: &AccessTable) -> Given {
    let is_platform = Some(provider.tenant_id) == access.platform;
    let tenant_of = |rule: &Rule| match &rule.tenant {
        Some(tenant) if is_platform => access.tenant(tenant),
        // A tenant's provider lets people into that tenant only.
        Some(tenant) => access.tenant(tenant).filter(|id| *id == provider.tenant_id),
        None => Some(provider.tenant_id),
    };
    let matching: Vec<(Id, &Rule)> = provider
        .spec
        .rules
        .iter()
        .filter(|rule| matches(rule, claims))
        .filter_map(|rule| Some((tenant_of(rule)?, rule)))
        .collect();
    let tenant_id = matching.first().map_or(provider.tenant_id, |(tenant, _)| *tenant);
    let named = matching.iter().filter(|(tenant, _)| *tenant == tenant_id).flat_map(|(_, rule)| &rule.roles);
    let mut roles: Vec<Id> = named.filter_map(|name| access.role(tenant_id, name)).collect();
    if provider.spec.known_roles {
        roles.extend(known(provider, claims).filter_map(|name| access.known_role(name)));
    }
    roles.sort_unstable();
    roles.dedup();
    roles.truncate(MOST_ROLES);
    Given { tenant_id, roles }
}

/// The names in the places where providers put roles.
fn known<'c>(provider: &Provider, claims: &'c Value) -> impl Iterator<Item = &'c str> {
    let clients = [provider.spec.client_id.as_deref(), provider.spec.audience.as_deref()];
    let of_clients = clients.into_iter().flatten().filter_map(|client| claims.get("resource_access")?.get(client));
    let places = [claims.get("roles"), claims.get("groups"), lookup(claims, "realm_access.roles")];
    let lists: Vec<&Value> =
        places.into_iter().flatten().chain(of_clients.filter_map(|client| client.get("roles"))).collect();
    lists.into_iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).map(|name| {
        // Keycloak writes groups as paths.
        name.strip_prefix('/').unwrap_or(name)
    })
}

fn matches(rule: &Rule, claims: &Value) -> bool {
    let Some(value) = lookup(claims, &rule.claim) else { return false };
    match (&rule.equals, &rule.contains) {
        (Some(text), _) => is_text(value, text),
        (None, Some(word)) => match value {
            Value::Array(items) => items.iter().any(|item| is_text(item, word)),
            Value::String(text) => text.split_whitespace().any(|known| known == word),
            _ => false,
        },
        (None, None) => false,
    }
}

fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Number(number) => number.to_string() == text,
        Value::Bool(value) => value.to_string() == text,
        _ => false,
    }
}

/// The claim at a path. A name with dots in it is found before a path through objects.
pub fn lookup<'c>(claims: &'c Value, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(at, _)| lookup(claims.get(&path[..at])?, &path[at + 1..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(fields: Value) -> Rule {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn claims_are_found_by_path() {
        let claims = json!({"a": {"b": {"c": 1}, "b.c": 2}, "https://x.example/roles": ["r"], "a.d": 3});
        assert_eq!(lookup(&claims, "a.b.c"), Some(&json!(2)));
        assert_eq!(lookup(&claims, "a.b"), Some(&json!({"c": 1})));
        assert_eq!(lookup(&claims, "a.d"), Some(&json!(3)));
        assert_eq!(lookup(&claims, "https://x.example/roles"), Some(&json!(["r"])));
        assert_eq!(lookup(&claims, "a.x"), None);
        assert_eq!(lookup(&claims, ""), None);
    }

    #[test]
    fn rules_match_texts_lists_and_words() {
        let claims =
            json!({"groups": ["dev", "ops"], "scope": "read write", "vip": true, "level": 3, "name": "dev ops"});
        let is_match = |fields: Value| matches(&rule(fields), &claims);
        assert!(is_match(json!({"claim": "groups", "contains": "ops", "roles": ["r"]})));
        assert!(!is_match(json!({"claim": "groups", "contains": "op", "roles": ["r"]})));
        assert!(!is_match(json!({"claim": "groups", "equals": "ops", "roles": ["r"]})));
        assert!(is_match(json!({"claim": "scope", "contains": "write", "roles": ["r"]})));
        assert!(is_match(json!({"claim": "vip", "equals": "true", "roles": ["r"]})));
        assert!(is_match(json!({"claim": "level", "equals": "3", "roles": ["r"]})));
        assert!(!is_match(json!({"claim": "none", "equals": "", "roles": ["r"]})));
        assert!(!is_match(json!({"claim": "level", "contains": "3", "roles": ["r"]})));
    }
}
