//! A set of permissions.

use portunus_gateway::kind::{Kind, OneTimeSecret};
use portunus_gateway::problem::Problem;
use portunus_gateway::secret::Keyring;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Permission, names};

/// A set of permissions. A role of the tenant `platform` holds in every tenant, others in their own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What the role is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
    /// What it permits, as `noun:verb`, such as `api:write`; `*` stands for every noun or verb.
    /// Names of other gateways, such as `manage_apis`, are kept as what stands for them.
    #[schemars(length(max = 200))]
    pub permissions: Vec<String>,
}

impl Kind for Role {
    const KIND: &'static str = "Role";
    const PLURAL: &'static str = "roles";
    const NOUN: &'static str = "role";

    fn check(&self) -> Vec<Problem> {
        self.permissions
            .iter()
            .enumerate()
            .filter_map(|(index, text)| {
                let why = Permission::check(text).err()?;
                Some(Problem::new(format!("/permissions/{index}"), why, Permission::forms()).found(text.as_str()))
            })
            .collect()
    }

    fn prepare(&mut self, _before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        self.permissions = names::translated(&self.permissions);
        Ok(None)
    }
}
