//! Who may do what: permissions, principals, and the one function that says yes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use portunus_gateway::kind::Id;
use serde::Deserialize;

use crate::resource;
use crate::resource::user::AccountStatus;
use crate::store::row::Row;

/// What can be done to a kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// See it.
    Read,
    /// Create or change it.
    Write,
    /// Remove it.
    Delete,
}

impl Verb {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Delete];

    /// The verb's name in a permission.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// What a call needs: a noun and a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// A kind's noun, such as `api`.
    pub noun: &'static str,
    /// What is done to it.
    pub verb: Verb,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.noun, self.verb.name())
    }
}

impl Permission {
    /// `noun:verb`.
    pub const fn new(noun: &'static str, verb: Verb) -> Self {
        Self { noun, verb }
    }

    /// Why this text is not a permission.
    pub fn check(text: &str) -> Result<(), &'static str> {
        let (noun, verb) = text.split_once(':').ok_or("a permission is noun:verb")?;
        if noun != "*" && !nouns().contains(&noun) {
            return Err("unknown noun");
        }
        if verb != "*" && Verb::ALL.iter().all(|known| known.name() != verb) {
            return Err("unknown verb");
        }
        Ok(())
    }

    /// What texts are permissions, for messages.
    pub fn forms() -> String {
        let nouns = nouns();
        format!("noun:verb with a noun of *, {} and a verb of *, read, write, delete", nouns.join(", "))
    }

    /// Whether this text, with its `*`, includes it.
    pub fn is_granted_by(self, text: &str) -> bool {
        let Some((noun, verb)) = text.split_once(':') else { return false };
        (noun == "*" || noun == self.noun) && (verb == "*" || verb == self.verb.name())
    }
}

/// Nouns that are not those of kinds, with what their permissions are for.
pub const OTHER_NOUNS: &[(&str, &str)] = &[
    ("audit", "`read`: the record of what happened; `write`: its retention and the erasure of persons"),
    ("session", "`read`: who is logged in; `delete`: end sessions and tokens of others"),
    ("approval", "`read`: requests for approval; `write`: approve and reject them"),
    ("realm", "`read`: export users, roles and clients with their sealed secrets; `write`: import them"),
    ("secret", "`write`: change the keys that secrets are sealed with"),
];

/// Every noun, in order.
pub fn nouns() -> Vec<&'static str> {
    let mut nouns: Vec<&str> =
        resource::all().map(|kind| kind.noun).chain(OTHER_NOUNS.iter().map(|(noun, _)| *noun)).collect();
    nouns.sort_unstable();
    nouns.dedup();
    nouns
}

/// The roles that exist from the first start, with what they permit.
pub const BUILT_IN_ROLES: &[(&str, &str, &[&str])] = &[
    ("platform-admin", "Everything, in every tenant.", &["*:*"]),
    ("tenant-admin", "Everything within one tenant.", &["*:*"]),
    (
        "operator",
        "Runs the gateway: sees everything, changes policies and upstreams.",
        &["*:read", "upstream:*", "policy:*", "subscription:write", "credential:write"],
    ),
    (
        "developer",
        "Publishes APIs and tries them out.",
        &[
            "*:read",
            "api:*",
            "upstream:*",
            "policy:*",
            "plan:*",
            "consumer:write",
            "subscription:write",
            "credential:write",
        ],
    ),
    ("auditor", "Sees everything, changes nothing.", &["*:read"]),
    (
        "viewer",
        "Sees the configuration of traffic, and no accounts.",
        &[
            "tenant:read",
            "api:read",
            "upstream:read",
            "policy:read",
            "plan:read",
            "consumer:read",
            "subscription:read",
            "credential:read",
        ],
    ),
    (
        "ci",
        "Applies manifests from a pipeline.",
        &["api:*", "upstream:*", "policy:*", "plan:*", "consumer:*", "subscription:*", "credential:*", "tenant:read"],
    ),
];

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// A person.
    User,
    /// A machine.
    ServiceAccount,
}

/// An account that may get tokens, as it stands now.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: Id,
    /// A person or a machine.
    pub kind: AccountKind,
    /// Its tenant.
    pub tenant_id: Id,
    /// Its name.
    pub name: String,
    /// The hash of its password or secret.
    pub secret_hash: Option<String>,
    grants: Vec<Grant>,
}

