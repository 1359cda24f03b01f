//! Asking servers whether they are well.

use std::time::Duration;

use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ejection::check_statuses;
use super::statuses::Statuses;
use crate::problem::Problem;

/// Asks every target whether it is well, and sends it no requests while it is not. The first check of a new target
/// decides by itself; until then it counts as well. When no target is well, requests are answered 503 `no_target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// What is asked. Targets with `https` are asked over TLS.
    #[serde(rename = "type")]
    pub check_type: HealthCheckType,
    /// What `http` gets, as the target knows it; the path of the target's URL is not put before it.
    #[schemars(length(min = 1, max = 2000))]
    pub path: String,
    /// From one check to the next, in milliseconds.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub interval_ms: u64,
    /// How long the answer may take, in milliseconds.
    #[schemars(range(min = 10, max = 600_000))]
    pub timeout_ms: u64,
    /// After how many good checks in a row a target is used again.
    #[schemars(range(min = 1, max = 100))]
    pub healthy_after: u32,
    /// After how many bad checks in a row a target is no longer used.
    #[schemars(range(min = 1, max = 100))]
    pub unhealthy_after: u32,
    /// The statuses of `http` that are good, such as `204` or `"200-399"`.
    #[schemars(length(min = 1, max = 64))]
    pub statuses: Vec<Statuses>,
}

/// What a health check asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthCheckType {
    /// Whether a GET of `path` is answered with one of `statuses`.
    #[default]
    Http,
    /// Whether a connection can be made.
    Tcp,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            check_type: HealthCheckType::Http,
            path: "/".to_owned(),
            interval_ms: 5_000,
            timeout_ms: 2_000,
            healthy_after: 2,
            unhealthy_after: 3,
            statuses: vec![Statuses::range(200, 399)],
        }
    }
}

impl HealthCheck {
    /// Every fault that the schema cannot express.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = check_statuses(&self.statuses);
        if !self.path.starts_with('/') || PathAndQuery::try_from(self.path.as_str()).is_err() {
            problems.push(
                Problem::new("/path", "not a path", "a path such as /health, with an optional query")
                    .found(self.path.as_str()),
            );
        }
        problems
    }

    /// [`Self::interval_ms`] as a duration.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    /// [`Self::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
