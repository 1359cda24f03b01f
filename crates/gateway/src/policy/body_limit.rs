//! `body_limit`: how large a request's body may be.

use http::header::CONTENT_LENGTH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, ForwardPlan, Phase, Policy};
use crate::error::{Refusal, Rejection};
use crate::exchange::{Exchange, Flow};
use crate::problem::Problem;

/// Refuses a request whose body is larger, with 413. A body without a length is counted as it passes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyLimitConfig {
    /// The most bytes that a request's body may have.
    pub max_bytes: u64,
}

/// The compiled policy.
pub struct BodyLimit {
    max_bytes: u64,
}

impl Policy for BodyLimit {
    const PHASE: Phase = Phase::Validate;
    const EXAMPLE: &'static str = "max_bytes: 1048576\n";
    type Config = BodyLimitConfig;

    fn compile(config: &BodyLimitConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Self { max_bytes: config.max_bytes })
    }

    fn plan(&self, plan: &mut ForwardPlan) {
        plan.body_limit = Some(plan.body_limit.map_or(self.max_bytes, |limit| limit.min(self.max_bytes)));
    }

    async fn request(&self, x: &mut Exchange<'_>) -> Flow {
        let length = x.head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        match length {
            Some(length) if length > self.max_bytes => Flow::Refuse(Box::new(too_large(self.max_bytes))),
            _ => Flow::Next,
        }
    }
}

/// The refusal of a body past its limit.
pub fn too_large(limit: u64) -> Rejection {
    Rejection::new(Refusal::BodyTooLarge, format!("the body may have at most {limit} bytes"))
}
