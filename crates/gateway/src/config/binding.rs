//! To whom or what a policy applies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Traffic;
use crate::kind::{Id, Kind, OnDelete, Ref, Reference};
use crate::problem::Problem;

/// Applies a policy to one thing. Without a target it applies to the whole tenant; in the tenant `platform`, to everything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The policy.
    pub policy_id: Ref,
    /// Applies to calls of this API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_id: Option<Ref>,
    /// Narrows `api_id` to its route with this path, written as in the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub route: Option<String>,
    /// Applies to subscriptions of this plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<Ref>,
    /// Applies to calls of this consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_id: Option<Ref>,
    /// Applies to calls by this subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<Ref>,
    /// A disabled binding is kept and does not apply.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn enabled() -> bool {
    true
}

impl Kind for Binding {
    const KIND: &'static str = "Binding";
    const PLURAL: &'static str = "bindings";
    const NOUN: &'static str = "policy";
    const REFERENCES: &'static [Reference] = &[
        Reference { field: "policy_id", kind: "Policy", many: false, on_delete: OnDelete::Refuse, platform: true },
        Reference::one("api_id", "Api", OnDelete::Follow),
        Reference::one("plan_id", "Plan", OnDelete::Follow),
        Reference::one("consumer_id", "Consumer", OnDelete::Follow),
        Reference::one("subscription_id", "Subscription", OnDelete::Follow),
    ];

    fn check(&self) -> Vec<Problem> {
        let targets: Vec<&str> = [
            (self.api_id.is_some(), "api_id"),
            (self.plan_id.is_some(), "plan_id"),
            (self.consumer_id.is_some(), "consumer_id"),
            (self.subscription_id.is_some(), "subscription_id"),
        ]
        .into_iter()
        .filter_map(|(set, field)| set.then_some(field))
        .collect();
        let mut problems = Vec::new();
        if targets.len() > 1 {
            problems.push(Problem::new(
                format!("/{}", targets[1]),
                format!("a binding has one target, and this one has {}", targets.join(" and ")),
                "one of api_id, plan_id, consumer_id, subscription_id, or none for the whole tenant",
            ));
        }
        if self.route.is_some() && self.api_id.is_none() {
            problems.push(Problem::new("/route", "a route needs the API it belongs to", "`api_id` beside `route`"));
        }
        problems
    }

    fn default_name(id: Id) -> Option<String> {
        Some(format!("binding-{}", id.simple()))
    }
}

impl Traffic for Binding {
    fn refers_to(&self) -> SmallVec<[Id; 3]> {
        [Some(self.policy_id), self.api_id, self.plan_id, self.consumer_id, self.subscription_id]
            .into_iter()
            .flatten()
            .map(|to| to.0)
            .collect()
    }
}
