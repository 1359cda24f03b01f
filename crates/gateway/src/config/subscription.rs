//! A consumer's right to call an API.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Traffic;
use crate::kind::{Id, Kind, OnDelete, Ref, Reference};
use crate::schema::Time;

/// A consumer's right to call one API on the terms of a plan. A consumer has one live subscription per API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Who calls.
    pub consumer_id: Ref,
    /// What is called.
    pub api_id: Ref,
    /// On which terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<Ref>,
    /// Where the subscription stands; left out, it is `active`, or `pending` when the plan asks for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SubscriptionStatus>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub expires_at: Option<Timestamp>,
}

/// The states of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    /// Waits for approval; calls are refused with 403.
    Pending,
    /// Calls are let through.
    Active,
    /// Calls are refused with 403 until it is resumed.
    Suspended,
    /// Over for good; its keys are refused with 401.
    Revoked,
}

impl Kind for Subscription {
    const KIND: &'static str = "Subscription";
    const PLURAL: &'static str = "subscriptions";
    const NOUN: &'static str = "subscription";
    const REFERENCES: &'static [Reference] = &[
        Reference::one("consumer_id", "Consumer", OnDelete::Refuse),
        Reference::one("api_id", "Api", OnDelete::Refuse),
        Reference::one("plan_id", "Plan", OnDelete::Refuse),
    ];

    fn default_name(id: Id) -> Option<String> {
        Some(format!("sub-{}", id.simple()))
    }
}

impl Traffic for Subscription {
    fn refers_to(&self) -> SmallVec<[Id; 3]> {
        [Some(self.consumer_id), Some(self.api_id), self.plan_id].into_iter().flatten().map(|to| to.0).collect()
    }
}
