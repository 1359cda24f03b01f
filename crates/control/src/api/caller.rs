//! Who calls, and whether they may.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use portunus_gateway::kind::Id;

use super::error::ApiError;
use super::identify::Identity;
use crate::access::Permission;
use crate::approval::Call;
use crate::control::Control;
use crate::principal::Principal;
use crate::resource;
use crate::store::{Action, Change, Op};

/// Who makes a call, and the call as approvals are bound to it. A handler that takes it cannot be reached without
/// credentials.
#[derive(Clone)]
pub struct Caller(pub Arc<Principal>, pub Option<Arc<Call>>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>().ok_or_else(ApiError::internal)?;
        match &identity.principal {
            Ok(Some(principal)) => Ok(Self(principal.clone(), parts.extensions.get::<Arc<Call>>().cloned())),
            Ok(None) => Err(ApiError::unauthorized(None)),
            Err(error) => Err(error.clone()),
        }
    }
}

impl Caller {
    /// Refuses unless the account may do that in this tenant.
    pub fn needs(&self, permission: Permission, tenant_id: Id) -> Result<(), ApiError> {
        if self.0.may(permission, tenant_id) { check_factor(&self.0, permission) } else { Err(refused(permission)) }
    }

    /// Refuses unless the account may do that in every tenant.
    pub fn needs_everywhere(&self, permission: Permission) -> Result<(), ApiError> {
        if self.0.may_everywhere(permission) { check_factor(&self.0, permission) } else { Err(refused(permission)) }
    }

    /// The tenants in which the account may do that: `None` for all, else its own.
    pub fn reach(&self, permission: Permission) -> Result<Option<Vec<Id>>, ApiError> {
        if self.0.may_everywhere(permission) {
            return Ok(None);
        }
        self.needs(permission, self.0.account.tenant_id).map(|()| Some(vec![self.0.account.tenant_id]))
    }

    /// The tenant with this id or name. Who may not act there is not told whether it exists.
    pub async fn tenant(&self, control: &Control, text: &str, permission: Permission) -> Result<Id, ApiError> {
        let kind = resource::by_kind("Tenant").expect("the kind Tenant is in the list");
        match control.store.find(kind, None, text).await? {
            Some(tenant) => self.needs(permission, tenant.id).map(|()| tenant.id),
            None if self.0.may_everywhere(permission) => Err(ApiError::not_found(format!("there is no tenant {text}"))),
            None => Err(refused(permission)),
        }
    }

    /// A change of one resource on this account's behalf.
    pub fn change(&self, kind: &'static portunus_gateway::kind::KindInfo, action: Action) -> Change {
        self.changes(vec![Op { kind, path: String::new(), action }])
    }

    /// A change of several resources on this account's behalf.
    pub fn changes(&self, ops: Vec<Op>) -> Change {
        let (principal, call) = (Some(self.0.clone()), self.1.clone());
        Change { actor: self.0.actor(), principal, call, ops, dry_run: false }
    }
}

/// Refuses when a dangerous permission is used with a second factor that was shown too long ago.
pub fn check_factor(principal: &Principal, permission: Permission) -> Result<(), ApiError> {
    match principal.must_step_up(permission) {
        true => Err(ApiError::step_up_required(principal.account.second_factor.fresh)),
        false => Ok(()),
    }
}

/// The refusal of a call that lacks a permission.
pub fn refused(permission: Permission) -> ApiError {
    ApiError::forbidden(format!("this needs the permission {permission} there"))
}
