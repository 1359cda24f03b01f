//! Where the requests of an API go.

pub mod authentication;
pub mod balance;
pub mod ejection;
pub mod health_check;
pub mod http_version;
pub mod statuses;

use std::time::Duration;

use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::authentication::{Authentication, PURPOSE};
use self::balance::{Balance, HashOn};
use self::ejection::Ejection;
use self::health_check::HealthCheck;
use self::http_version::HttpVersion;
use super::Traffic;
use crate::kind::{Kind, OneTimeSecret};
use crate::problem::Problem;
use crate::secret::Keyring;
use crate::secret::field::SecretField;

/// A set of servers that answer the same requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The servers.
    #[schemars(length(min = 1, max = 256))]
    pub targets: Vec<Target>,
    /// What Portunus proves its own identity to them with; left out, the client's fields go on as they are. Health checks
    /// do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// The version of HTTP that they are spoken to with.
    #[serde(default)]
    pub http_version: HttpVersion,
    /// How a server is chosen for a request.
    #[serde(default)]
    pub balance: Balance,
    /// What `balance: consistent_hash` goes by; left out, the client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_on: Option<HashOn>,
    /// The header to go by, with `hash_on: header`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub hash_header: Option<String>,
    /// The cookie to go by, with `hash_on: cookie`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub hash_cookie: Option<String>,
    /// Checks of the targets' health; left out, there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// When a target is taken out because requests fail; left out, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejection: Option<Ejection>,
    /// For how long the share of a target grows to its whole weight, in milliseconds: one that is added, is well again or
    /// was out. 0 gives it its whole share at once.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3_600_000))]
    pub slow_start_ms: u64,
    /// The most requests that a target works on at one time; left out, any number. A target that is full is passed over;
    /// when all are full, requests wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: Option<u32>,
    /// The most requests that wait for a target with `max_connections`, up to the connect timeout; left out, 1024. Any
    /// further one is answered 503 `upstream_overloaded` at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_pending: Option<u32>,
    /// How often the addresses of host names are looked up, in milliseconds.
    #[serde(default = "dns_refresh_ms")]
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub dns_refresh_ms: u64,
    /// How long a connection may take to be made, in milliseconds.
    #[serde(default = "connect_timeout_ms")]
    #[schemars(range(min = 1, max = 600_000))]
    pub connect_timeout_ms: u64,
    /// How long the upstream may take from the request's last byte to the answer's head, in milliseconds.
    #[serde(default = "response_timeout_ms")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub response_timeout_ms: u64,
    /// How long the upstream may be silent in the middle of an answer, in milliseconds.
    #[serde(default = "read_timeout_ms")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub read_timeout_ms: u64,
    /// How long an idle connection is kept for the next request, in milliseconds.
    #[serde(default = "idle_timeout_ms")]
    #[schemars(range(min = 0, max = 3_600_000))]
    pub idle_timeout_ms: u64,
    /// How long a connection is used for further requests at most, in milliseconds, so that a change behind a load
    /// balancer is noticed.
    #[serde(default = "connection_age_ms")]
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub connection_age_ms: u64,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `http://host:port` or `https://host:port`, with an optional path that is put before the request's.
    #[schemars(length(min = 1, max = 2000))]
    pub url: String,
    /// Its share of the requests, relative to the other targets; 0 takes it out.
    #[serde(default = "weight")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: u32,
}

fn connect_timeout_ms() -> u64 {
    5_000
}

fn response_timeout_ms() -> u64 {
    60_000
}

fn read_timeout_ms() -> u64 {
    300_000
}

fn idle_timeout_ms() -> u64 {
    30_000
}

fn connection_age_ms() -> u64 {
    3_600_000
}

fn dns_refresh_ms() -> u64 {
    30_000
}

fn weight() -> u32 {
    1
}

