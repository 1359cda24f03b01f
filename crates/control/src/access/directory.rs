//! What is looked up by those who come from outside: providers, tenants, roles by name, and who is locked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use portunus_gateway::kind::Id;
use serde::Deserialize;

use super::account::{Grant, HeldRole};
use super::names;
use super::step_up::SecondFactor;
use super::{AccessTable, Account, AccountKind, BUILT_IN_ROLES};
use crate::federation::Provider;
use crate::resource::identity_provider::IdentityProvider;
use crate::store::row::Row;

/// A role.
#[derive(Debug)]
struct Role {
    tenant_id: Id,
    name: String,
    permissions: Vec<String>,
}

/// Roles, providers and locked users.
#[derive(Debug, Default)]
pub(super) struct Directory {
    roles: HashMap<Id, Role>,
    locked: HashSet<(Id, String)>,
    /// The platform's first, then the oldest.
    providers: Vec<Arc<Provider>>,
}

impl Directory {
    pub(super) fn new(rows: &[Row], platform: Option<Id>) -> Self {
        let mut directory = Self::default();
        for row in rows {
            match row.kind.kind {
                "Role" => {
                    let permissions = Vec::deserialize(&row.spec["permissions"]).unwrap_or_default();
                    let role = Role { tenant_id: row.tenant_id, name: row.name.clone(), permissions };
                    directory.roles.insert(row.id, role);
                }
                "User" if row.spec["status"] == "locked" => {
                    directory.locked.insert((row.tenant_id, row.name.clone()));
                }
                "IdentityProvider" => {
                    let Ok(spec) = IdentityProvider::deserialize(&row.spec) else { continue };
                    let (id, tenant_id, name) = (row.id, row.tenant_id, row.name.clone());
                    directory.providers.push(Arc::new(Provider { id, tenant_id, name, spec }));
                }
                _ => {}
            }
        }
        directory.providers.retain(|provider| provider.spec.enabled);
        directory.providers.sort_by_key(|provider| (Some(provider.tenant_id) != platform, provider.id));
        directory
    }
}

impl AccessTable {
    /// The providers that are in use, the platform's first.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.directory.providers.iter()
    }

    /// The tenant with this id or name.
    pub fn tenant(&self, text: &str) -> Option<Id> {
        let by_id = text.parse().ok().filter(|id| self.tenants.values().any(|known| known == id));
        by_id.or_else(|| self.tenants.get(text).copied())
    }

    /// The role with this name that an account of a tenant can have: the tenant's own, else the platform's.
    pub fn role(&self, tenant_id: Id, name: &str) -> Option<Id> {
        let owned_by = |owner: Id, name: &str| {
            let mut roles = self.directory.roles.iter();
            roles.find(|(_, role)| role.tenant_id == owner && role.name == name).map(|(id, _)| *id)
        };
        let of_platform = |name: &str| owned_by(self.platform?, name);
        let named = owned_by(tenant_id, name).or_else(|| of_platform(name));
        // The name of another gateway for one of the built-in roles.
        named.or_else(|| of_platform(names::role_named(name)?))
    }

    /// The built-in role that this name stands for, here or at one of the systems that Portunus stands in for.
    pub fn known_role(&self, name: &str) -> Option<Id> {
        let built_in = BUILT_IN_ROLES.iter().map(|(known, ..)| *known).find(|known| *known == name);
        self.role(self.platform?, built_in.or_else(|| names::role_named(name))?)
    }

    /// Whether the user with this name is locked.
    pub fn is_locked(&self, tenant_id: Id, name: &str) -> bool {
        self.directory.locked.contains(&(tenant_id, name.to_owned()))
    }

    /// The user with exactly this name in a tenant.
    pub fn user(&self, tenant_id: Id, name: &str) -> Option<&Arc<Account>> {
        let ids = self.names.get(&(AccountKind::User, name.to_owned()))?;
        ids.iter().filter_map(|id| self.accounts.get(id)).find(|account| account.tenant_id == tenant_id)
    }

    /// An account with these roles that is stored nowhere.
    pub fn guest(&self, id: Id, tenant_id: Id, name: String, roles: &[Id]) -> Account {
        let held = roles.iter().filter_map(|id| Some((*id, self.directory.roles.get(id)?)));
        let grants = held.clone().map(|(_, role)| Grant {
            tenant_id: if Some(tenant_id) == self.platform { None } else { Some(tenant_id) },
            permissions: role.permissions.clone(),
        });
        let roles = held.map(|(id, role)| HeldRole { id, name: role.name.clone(), tenant_id: role.tenant_id });
        Account {
            id,
            kind: AccountKind::User,
            tenant_id,
            name,
            email: None,
            secret_hash: None,
            generation: 0,
            must_reset_password: false,
            // Whoever issued the token has asked for what it thinks right.
            second_factor: SecondFactor { has_one: false, must_have_one: false, fresh: 0 },
            roles: roles.collect(),
            grants: grants.collect(),
        }
    }
}
