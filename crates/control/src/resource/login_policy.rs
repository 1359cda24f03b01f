//! What a login asks for.

use portunus_gateway::kind::{Id, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a login asks for. There is one, with the name `default`, in the tenant `platform`; it holds for all tenants.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginPolicy {
    /// Who must have a second factor. Who must and has none can log in, and set one up, and nothing else.
    pub second_factor: WhoNeeds,
    /// For how many minutes a second factor that was shown is good for dangerous actions.
    #[schemars(range(min = 1, max = 1440))]
    pub step_up_minutes: u16,
}

/// Who must have a second factor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhoNeeds {
    /// Nobody; those who have one are asked for it.
    #[default]
    Nobody,
    /// Those who have a role with the permission `*:*`.
    Admins,
    /// Everybody.
    Everybody,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self { second_factor: WhoNeeds::default(), step_up_minutes: 10 }
    }
}

impl Kind for LoginPolicy {
    const KIND: &'static str = "LoginPolicy";
    const PLURAL: &'static str = "login-policies";
    const NOUN: &'static str = "login_policy";

    fn default_name(_id: Id) -> Option<String> {
        Some("default".to_owned())
    }
}