impl Upstream {
    /// [`Self::idle_timeout_ms`] as a duration.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}

impl Kind for Upstream {
    const KIND: &'static str = "Upstream";
    const PLURAL: &'static str = "upstreams";
    const NOUN: &'static str = "upstream";
    const SECRETS: &'static [SecretField] = &[
        SecretField::new("/authentication/header/value", PURPOSE),
        SecretField::new("/authentication/basic/password", PURPOSE),
        SecretField::new("/authentication/bearer/token", PURPOSE),
    ];

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self
            .targets
            .iter()
            .enumerate()
            .filter_map(|(index, target)| {
                let why = check_url(&target.url).err()?;
                Some(
                    Problem::new(
                        format!("/targets/{index}/url"),
                        why,
                        "http://host[:port][/path] or https://host[:port][/path]",
                    )
                    .found(target.url.as_str()),
                )
            })
            .collect();
        if self.targets.iter().all(|target| target.weight == 0) {
            problems.push(Problem::new(
                "/targets",
                "every target has weight 0",
                "at least one target with a weight above 0",
            ));
        }
        problems.extend(balance::check(self));
        let of_authentication = self.authentication.iter().flat_map(Authentication::check);
        problems.extend(of_authentication.map(|problem| problem.under("/authentication")));
        let of_health = self.health_check.iter().flat_map(HealthCheck::check);
        problems.extend(of_health.map(|problem| problem.under("/health_check")));
        problems.extend(self.ejection.iter().flat_map(Ejection::check).map(|problem| problem.under("/ejection")));
        if self.max_pending.is_some() && self.max_connections.is_none() {
            problems.push(balance::no_effect("max_pending", "`max_connections` beside it"));
        }
        problems
    }

    fn prepare(&mut self, _before: Option<&Self>, keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        let Some(authentication) = &self.authentication else { return Ok(None) };
        let problems = authentication.check_secret(keys);
        match problems.is_empty() {
            true => Ok(None),
            false => Err(problems.into_iter().map(|problem| problem.under("/authentication")).collect()),
        }
    }
}

impl Traffic for Upstream {}

/// The parts of a target's URL, or why it cannot be used.
pub fn check_url(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "not a URL")?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err("the scheme is not supported"),
        None => return Err("the URL has no scheme"),
    }
    let authority = uri.authority().ok_or("the URL has no host")?;
    if authority.host().is_empty() {
        return Err("the URL has no host");
    }
    if authority.as_str().contains('@') {
        return Err("a URL must not carry a user or password");
    }
    if authority.port_u16().is_none() && authority.port().is_some() || authority.as_str().ends_with(':') {
        return Err("the port is not a number from 1 to 65535");
    }
    if authority.port_u16() == Some(0) {
        return Err("the port is not a number from 1 to 65535");
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("a target has no query and no fragment");
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::schema;

    /// The paths of all faults of an upstream with these fields.
    fn faults(fields: &Value) -> Vec<String> {
        let mut whole = json!({"targets": [{"url": "http://a"}]});
        for (field, value) in fields.as_object().expect("fields are an object") {
            whole[field] = value.clone();
        }
        let problems = schema::parse::<Upstream>(&whole).map_or_else(|problems| problems, |upstream| upstream.check());
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn what_has_a_meaning_is_accepted() {
        for fields in [
            json!({"health_check": {}, "ejection": {}}),
            json!({"health_check": {"type": "tcp", "statuses": [204, "200-299"]}, "slow_start_ms": 1000}),
            json!({"balance": "consistent_hash"}),
            json!({"balance": "consistent_hash", "hash_on": "header", "hash_header": "X-Session"}),
            json!({"balance": "consistent_hash", "hash_on": "cookie", "hash_cookie": "session"}),
            json!({"max_connections": 10, "max_pending": 0, "dns_refresh_ms": 1000}),
            json!({"http_version": "http2", "connection_age_ms": 1000}),
        ] {
            assert_eq!(faults(&fields), [""; 0], "{fields}");
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        for (fields, path) in [
            (json!({"hash_on": "path"}), "/hash_on"),
            (json!({"balance": "consistent_hash", "hash_on": "header"}), "/hash_header"),
            (json!({"balance": "consistent_hash", "hash_on": "header", "hash_header": "a b"}), "/hash_header"),
            (json!({"balance": "consistent_hash", "hash_header": "a"}), "/hash_header"),
            (json!({"balance": "consistent_hash", "hash_on": "cookie"}), "/hash_cookie"),
            (json!({"hash_cookie": "a"}), "/hash_cookie"),
            (json!({"max_pending": 3}), "/max_pending"),
            (json!({"max_connections": 0}), "/max_connections"),
            (json!({"dns_refresh_ms": 999}), "/dns_refresh_ms"),
            (json!({"connection_age_ms": 999}), "/connection_age_ms"),
            (json!({"http_version": "http3"}), "/http_version"),
            (json!({"health_check": {"path": "health"}}), "/health_check/path"),
            (json!({"health_check": {"interval_ms": 1}}), "/health_check/interval_ms"),
            (json!({"health_check": {"statuses": ["399-200"]}}), "/health_check/statuses/0"),
            (json!({"health_check": {"statuses": ["2xx"]}}), "/health_check/statuses/0"),
            (json!({"health_check": {"statuses": [99]}}), "/health_check/statuses/0"),
            (json!({"health_check": {"statuses": []}}), "/health_check/statuses"),
            (json!({"health_check": {"kind": "tcp"}}), "/health_check/kind"),
            (json!({"ejection": {"max_percent": 101}}), "/ejection/max_percent"),
            (json!({"ejection": {"statuses": [200, "510-500"]}}), "/ejection/statuses/1"),
        ] {
            assert_eq!(faults(&fields), [path], "{fields}");
        }
    }
}
