//! Compiled consumers, their subscriptions, plans and keys.

use std::sync::Arc;

use jiff::Timestamp;

use super::policy::BoundPolicy;
use crate::config::consumer::ConsumerStatus;
use crate::config::credential::CredentialStatus;
use crate::config::subscription::SubscriptionStatus;
use crate::kind::Id;
use crate::limit::Limits;

/// A consumer ready for use.
#[derive(Debug)]
pub struct CompiledConsumer {
    /// The consumer's id.
    pub id: Id,
    /// Its tenant's id.
    pub tenant_id: Id,
    /// Its name, for the log.
    pub name: Arc<str>,
    /// Whether it may call.
    pub status: ConsumerStatus,
    /// Policies bound to it.
    pub policies: Box<[BoundPolicy]>,
    /// What its limits count; survives changes.
    pub limits: Arc<Limits>,
    /// Its subscriptions.
    pub subscriptions: Box<[CompiledSubscription]>,
    /// The hashes of its keys, to take them out of the index again.
    pub keys: Box<[[u8; 32]]>,
}

/// A subscription ready for use.
#[derive(Debug)]
pub struct CompiledSubscription {
    /// The subscription's id.
    pub id: Id,
    /// The API.
    pub api_id: Id,
    /// The plan.
    pub plan_id: Option<Id>,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Policies bound to it.
    pub policies: Box<[BoundPolicy]>,
    /// What its limits count; survives changes.
    pub limits: Arc<Limits>,
}

/// A plan ready for use.
#[derive(Debug)]
pub struct CompiledPlan {
    /// Policies bound to it, and its own rate limit.
    pub policies: Box<[BoundPolicy]>,
}

/// A key ready for use.
#[derive(Debug)]
pub struct CompiledKey {
    /// The consumer whose key it is.
    pub consumer: Arc<CompiledConsumer>,
    /// The only subscription that it is for.
    pub subscription: Option<Id>,
    /// Whether it is accepted.
    pub status: CredentialStatus,
    /// When it stops being accepted.
    pub expires_at: Option<Timestamp>,
}

impl CompiledConsumer {
    /// Its live subscription to an API; else one that says why there is none.
    pub fn subscription_to(&self, api_id: Id) -> Option<&CompiledSubscription> {
        let mut all = self.subscriptions.iter().filter(|subscription| subscription.api_id == api_id);
        all.clone().find(|subscription| subscription.status != SubscriptionStatus::Revoked).or_else(|| all.next())
    }
}
