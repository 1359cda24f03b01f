//! What a provider says of itself, and its keys, kept in memory.
//!
//! Keys are fetched again when a token names one that is not known, at most once a minute, and every ten minutes, so that
//! a key which the provider took back is not taken here for long. While the provider is down, the keys that are known are
//! good for a day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Mutex;

use super::Provider;
use super::http::{Http, HttpError};
use super::keys::{self, Key};
use crate::resource::identity_provider::is_usable;

const FRESH: Duration = Duration::from_secs(600);
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Between two fetches.
const PAUSE: Duration = Duration::from_secs(60);
/// Between two fetches while nothing is known.
const SHORT_PAUSE: Duration = Duration::from_secs(5);

/// Where a provider is reached (OpenID Connect Discovery 1.0 section 3).
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    /// Must be the one that is configured.
    pub issuer: String,
    /// Where people are sent to.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes are exchanged.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// Where more claims are.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// Where the keys are.
    pub jwks_uri: String,
    /// How clients prove themselves at the token endpoint.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether answers to logins say who answers (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// What is known of a provider.
pub struct Known {
    /// Where it is reached.
    pub metadata: Metadata,
    /// The key set as it was sent.
    pub jwks: Value,
    /// The keys of it that can be used.
    pub keys: Vec<Key>,
    fetched_at: Instant,
}

/// Why nothing is known of a provider.
#[derive(Debug, Error)]
pub enum Unreachable {
    /// It gave no answer.
    #[error("{0}: {1}")]
    Http(String, HttpError),
    /// Its answer is no description.
    #[error("{0} does not answer with {1}")]
    Wrong(String, &'static str),
    /// It calls itself by another name.
    #[error("the provider calls itself {0}")]
    OtherIssuer(String),
    /// One of its addresses has no TLS.
    #[error("{0} is not an address that may be called")]
    Address(String),
    /// It failed a moment ago.
    #[error("it could not be reached a moment ago")]
    Paused,
}

/// What is to be known at least, as far as it is not old.
#[derive(Debug, Clone, Copy)]
pub enum Want<'a> {
    /// Anything.
    Any,
    /// A key for tokens with this key id, if they have one, and this algorithm.
    Key(Option<&'a str>, Algorithm),
}

impl Want<'_> {
    fn is_met(self, known: &Known) -> bool {
        match self {
            // A token without a key id is no reason to ask the provider again.
            Self::Any | Self::Key(None, _) => true,
            Self::Key(id, algorithm) => keys::find(&known.keys, id, algorithm).is_some(),
        }
    }
}

/// One provider.
#[derive(Default)]
pub struct Remote {
    known: ArcSwapOption<Known>,
    /// When it was last asked. Whoever holds it asks.
    asked_at: Mutex<Option<Instant>>,
}

impl Remote {
    /// What is known of the provider. It is asked again when that is not enough.
    pub async fn known(&self, http: &Http, provider: &Provider, want: Want<'_>) -> Result<Arc<Known>, Unreachable> {
        let now = Instant::now();
        let is_enough = |known: &Known| now.duration_since(known.fetched_at) < FRESH && want.is_met(known);
        let before = self.known.load_full();
        if let Some(known) = before.as_ref().filter(|known| is_enough(known)) {
            return Ok(known.clone());
        }
        let mut asked_at = match &before {
            // Somebody asks already; what is known has to do.
            Some(known) => match self.asked_at.try_lock() {
                Ok(turn) => turn,
                Err(_) => return still_good(known),
            },
            None => self.asked_at.lock().await,
        };
        if let Some(known) = self.known.load_full().filter(|known| is_enough(known)) {
            return Ok(known);
        }
        let pause = if before.is_some() { PAUSE } else { SHORT_PAUSE };
        if asked_at.is_some_and(|asked| asked.elapsed() < pause) {
            return before.as_ref().map_or(Err(Unreachable::Paused), still_good);
        }
        *asked_at = Some(Instant::now());
        match fetch(http, provider).await {
            Ok(known) => {
                let known = Arc::new(known);
                self.known.store(Some(known.clone()));
                Ok(known)
            }
            Err(error) => {
                let name = &provider.name;
                tracing::warn!(target: "control", provider = name, error = %error, "identity_provider_unreachable");
                before.as_ref().map_or(Err(error), still_good)
            }
        }
    }
}

fn still_good(known: &Arc<Known>) -> Result<Arc<Known>, Unreachable> {
    if known.fetched_at.elapsed() < STALE { Ok(known.clone()) } else { Err(Unreachable::Paused) }
}

async fn fetch(http: &Http, provider: &Provider) -> Result<Known, Unreachable> {
    let issuer = &provider.spec.issuer;
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata: Metadata = json(http, &url, "a description of a provider").await?;
    if metadata.issuer != *issuer {
        return Err(Unreachable::OtherIssuer(metadata.issuer));
    }
    let others = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.userinfo_endpoint];
    let addresses = others.into_iter().flatten().chain([&metadata.jwks_uri]);
    if let Some(wrong) = addresses.into_iter().find(|url| !is_usable_endpoint(url, provider.spec.insecure_http)) {
        return Err(Unreachable::Address(wrong.clone()));
    }
    let jwks: Value = json(http, &metadata.jwks_uri, "a key set").await?;
    let keys = keys::parse(&jwks);
    Ok(Known { metadata, jwks, keys, fetched_at: Instant::now() })
}

/// Endpoints, unlike issuers, may have a query.
fn is_usable_endpoint(url: &str, insecure_http: bool) -> bool {
    is_usable(url.split_once('?').map_or(url, |(path, _)| path), insecure_http)
}

async fn json<T: serde::de::DeserializeOwned>(http: &Http, url: &str, what: &'static str) -> Result<T, Unreachable> {
    let body = http.get(url).await.map_err(|error| Unreachable::Http(url.to_owned(), error))?;
    serde_json::from_slice(&body).map_err(|_| Unreachable::Wrong(url.to_owned(), what))
}
