//! A rule that calls are judged by, before it is compiled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Traffic;
use crate::kind::Kind;
use crate::policy;
use crate::problem::Problem;

/// A rule for calls. It takes effect where a binding applies it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which rule: `rate_limit`, `cors` and so on; see the policy reference.
    #[schemars(length(min = 1, max = 64))]
    pub policy_type: String,
    /// The rule's own settings.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Among policies of one type the lowest number wins; at equal numbers, the most specific target.
    #[serde(default = "priority")]
    #[schemars(range(min = 0, max = 10_000))]
    pub priority: u32,
    /// The widest target that it may be bound to.
    #[serde(default)]
    pub scope: Scope,
    /// A disabled policy is kept and does not apply.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
}

/// The widest target that a policy may be bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// An API or a route, plan, consumer or subscription.
    Api,
    /// Those, or a whole tenant.
    #[default]
    Tenant,
    /// Those, or the whole platform.
    Gateway,
}

fn priority() -> u32 {
    100
}

fn enabled() -> bool {
    true
}

impl Kind for Policy {
    const KIND: &'static str = "Policy";
    const PLURAL: &'static str = "policies";
    const NOUN: &'static str = "policy";

    fn check(&self) -> Vec<Problem> {
        policy::check(&self.policy_type, &Value::Object(self.config.clone()))
    }
}

impl Traffic for Policy {}
