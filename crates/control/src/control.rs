//! The handles that every call of the control plane uses.

use std::sync::Arc;

use portunus_gateway::kind::Id;
use portunus_gateway::telemetry::metrics::Metrics;

use crate::access::Account;
use crate::api::idempotency::Replies;
use crate::api::throttle::Throttle;
use crate::store::Store;
use crate::token::{TokenError, Tokens};

/// The control plane of one process.
pub struct Control {
    /// Resources, history, events.
    pub store: Store,
    /// Access tokens.
    pub tokens: Tokens,
    /// The counters of the data plane.
    pub metrics: Arc<Metrics>,
    /// Answers kept for `Idempotency-Key`.
    pub replies: Replies,
    /// How often may be called, and how often a password may be guessed.
    pub throttle: Throttle,
}

impl Control {
    /// The control plane over an open store.
    pub fn new(store: Store, tokens: Tokens, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { store, tokens, metrics, replies: Replies::default(), throttle: Throttle::default() })
    }

    /// The account that a token speaks for, as it stands now.
    pub fn account(&self, token: &str) -> Result<Arc<Account>, TokenError> {
        let id: Id = self.tokens.verify(token)?;
        self.store.access.load().account(id).cloned().map(Arc::new).ok_or(TokenError::Invalid)
    }
}
