//! The handles that every call of the control plane uses.

use std::sync::Arc;

use ipnet::IpNet;
use portunus_gateway::telemetry::metrics::Metrics;

use crate::api::idempotency::Replies;
use crate::api::throttle::Throttle;
use crate::store::Store;
use crate::token::Tokens;

/// What the operator chose for the control plane.
#[derive(Debug, Clone, Default)]
pub struct ControlSettings {
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
}

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
    /// What the operator chose.
    pub settings: ControlSettings,
}

impl Control {
    /// The control plane over an open store.
    pub fn new(store: Store, tokens: Tokens, metrics: Arc<Metrics>, settings: ControlSettings) -> Arc<Self> {
        let (replies, throttle) = (Replies::default(), Throttle::default());
        Arc::new(Self { store, tokens, metrics, replies, throttle, settings })
    }
}
