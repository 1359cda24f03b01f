//! A machine that uses the control plane.

use portunus_gateway::api_key;
use portunus_gateway::kind::{Kind, OnDelete, OneTimeSecret, Ref, Reference};
use portunus_gateway::problem::Problem;
use portunus_gateway::secret::Keyring;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::user::AccountStatus;
use crate::password;

/// A machine that uses the control plane: an OAuth client with its name as `client_id`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000))]
    pub description: Option<String>,
    /// What it may do.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub roles: Vec<Ref>,
    /// A locked account gets no tokens, and the ones it has stop working.
    #[serde(default)]
    pub status: AccountStatus,
    /// The client secret, to choose it yourself; left out, one is made and shown once. It is never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 256))]
    pub client_secret: Option<String>,
    /// The secret's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub secret_hash: Option<String>,
}

impl Kind for ServiceAccount {
    const KIND: &'static str = "ServiceAccount";
    const PLURAL: &'static str = "service-accounts";
    const NOUN: &'static str = "service_account";
    const HIDDEN: &'static [&'static str] = &["secret_hash"];
    const REFERENCES: &'static [Reference] =
        &[Reference { field: "roles", kind: "Role", many: true, on_delete: OnDelete::Refuse, platform: true }];

    fn prepare(&mut self, before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        self.secret_hash = before.and_then(|before| before.secret_hash.clone());
        if let Some(secret) = self.client_secret.take() {
            self.secret_hash = Some(password::hash(&secret));
            return Ok(None);
        }
        if self.secret_hash.is_some() {
            return Ok(None);
        }
        let secret = format!("ptn_secret_{}", api_key::random_text(40));
        self.secret_hash = Some(password::hash_random(&secret));
        Ok(Some(OneTimeSecret { field: "client_secret", value: secret }))
    }
}
