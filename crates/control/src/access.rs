//! Who may do what: permissions, principals, and the one function that says yes.

pub mod step_up;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use portunus_gateway::kind::Id;
use serde::Deserialize;

use crate::resource;
use crate::resource::user::AccountStatus;
use crate::store::row::Row;
use step_up::{Policy, SecondFactor};

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
    ("secret", "`write`: change the keys that secrets are sealed with, and export secrets sealed"),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The address of a person.
    pub email: Option<String>,
    /// The hash of its password or secret.
    pub secret_hash: Option<String>,
    /// Counts how often all its tokens were ended; a token of an earlier generation is dead.
    pub generation: u64,
    /// Whether its password must be set anew before it can log in.
    pub must_reset_password: bool,
    /// What holds for it about second factors.
    pub second_factor: SecondFactor,
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
    /// By name and by address in lower case; what names several accounts of one tenant or of several is sorted out
    /// when it is asked for.
    names: HashMap<(AccountKind, String), Vec<Id>>,
    emails: HashMap<String, Vec<Id>>,
    tenants: HashMap<String, Id>,
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
    email: Option<String>,
}

/// What is known of an account beside what was configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccountState {
    /// See [`Account::generation`].
    pub generation: u64,
    /// See [`Account::must_reset_password`].
    pub must_reset_password: bool,
    /// Whether a person has a second factor that was shown to work.
    pub has_factor: bool,
}

#[derive(Deserialize)]
struct RoleSpec {
    permissions: Vec<String>,
}

impl AccessTable {
    /// The table of these tenants, users, service accounts and roles.
    pub fn new(rows: &[Row], states: &HashMap<Id, AccountState>, platform: Option<Id>) -> Self {
        let roles: HashMap<Id, (&Row, RoleSpec)> = rows
            .iter()
            .filter(|row| row.kind.kind == "Role")
            .filter_map(|row| Some((row.id, (row, RoleSpec::deserialize(&row.spec).ok()?))))
            .collect();
        let policy = Policy::among(rows, platform);
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
            let grants: Vec<Grant> = spec
                .roles
                .iter()
                .filter_map(|id| roles.get(id))
                .map(|(_, role)| Grant {
                    // An account of the platform acts everywhere, any other in its own tenant, whoever owns the role.
                    tenant_id: if Some(row.tenant_id) == platform { None } else { Some(row.tenant_id) },
                    permissions: role.permissions.clone(),
                })
                .collect();
            let state = states.get(&row.id).copied().unwrap_or_default();
            let second_factor = SecondFactor {
                has_one: state.has_factor,
                must_have_one: kind == AccountKind::User && policy.asks(&grants),
                fresh: policy.fresh(),
            };
            let account = Account {
                id: row.id,
                kind,
                tenant_id: row.tenant_id,
                name: row.name.clone(),
                email: spec.email,
                secret_hash: spec.secret_hash,
                generation: state.generation,
                must_reset_password: state.must_reset_password,
                second_factor,
                grants,
            };
            Some((row.id, Arc::new(account)))
        });
        let mut table = Self { accounts: accounts.collect(), platform, ..Self::default() };
        for account in table.accounts.values() {
            table.names.entry((account.kind, account.name.clone())).or_default().push(account.id);
            if let Some(email) = &account.email {
                table.emails.entry(email.to_lowercase()).or_default().push(account.id);
            }
        }
        let tenants = rows.iter().filter(|row| row.kind.kind == "Tenant");
        table.tenants = tenants.map(|row| (row.name.clone(), row.id)).collect();
        table
    }

    /// The account with this id.
    pub fn account(&self, id: Id) -> Option<&Arc<Account>> {
        self.accounts.get(&id)
    }

    /// The account that logs in under this text: its name, the address of a person, or either of them with the name of
    /// the tenant and a slash in front.
    ///
    /// No tenant can take a name away from the platform's accounts; a name that several other tenants use names nobody
    /// without the tenant.
    pub fn login(&self, kind: AccountKind, text: &str) -> Option<&Arc<Account>> {
        if let Some((tenant, rest)) = text.split_once('/') {
            let tenant = *self.tenants.get(tenant)?;
            return self.one(kind, rest, Some(tenant));
        }
        self.one(kind, text, self.platform).or_else(|| self.one(kind, text, None))
    }

    /// The one account under this name or address, in a tenant or in all.
    fn one(&self, kind: AccountKind, text: &str, tenant: Option<Id>) -> Option<&Arc<Account>> {
        let only = |ids: Option<&Vec<Id>>| {
            let found = ids.into_iter().flatten().filter_map(|id| self.accounts.get(id));
            let mut found = found.filter(|account| tenant.is_none_or(|tenant| account.tenant_id == tenant));
            match (found.next(), found.next()) {
                (Some(account), None) => Some(account),
                _ => None,
            }
        };
        only(self.names.get(&(kind, text.to_owned()))).or_else(|| match kind {
            AccountKind::User => only(self.emails.get(&text.to_lowercase())),
            AccountKind::ServiceAccount => None,
        })
    }

    /// The people with this address.
    pub fn with_email(&self, email: &str) -> Vec<&Arc<Account>> {
        let ids = self.emails.get(&email.to_lowercase());
        ids.into_iter().flatten().filter_map(|id| self.accounts.get(id)).collect()
    }
}

impl Account {
    /// Every permission that its roles give it, in order.
    pub fn permissions(&self) -> Vec<String> {
        let mut all: Vec<String> = self.grants.iter().flat_map(|grant| grant.permissions.iter().cloned()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// An account that may do nothing.
    #[cfg(test)]
    pub(crate) fn without_rights(id: Id, generation: u64) -> Self {
        Self {
            id,
            kind: AccountKind::User,
            tenant_id: id,
            name: "ada".to_owned(),
            email: None,
            secret_hash: None,
            generation,
            must_reset_password: false,
            second_factor: SecondFactor { has_one: false, must_have_one: false, fresh: 0 },
            grants: Vec::new(),
        }
    }

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
