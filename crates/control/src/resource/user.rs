//! A person who logs in.

use portunus_gateway::api_key;
use portunus_gateway::config::consumer::is_email;
use portunus_gateway::kind::{Kind, OnDelete, OneTimeSecret, Ref, Reference};
use portunus_gateway::problem::Problem;
use portunus_gateway::secret::Keyring;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::password;

/// A person who logs in, with the resource's name as login name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Where to reach them.
    #[schemars(length(min = 3, max = 320))]
    pub email: String,
    /// The name to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// What they may do.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub roles: Vec<Ref>,
    /// A locked user cannot log in, and their sessions and tokens stop working.
    #[serde(default)]
    pub status: AccountStatus,
    /// Why they are locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub lock_reason: Option<String>,
    /// The password, to choose it yourself; left out, one is made and shown once. It is never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 256))]
    pub password: Option<String>,
    /// The password's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub password_hash: Option<String>,
}

/// Whether an account is usable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It is.
    #[default]
    Active,
    /// It is not, until it is unlocked.
    Locked,
}

impl Kind for User {
    const KIND: &'static str = "User";
    const PLURAL: &'static str = "users";
    const NOUN: &'static str = "user";
    const HIDDEN: &'static [&'static str] = &["password_hash"];
    const REFERENCES: &'static [Reference] =
        &[Reference { field: "roles", kind: "Role", many: true, on_delete: OnDelete::Refuse, platform: true }];

    fn check(&self) -> Vec<Problem> {
        match is_email(&self.email) {
            true => Vec::new(),
            false => vec![Problem::new("/email", "not an e-mail address", "name@host").found(self.email.as_str())],
        }
    }

    fn prepare(&mut self, before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        self.password_hash = before.and_then(|before| before.password_hash.clone());
        if let Some(secret) = self.password.take() {
            self.password_hash = Some(password::hash(&secret));
            return Ok(None);
        }
        if self.password_hash.is_some() {
            return Ok(None);
        }
        let secret = api_key::random_text(20);
        self.password_hash = Some(password::hash(&secret));
        Ok(Some(OneTimeSecret { field: "password", value: secret }))
    }
}
