//! Taking a server out for a while because of what its answers to requests are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::statuses::Statuses;
use crate::problem::Problem;

/// Takes a target out for a while after failures in a row: connections that are not made, answers that do not come or
/// break off, and the `statuses`. When every target is out, all are called again, because some answer may come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ejection {
    /// After how many failures in a row.
    #[schemars(range(min = 1, max = 10_000))]
    pub consecutive_failures: u32,
    /// For how long, in milliseconds. A target that soon fails again is out for twice as long, then three times, up to
    /// ten times.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub base_time_ms: u64,
    /// How much of the targets may be out at once, in percent, rounded down to whole targets.
    #[schemars(range(min = 1, max = 100))]
    pub max_percent: u32,
    /// The statuses that count as failures, such as `503` or `"500-599"`.
    #[schemars(length(max = 64))]
    pub statuses: Vec<Statuses>,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base_time_ms: 30_000,
            max_percent: 50,
            statuses: vec![Statuses::one(502), Statuses::one(503), Statuses::one(504)],
        }
    }
}

impl Ejection {
    /// Every fault that the schema cannot express.
    pub fn check(&self) -> Vec<Problem> {
        check_statuses(&self.statuses)
    }
}

/// A range that ends before it begins has no status.
pub(super) fn check_statuses(statuses: &[Statuses]) -> Vec<Problem> {
    let is_empty = |statuses: &Statuses| statuses.first > statuses.last;
    let wrong = statuses.iter().enumerate().filter(|(_, statuses)| is_empty(statuses));
    wrong
        .map(|(index, statuses)| {
            let range = format!("{}-{}", statuses.first, statuses.last);
            Problem::new(format!("/statuses/{index}"), "the range has no status", "the lower one first").found(range)
        })
        .collect()
}
