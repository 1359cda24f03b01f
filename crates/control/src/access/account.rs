//! An account as it stands now, and the one function that says yes.

use portunus_gateway::kind::Id;

use super::permission::{Permission, covers};
use super::step_up::SecondFactor;

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
    /// The roles that it holds.
    pub roles: Vec<HeldRole>,
    pub(super) grants: Vec<Grant>,
}

/// A role that an account holds.
#[derive(Debug, Clone)]
pub struct HeldRole {
    /// The role's id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// The tenant that owns it.
    pub tenant_id: Id,
}

/// The permissions of one role, and where they hold.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    /// `None`: everywhere.
    pub(super) tenant_id: Option<Id>,
    pub(super) permissions: Vec<String>,
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
            roles: Vec::new(),
            grants: Vec::new(),
        }
    }

    /// Whether its roles hold in this tenant: an account of the platform acts everywhere, any other in its own.
    pub fn acts_in(&self, tenant_id: Id, platform: Option<Id>) -> bool {
        self.tenant_id == tenant_id || Some(self.tenant_id) == platform
    }

    /// Whether it holds one of these roles.
    pub fn holds_one_of(&self, roles: &[Id]) -> bool {
        self.roles.iter().any(|held| roles.contains(&held.id))
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
