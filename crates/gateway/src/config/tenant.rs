//! A customer or team.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Traffic;
use crate::kind::Kind;

/// A customer or team; everything belongs to one. The built-in tenant `platform` owns what holds for all.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The name to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// What this tenant is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
}

impl Kind for Tenant {
    const KIND: &'static str = "Tenant";
    const PLURAL: &'static str = "tenants";
    const NOUN: &'static str = "tenant";
}

impl Traffic for Tenant {}
