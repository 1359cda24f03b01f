//! How people log in.

use portunus_gateway::kind::{Id, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How people log in. There is one, `default` of the tenant `platform`, and it holds for all; without it the defaults
/// hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginPolicy {
    /// After how many minutes without a call the cookie of a session is no longer taken: at most 30 days.
    #[schemars(range(min = 1, max = 43_200))]
    pub session_idle_minutes: u32,
    /// After how many hours a session ends, however much it is used: at most a year. It holds for new sessions.
    #[schemars(range(min = 1, max = 8_760))]
    pub session_hours: u32,
    /// How many characters a new password has at least.
    #[schemars(range(min = 12, max = 128))]
    pub password_min_length: u32,
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
        Self {
            session_idle_minutes: 720,
            session_hours: 720,
            password_min_length: 12,
            second_factor: WhoNeeds::default(),
            step_up_minutes: 10,
        }
    }
}

impl LoginPolicy {
    /// The one name.
    pub const NAME: &'static str = "default";
}

impl Kind for LoginPolicy {
    const KIND: &'static str = "LoginPolicy";
    const PLURAL: &'static str = "login-policies";
    const NOUN: &'static str = "login_policy";

    fn default_name(_id: Id) -> Option<String> {
        Some(Self::NAME.to_owned())
    }
}
