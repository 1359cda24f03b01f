//! `timeout`: how long the upstream may take.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, ForwardPlan, Phase, Policy};
use crate::problem::Problem;

/// Overrides the upstream's own timeouts. A call past them is answered 504.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutConfig {
    /// How long a connection may take to be made, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub connect_ms: Option<u64>,
    /// How long the head of the answer may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub response_ms: Option<u64>,
}

/// The compiled policy.
pub struct Timeout {
    connect: Option<Duration>,
    response: Option<Duration>,
}

impl Policy for Timeout {
    const PHASE: Phase = Phase::Upstream;
    const EXAMPLE: &'static str = "connect_ms: 500\nresponse_ms: 3000\n";
    type Config = TimeoutConfig;

    fn compile(config: &TimeoutConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        if config.connect_ms.is_none() && config.response_ms.is_none() {
            return Err(vec![Problem::new("", "no timeout is set", "`connect_ms`, `response_ms` or both")]);
        }
        Ok(Self {
            connect: config.connect_ms.map(Duration::from_millis),
            response: config.response_ms.map(Duration::from_millis),
        })
    }

    fn plan(&self, plan: &mut ForwardPlan) {
        plan.connect_timeout = self.connect.unwrap_or(plan.connect_timeout);
        plan.response_timeout = self.response.unwrap_or(plan.response_timeout);
    }
}
