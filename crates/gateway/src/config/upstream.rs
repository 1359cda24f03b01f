//! Where the requests of an API go.

use std::time::Duration;

use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Traffic;
use crate::kind::Kind;
use crate::problem::Problem;

/// A set of servers that answer the same requests.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The servers.
    #[schemars(length(min = 1, max = 256))]
    pub targets: Vec<Target>,
    /// How a server is chosen for a request.
    #[serde(default)]
    pub balance: Balance,
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

/// How a server is chosen for a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// One after the other, as often as their weights say.
    #[default]
    RoundRobin,
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
        problems
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
