//! Second factors of people: codes of an authenticator app, WebAuthn, backup codes.
//!
//! [`verify`] is the one place that says whether a factor is right. It runs inside the writer's transaction, so that a
//! code, a challenge or a backup code that two calls show at once is taken from one of them.

pub mod attempts;
pub mod backup;
pub mod challenge;
pub mod methods;
pub mod passkey;
pub mod totp;
pub mod verify;

use std::sync::Arc;

use portunus_gateway::secret::Keyring;

use passkey::RelyingParty;

/// What checks of factors need besides the database.
#[derive(Clone)]
pub struct Factors {
    /// Seals and opens the secrets of authenticator apps and the state of challenges.
    pub keys: Arc<Keyring>,
    /// What WebAuthn credentials are bound to; `None` when people reach Portunus under no host name.
    pub party: Option<Arc<RelyingParty>>,
}

impl Factors {
    /// With these keys, for people who reach Portunus at this address.
    pub fn new(keys: Arc<Keyring>, public_url: &str) -> Self {
        Self { keys, party: RelyingParty::at(public_url).map(Arc::new) }
    }
}
