//! The names that other gateways have for roles and permissions, and what they are here. One table for all of them.
//!
//! A role that exists under such a name wins over the table, so that nobody is surprised by a role of their own.

/// A role of another system.
#[derive(Debug)]
pub struct ForeignRole {
    /// Whose it is.
    pub system: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// The built-in role that stands for it.
    pub role: &'static str,
}

/// A permission of another system.
#[derive(Debug)]
pub struct ForeignPermission {
    /// Whose it is.
    pub system: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// The permissions that stand for it.
    pub permissions: &'static [&'static str],
}

const STOA: &str = "STOA";
const DOORMAN: &str = "Doorman";
const RACK: &str = "Rack Gateway";
const FOLIONAUT: &str = "Folionaut";

const fn role(system: &'static str, name: &'static str, role: &'static str) -> ForeignRole {
    ForeignRole { system, name, role }
}

/// Every role of the other systems. `viewer` and `tenant-admin` mean the same there and need no line.
pub const ROLES: &[ForeignRole] = &[
    role(STOA, "cpi-admin", "platform-admin"),
    role(STOA, "stoa.admin", "platform-admin"),
    role(STOA, "stoa.product_owner", "tenant-admin"),
    role(STOA, "devops", "operator"),
    role(STOA, "stoa.developer", "developer"),
    role(STOA, "stoa.consumer", "viewer"),
    role(STOA, "stoa.security", "auditor"),
    role(STOA, "stoa.agent", "viewer"),
    role(DOORMAN, "admin", "platform-admin"),
    role(DOORMAN, "platform_admin", "platform-admin"),
    role(RACK, "ops", "operator"),
    role(RACK, "deployer", "developer"),
    role(RACK, "cicd", "ci"),
    role(RACK, "admin", "platform-admin"),
    role(FOLIONAUT, "admin-key", "platform-admin"),
];

const fn doorman(name: &'static str, permissions: &'static [&'static str]) -> ForeignPermission {
    ForeignPermission { system: DOORMAN, name, permissions }
}

const fn rack(name: &'static str, permissions: &'static [&'static str]) -> ForeignPermission {
    ForeignPermission { system: RACK, name, permissions }
}

/// Every permission of the other systems. STOA and Folionaut have roles only.
pub const PERMISSIONS: &[ForeignPermission] = &[
    doorman("manage_users", &["user:*"]),
    doorman("manage_apis", &["api:*", "upstream:*"]),
    doorman("manage_endpoints", &["api:*"]),
    doorman("manage_groups", &["consumer:*"]),
    doorman("manage_roles", &["role:*"]),
    doorman("manage_routings", &["upstream:*"]),
    doorman("manage_gateway", &["policy:*", "upstream:*", "tenant:read"]),
    doorman("manage_subscriptions", &["subscription:*", "credential:*"]),
    doorman("manage_security", &["policy:*", "secret:write"]),
    doorman("manage_tiers", &["plan:*"]),
    doorman("manage_rate_limits", &["policy:*", "plan:*"]),
    doorman("manage_credits", &["plan:*"]),
    doorman("manage_auth", &["session:*", "api_token:*"]),
    doorman("view_analytics", &["api:read", "consumer:read", "subscription:read"]),
    doorman("view_logs", &["audit:read"]),
    doorman("export_logs", &["audit:read"]),
    rack("convox:app:list", &["api:read"]),
    rack("convox:app:read", &["api:read"]),
    rack("convox:app:update", &["api:write"]),
    rack("convox:app:restart", &["upstream:write"]),
    rack("convox:process:list", &["upstream:read"]),
    rack("convox:process:read", &["upstream:read"]),
    rack("convox:process:start", &["upstream:write"]),
    rack("convox:process:exec", &["upstream:write"]),
    rack("convox:process:terminate", &["upstream:write"]),
    rack("convox:instance:list", &["upstream:read"]),
    rack("convox:instance:read", &["upstream:read"]),
    rack("convox:build:list", &["api:read"]),
    rack("convox:build:read", &["api:read"]),
    rack("convox:build:create", &["api:write"]),
    rack("convox:object:create", &["api:write"]),
    rack("convox:release:list", &["api:read"]),
    rack("convox:release:read", &["api:read"]),
    rack("convox:release:create", &["api:write"]),
    rack("convox:release:promote", &["api:write"]),
    rack("convox:env:read", &["upstream:read"]),
    rack("convox:env:set", &["upstream:write"]),
    rack("convox:log:read", &["audit:read"]),
    rack("convox:rack:read", &["tenant:read"]),
    rack("convox:deploy:deploy_with_approval", &["api:write", "upstream:write"]),
    rack("gateway:deploy_approval_request:read", &["approval:read"]),
    rack("gateway:deploy_approval_request:create", &["approval:read"]),
    rack("convox:*:*", &["api:*", "upstream:*", "policy:*"]),
    rack("gateway:*:*", &["*:*"]),
];

/// The built-in role that stands for a role of another system.
pub fn role_named(foreign: &str) -> Option<&'static str> {
    ROLES.iter().find(|known| known.name == foreign).map(|known| known.role)
}

/// The permissions that stand for one of another system.
pub fn permissions_named(foreign: &str) -> Option<&'static [&'static str]> {
    PERMISSIONS.iter().find(|known| known.name == foreign).map(|known| known.permissions)
}

/// A list of permissions in which those of other systems are replaced by what stands for them.
pub fn translated(permissions: &[String]) -> Vec<String> {
    let mut native: Vec<String> = Vec::with_capacity(permissions.len());
    for text in permissions {
        match permissions_named(text) {
            Some(named) => native.extend(named.iter().map(|text| (*text).to_owned())),
            None => native.push(text.clone()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    native.retain(|text| seen.insert(text.clone()));
    native
}

#[cfg(test)]
mod tests {
    use super::super::permission::Permission;
    use super::super::role::BUILT_IN_ROLES;
    use super::*;

    #[test]
    fn every_name_leads_to_something_that_exists() {
        for known in ROLES {
            assert!(BUILT_IN_ROLES.iter().any(|(name, ..)| *name == known.role), "{known:?}");
            assert!(BUILT_IN_ROLES.iter().all(|(name, ..)| *name != known.name), "{known:?} would never be asked");
            assert_eq!(role_named(known.name), Some(known.role), "two lines disagree on {}", known.name);
        }
        for known in PERMISSIONS {
            for text in known.permissions {
                assert_eq!(Permission::check(text), Ok(()), "{known:?}");
            }
            assert_eq!(permissions_named(known.name), Some(known.permissions), "{} twice", known.name);
        }
    }

    #[test]
    fn lists_are_translated_in_order_and_without_repetition() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            translated(&list(&["manage_routings", "policy:read", "upstream:*"])),
            list(&["upstream:*", "policy:read"])
        );
        assert_eq!(role_named("cpi-admin"), Some("platform-admin"));
        assert_eq!(role_named("platform-admin"), None);
    }
}
