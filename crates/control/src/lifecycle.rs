//! The life of a subscription: where it begins, and which steps lead from one state to the next.

use portunus_gateway::config::subscription::SubscriptionStatus;
use serde_json::{Value, json};

use crate::store::row::Row;

/// Where a new subscription begins: waiting, if its plan asks for approval.
pub fn initial_status(plan: Option<&Row>) -> Value {
    let waits = plan.and_then(|plan| plan.spec.get("requires_approval")).and_then(Value::as_bool).unwrap_or(false);
    json!(if waits { SubscriptionStatus::Pending } else { SubscriptionStatus::Active })
}

/// A step in a subscription's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A pending subscription becomes active.
    Approve,
    /// An active one is held back.
    Suspend,
    /// A suspended one goes on.
    Resume,
    /// Any is ended for good.
    Revoke,
}

impl Step {
    /// The state after this step, or the states that it can be taken from.
    pub fn from(self, status: SubscriptionStatus) -> Result<SubscriptionStatus, &'static str> {
        use SubscriptionStatus::{Active, Pending, Revoked, Suspended};
        match (self, status) {
            (Self::Approve, Pending) => Ok(Active),
            (Self::Approve, _) => Err("a pending subscription"),
            (Self::Suspend, Active) => Ok(Suspended),
            (Self::Suspend, _) => Err("an active subscription"),
            (Self::Resume, Suspended) => Ok(Active),
            (Self::Resume, _) => Err("a suspended subscription"),
            (Self::Revoke, _) => Ok(Revoked),
        }
    }
}