/// The permissions of one role, and where they hold.
#[derive(Debug, Clone)]
struct Grant {
    /// `None`: everywhere.
    tenant_id: Option<Id>,
    permissions: Vec<String>,
}

/// All accounts that may get tokens. Rebuilt when an account, a role or a tenant changes, so a change of rights holds
/// from the next call on.
#[derive(Debug, Default)]
pub struct AccessTable {
    accounts: HashMap<Id, Arc<Account>>,
    /// The tenant that owns what holds for all.
    pub platform: Option<Id>,
}

#[derive(Deserialize)]
struct AccountSpec {
    #[serde(default)]
    roles: Vec<Id>,
    #[serde(default)]
    status: AccountStatus,
    #[serde(alias = "password_hash")]
    secret_hash: Option<String>,
}

#[derive(Deserialize)]
struct RoleSpec {
    permissions: Vec<String>,
}

impl AccessTable {
    /// The table of these users, service accounts and roles.
    pub fn new(rows: &[Row], platform: Option<Id>) -> Self {
        let roles: HashMap<Id, (&Row, RoleSpec)> = rows
            .iter()
            .filter(|row| row.kind.kind == "Role")
            .filter_map(|row| Some((row.id, (row, RoleSpec::deserialize(&row.spec).ok()?))))
            .collect();
        let accounts = rows.iter().filter_map(|row| {
            let kind = match row.kind.kind {
                "User" => AccountKind::User,
                "ServiceAccount" => AccountKind::ServiceAccount,
                _ => return None,
            };
            let spec = AccountSpec::deserialize(&row.spec).ok()?;
            if spec.status == AccountStatus::Locked {
                return None;
            }
            let grants = spec
                .roles
                .iter()
                .filter_map(|id| roles.get(id))
                .map(|(_, role)| Grant {
                    // An account of the platform acts everywhere, any other in its own tenant, whoever owns the role.
                    tenant_id: if Some(row.tenant_id) == platform { None } else { Some(row.tenant_id) },
                    permissions: role.permissions.clone(),
                })
                .collect();
            let account = Account {
                id: row.id,
                kind,
                tenant_id: row.tenant_id,
                name: row.name.clone(),
                secret_hash: spec.secret_hash,
                grants,
            };
            Some((row.id, Arc::new(account)))
        });
        Self { accounts: accounts.collect(), platform }
    }

    /// The account with this id.
    pub fn account(&self, id: Id) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// The account with this name; a name that two tenants use names nobody.
    pub fn named(&self, kind: AccountKind, name: &str) -> Option<&Arc<Account>> {
        let mut found = self.accounts.values().filter(|account| account.kind == kind && account.name == name);
        match (found.next(), found.next()) {
            (Some(account), None) => Some(account),
            _ => None,
        }
    }
}

impl Account {
    /// Whether this account may do that in this tenant. The only place that says yes.
    pub fn may(&self, permission: Permission, tenant_id: Id) -> bool {
        self.grants.iter().any(|grant| {
            grant.tenant_id.is_none_or(|only| only == tenant_id)
                && grant.permissions.iter().any(|text| permission.is_granted_by(text))
        })
    }

    /// Whether it may do that in every tenant.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| {
            grant.tenant_id.is_none() && grant.permissions.iter().any(|text| permission.is_granted_by(text))
        })
    }

    /// Whether it may do that in any tenant at all.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.grants.iter().any(|grant| grant.permissions.iter().any(|text| permission.is_granted_by(text)))
    }

    /// Whether it has every permission of this list, so that nobody hands out more than they have.
    pub fn covers(&self, permissions: &[String], tenant_id: Option<Id>) -> bool {
        permissions.iter().all(|wanted| {
            self.grants.iter().any(|grant| {
                let reaches = grant.tenant_id.is_none() || grant.tenant_id == tenant_id;
                reaches && covers(&grant.permissions, wanted)
            })
        })
    }
}

/// Whether a list of permissions includes this one, which may have a `*` itself.
pub fn covers(held: &[String], wanted: &str) -> bool {
    held.iter().any(|held| is_wider(held, wanted))
}

fn is_wider(held: &str, wanted: &str) -> bool {
    match (held.split_once(':'), wanted.split_once(':')) {
        (Some((held_noun, held_verb)), Some((noun, verb))) => {
            (held_noun == "*" || held_noun == noun) && (held_verb == "*" || held_verb == verb)
        }
        _ => false,
    }
}
