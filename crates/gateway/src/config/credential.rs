//! What a consumer proves its identity with.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Traffic;
use crate::api_key;
use crate::kind::{Id, Kind, OnDelete, OneTimeSecret, Ref, Reference};
use crate::problem::Problem;
use crate::schema::Time;
use crate::secret::Keyring;

/// A key of a consumer. Only its SHA-256 is kept; the key itself is shown once, in the answer that made it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Whose key it is.
    pub consumer_id: Ref,
    /// Restricts the key to this subscription; without it, it opens every API that the consumer is subscribed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<Ref>,
    /// What kind of proof it is.
    #[serde(default)]
    pub credential_type: CredentialType,
    /// The first characters of the key, to recognise it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub prefix: Option<String>,
    /// SHA-256 of the key in hexadecimal. Send it to bring a key along from elsewhere; leave it out to have a key made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub key_sha256: Option<String>,
    /// Whether it is accepted.
    #[serde(default)]
    pub status: CredentialStatus,
    /// When it stops being accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub expires_at: Option<Timestamp>,
}

/// Kinds of proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// A random key, sent in a header.
    #[default]
    ApiKey,
}

/// Whether a credential is accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// It is.
    #[default]
    Active,
    /// It is refused with 401, reason `revoked_api_key`.
    Revoked,
}

impl Credential {
    /// The key's hash; always there once stored.
    pub fn hash(&self) -> Option<[u8; 32]> {
        api_key::from_hex(self.key_sha256.as_deref()?)
    }
}

impl Kind for Credential {
    const KIND: &'static str = "Credential";
    const PLURAL: &'static str = "credentials";
    const NOUN: &'static str = "credential";
    const REFERENCES: &'static [Reference] = &[
        Reference::one("consumer_id", "Consumer", OnDelete::Follow),
        Reference::one("subscription_id", "Subscription", OnDelete::Follow),
    ];

    fn prepare(&mut self, before: Option<&Self>, _keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        if let Some(before) = before {
            self.prefix.clone_from(&before.prefix);
            if self.key_sha256.is_some() && self.key_sha256 != before.key_sha256 {
                return Err(vec![Problem::new(
                    "/key_sha256",
                    "the key of a credential cannot be changed",
                    "a new credential",
                )]);
            }
            self.key_sha256.clone_from(&before.key_sha256);
            return Ok(None);
        }
        if self.key_sha256.is_some() {
            return Ok(None);
        }
        let key = api_key::generate(api_key::LIVE);
        self.prefix = Some(api_key::shown(&key, api_key::LIVE).to_owned());
        self.key_sha256 = Some(api_key::to_hex(&api_key::hash(key.as_bytes())));
        Ok(Some(OneTimeSecret { field: "api_key", value: key }))
    }

    fn default_name(id: Id) -> Option<String> {
        Some(format!("key-{}", id.simple()))
    }
}

impl Traffic for Credential {
    fn refers_to(&self) -> SmallVec<[Id; 3]> {
        [Some(self.consumer_id), self.subscription_id].into_iter().flatten().map(|to| to.0).collect()
    }
}
