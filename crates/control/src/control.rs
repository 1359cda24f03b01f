//! The handles that every call of the control plane uses.

use std::sync::Arc;

use ipnet::IpNet;
use portunus_gateway::telemetry::metrics::Metrics;

use crate::api::idempotency::Replies;
use crate::api::throttle::Throttle;
use crate::approval::webhook::Webhooks;
use crate::audit::keeper::{AuditSettings, Keeper};
use crate::federation::Federation;
use crate::last_use::LastUse;
use crate::login::failures::Failures;
use crate::login::throttle::{Guesses, Letters};
use crate::mail::Mailer;
use crate::mfa::Factors;
use crate::store::Store;
use crate::token::Tokens;

/// What the operator chose for the control plane.
#[derive(Debug, Clone)]
pub struct ControlSettings {
    /// How the record is kept.
    pub audit: AuditSettings,
    /// Peers whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The address that browsers reach the control listener at.
    pub public_url: String,
    /// Whether browsers reach Portunus by HTTPS alone, so that cookies are for nothing else.
    pub https_enabled: bool,
    /// How many seconds the access token of a person lives.
    pub people_token_seconds: u64,
    /// How many seconds a refresh token waits for its use.
    pub refresh_token_seconds: u64,
}

/// The control plane of one process.
pub struct Control {
    /// Keeps the record of what happened.
    pub audit: Arc<Keeper>,
    /// Resources, history, events.
    pub store: Store,
    /// Access tokens.
    pub tokens: Tokens,
    /// Providers outside.
    pub federation: Federation,
    /// The counters of the data plane.
    pub metrics: Arc<Metrics>,
    /// Answers kept for `Idempotency-Key`.
    pub replies: Replies,
    /// How often may be called.
    pub throttle: Throttle,
    /// What second factors are checked with.
    pub factors: Factors,
    /// When accounts and tokens were last used.
    pub last_use: LastUse,
    /// Tells others of requests for approval.
    pub webhooks: Webhooks,
    /// How often a secret may be guessed.
    pub guesses: Guesses,
    /// Failed logins on their way into the record.
    pub failures: Arc<Failures>,
    /// How often letters may be asked for.
    pub letters: Letters,
    /// Sends mail, if there is a server for it.
    pub mailer: Option<Mailer>,
    /// What the operator chose.
    pub settings: ControlSettings,
}

impl Control {
    /// The control plane over an open store.
    pub fn new(
        store: Store,
        tokens: Tokens,
        federation: Federation,
        metrics: Arc<Metrics>,
        mailer: Option<Mailer>,
        settings: ControlSettings,
    ) -> Arc<Self> {
        let (replies, throttle) = (Replies::default(), Throttle::default());
        let factors = Factors::new(store.keys.secrets.clone(), &settings.public_url);
        let last_use = LastUse::default();
        let audit = Arc::new(Keeper::new(store.clone(), metrics.clone(), settings.audit.clone()));
        let (guesses, letters, failures) = (Guesses::default(), Letters::default(), Arc::default());
        Arc::new(Self {
            audit,
            store,
            tokens,
            federation,
            metrics,
            replies,
            throttle,
            factors,
            last_use,
            webhooks: Webhooks::default(),
            guesses,
            letters,
            failures,
            mailer,
            settings,
        })
    }
}
