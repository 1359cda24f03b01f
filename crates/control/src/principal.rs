//! Who makes a call: an account, how it was proved, and how much of the account's rights the proof carries.

use std::net::IpAddr;
use std::sync::Arc;

use portunus_gateway::clock;
use portunus_gateway::kind::Id;

use crate::access::{Account, AccountKind, Permission, covers};
use crate::audit::event::{Actor, ActorKind};

/// Where a call comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The client's address: the peer's, or what a trusted proxy said.
    pub address: Option<IpAddr>,
    /// The id of the call.
    pub request_id: String,
}

/// What proved who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// An access token of the token endpoint; one that belongs to a session ends with it.
    AccessToken {
        /// The token's id.
        id: String,
        /// The session it belongs to.
        session: Option<Id>,
    },
    /// The cookie of a session.
    Session(Id),
    /// An API token.
    ApiToken {
        /// The token's id.
        id: Id,
        /// When it ends, in microseconds since 1970.
        expires_at: Option<i64>,
    },
    /// An access token of a provider outside.
    ExternalToken {
        /// The provider.
        provider: Id,
        /// The token's own id; empty when it has none.
        id: String,
    },
}

impl Proof {
    /// How the record names it; never the secret itself.
    pub fn label(&self) -> String {
        match self {
            Self::AccessToken { session: Some(session), .. } | Self::Session(session) => format!("session:{session}"),
            Self::AccessToken { id, session: None } => format!("access-token:{id}"),
            Self::ApiToken { id, .. } => format!("api-token:{id}"),
            Self::ExternalToken { provider, id } => format!("external-token:{provider}:{id}"),
        }
    }

    /// Whether somebody logged in for it, so that they can be asked for more.
    pub fn is_of_a_login(&self) -> bool {
        match self {
            Self::AccessToken { .. } | Self::Session(_) => true,
            Self::ApiToken { .. } => false,
            Self::ExternalToken { .. } => false,
        }
    }

    /// The session that it belongs to.
    pub fn session(&self) -> Option<Id> {
        match self {
            Self::AccessToken { session, .. } => *session,
            Self::Session(session) => Some(*session),
            Self::ApiToken { .. } => None,
            Self::ExternalToken { .. } => None,
        }
    }
}

/// Who makes a call.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The account, as it stands now.
    pub account: Arc<Account>,
    /// What proved it.
    pub proof: Proof,
    /// The only permissions that the proof carries; `None` for all of the account's.
    pub scopes: Option<Arc<[String]>>,
    /// When the person last showed a second factor in this session, in microseconds since 1970.
    pub stepped_up_at: Option<i64>,
    /// Where the call comes from.
    pub origin: Origin,
}

impl Principal {
    /// Whether it may do that in this tenant: the account may, and the proof carries it.
    pub fn may(&self, permission: Permission, tenant_id: Id) -> bool {
        self.account.may(permission, tenant_id) && self.carries(permission)
    }

    /// Whether it may do that in every tenant.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        self.account.may_everywhere(permission) && self.carries(permission)
    }

    /// Whether it may do that in any tenant at all.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.account.may_somewhere(permission) && self.carries(permission)
    }

    fn carries(&self, permission: Permission) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|text| permission.is_granted_by(text)))
    }

    /// Whether it has every permission of this list, so that nobody hands out more than they have.
    pub fn covers(&self, permissions: &[String], tenant_id: Option<Id>) -> bool {
        let in_scope = self.scopes.as_ref().is_none_or(|scopes| permissions.iter().all(|text| covers(scopes, text)));
        in_scope && self.account.covers(permissions, tenant_id)
    }

    /// Whether it is a person, and not what they left to a machine.
    pub fn is_person(&self) -> bool {
        self.account.kind == AccountKind::User && self.proof.is_of_a_login()
    }

    /// Whether it must set a second factor up before it does anything else.
    pub fn must_enrol(&self) -> bool {
        self.is_person() && self.account.must_enrol()
    }

    /// Whether it must show a second factor again to use this permission.
    pub fn must_step_up(&self, permission: Permission) -> bool {
        permission.is_dangerous()
            && self.is_person()
            && self.account.must_step_up(self.stepped_up_at, clock::now().as_microsecond())
    }

    /// How the record names it.
    pub fn actor(&self) -> Actor {
        let kind = match self.account.kind {
            AccountKind::User => ActorKind::User,
            AccountKind::ServiceAccount => ActorKind::ServiceAccount,
        };
        Actor {
            kind,
            id: Some(self.account.id),
            name: self.account.name.clone(),
            via: self.proof.label(),
            address: self.origin.address,
            request_id: self.origin.request_id.clone(),
        }
    }
}
