//! Who is calling: from the key in a request to a consumer and its subscription.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::header::{self, HeaderValue};
use http::request;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use crate::api_key;
use crate::clock;
use crate::config::api::Access;
use crate::config::consumer::ConsumerStatus;
use crate::config::credential::CredentialStatus;
use crate::config::subscription::SubscriptionStatus;
use crate::error::{Refusal, Rejection};
use crate::exchange::{Caller, Exchange};
use crate::policy::key_auth::KeySources;

/// Where a key was found.
enum Place {
    Header(header::HeaderName),
    Query(String),
}

/// Names the caller, or refuses the request. On a public API without `key_auth` there is nobody to name.
pub fn authenticate(x: &mut Exchange<'_>) -> Result<(), Rejection> {
    static USUAL: LazyLock<KeySources> = LazyLock::new(KeySources::default);
    let sources = match (x.key_sources, x.api.access) {
        (Some(sources), _) => sources,
        (None, Access::Subscription) => &USUAL,
        (None, Access::Public) => return Ok(()),
    };
    let caller = find_key(x.head, sources).ok_or(Refusal::MissingApiKey).and_then(|(key, place)| {
        let hash = api_key::hash(key.as_bytes());
        Ok((judge(x, &hash)?, place))
    });
    match caller {
        Ok((caller, place)) => {
            if !sources.forward {
                take_key_out(x.head, &place);
            }
            x.caller = Some(caller);
            Ok(())
        }
        Err(refusal) => {
            tracing::error!(target: "gateway", path = x.path, reason = refusal.code(), api = %x.api.name, "auth_failed");
            Err(refused(refusal, &x.api.name))
        }
    }
}

fn judge<'s>(x: &Exchange<'s>, hash: &[u8; 32]) -> Result<Caller<'s>, Refusal> {
    let key = x.snapshot.keys.get(hash).ok_or(Refusal::InvalidApiKey)?;
    if key.status == CredentialStatus::Revoked {
        return Err(Refusal::RevokedApiKey);
    }
    if key.expires_at.is_some_and(|end| end <= clock::now()) {
        return Err(Refusal::ExpiredApiKey);
    }
    let consumer = &key.consumer;
    if consumer.tenant_id != x.api.tenant_id {
        return Err(Refusal::NoSubscription);
    }
    if consumer.status == ConsumerStatus::Suspended {
        return Err(Refusal::ConsumerSuspended);
    }
    if x.api.access == Access::Public {
        return Ok(Caller { consumer, subscription: None });
    }
    let subscription = match key.subscription {
        Some(only) => consumer.subscriptions.iter().find(|known| known.id == only && known.api_id == x.api.id),
        None => consumer.subscription_to(x.api.id),
    };
    let subscription = subscription.ok_or(Refusal::NoSubscription)?;
    match subscription.status {
        SubscriptionStatus::Active => {}
        SubscriptionStatus::Pending => return Err(Refusal::SubscriptionPending),
        SubscriptionStatus::Suspended => return Err(Refusal::SubscriptionSuspended),
        SubscriptionStatus::Revoked => return Err(Refusal::RevokedApiKey),
    }
    if subscription.expires_at.is_some_and(|end| end <= clock::now()) {
        return Err(Refusal::SubscriptionExpired);
    }
    Ok(Caller { consumer, subscription: Some(subscription) })
}

fn find_key<'h>(head: &'h request::Parts, sources: &KeySources) -> Option<(Cow<'h, str>, Place)> {
    for name in &sources.headers {
        if let Some(key) = head.headers.get(name).and_then(|value| value.to_str().ok()).filter(|key| !key.is_empty()) {
            return Some((key.into(), Place::Header(name.clone())));
        }
    }
    if sources.bearer {
        let value = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key =
            value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, key)) = key {
            return Some((key.trim().into(), Place::Header(header::AUTHORIZATION)));
        }
    }
    let pairs = head.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    for (name, value) in pairs {
        if sources.query.iter().any(|known| known == name) && !value.is_empty() {
            return Some((percent_decode_str(value).decode_utf8().ok()?, Place::Query(name.to_owned())));
        }
    }
    None
}

/// The upstream has no use for the key, and what it does not have it cannot leak.
fn take_key_out(head: &mut request::Parts, place: &Place) {
    let name = match place {
        Place::Header(name) => {
            head.headers.remove(name);
            return;
        }
        Place::Query(name) => name,
    };
    let is_key = |pair: &str| pair.split_once('=').is_some_and(|(given, _)| given == name);
    let kept: Vec<&str> = head.uri.query().unwrap_or_default().split('&').filter(|pair| !is_key(pair)).collect();
    let text = match kept.is_empty() {
        true => head.uri.path().to_owned(),
        false => format!("{}?{}", head.uri.path(), kept.join("&")),
    };
    if let Ok(path) = PathAndQuery::try_from(text) {
        head.uri = path.into();
    }
}

/// The refusal with its reason in `WWW-Authenticate` (RFC 9110 section 11.6.1, S30).
fn refused(refusal: Refusal, api: &str) -> Rejection {
    let realm: String = api.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect();
    let challenge =
        format!("ApiKey realm=\"{realm}\", error=\"{}\", error_description=\"{}\"", refusal.code(), refusal.title());
    let rejection = Rejection::from(refusal);
    match HeaderValue::try_from(challenge) {
        Ok(value) => rejection.with(header::WWW_AUTHENTICATE, value),
        Err(_) => rejection,
    }
}
