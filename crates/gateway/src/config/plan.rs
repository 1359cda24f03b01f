//! What is sold or given to those who call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Traffic;
use crate::kind::Kind;
use crate::policy::rate_limit::RateLimitConfig;
use crate::problem::Problem;

/// The terms of a subscription: whether somebody must approve it, and how much may be called.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The name to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// What the plan offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
    /// Whether a new subscription waits for approval.
    #[serde(default)]
    pub requires_approval: bool,
    /// A rate limit for each subscription of the plan: a `rate_limit` policy of priority 100 bound to the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitConfig>,
}

impl Kind for Plan {
    const KIND: &'static str = "Plan";
    const PLURAL: &'static str = "plans";
    const NOUN: &'static str = "plan";

    fn check(&self) -> Vec<Problem> {
        let Some(limit) = &self.rate_limit else { return Vec::new() };
        limit.check().into_iter().map(|problem| problem.under("/rate_limit")).collect()
    }
}

impl Traffic for Plan {}
