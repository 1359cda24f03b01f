//! Who calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Traffic;
use crate::kind::Kind;
use crate::problem::Problem;

/// A person, team or program that calls APIs. Its name is your own identifier for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// The name to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// Where to reach them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 320))]
    pub email: Option<String>,
    /// The company they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub company: Option<String>,
    /// Anything you want to keep with them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// A suspended consumer's calls are refused with 403.
    #[serde(default)]
    pub status: ConsumerStatus,
}

/// Whether a consumer may call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerStatus {
    /// It may.
    #[default]
    Active,
    /// Its calls are refused with 403.
    Suspended,
}

impl Kind for Consumer {
    const KIND: &'static str = "Consumer";
    const PLURAL: &'static str = "consumers";
    const NOUN: &'static str = "consumer";

    fn check(&self) -> Vec<Problem> {
        match &self.email {
            Some(email) if !is_email(email) => {
                vec![Problem::new("/email", "not an e-mail address", "name@host").found(email.as_str())]
            }
            _ => Vec::new(),
        }
    }
}

impl Traffic for Consumer {}

/// Whether this can be an address: one `@` with something on both sides, no spaces and no controls.
pub fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    !name.is_empty() && !host.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}
