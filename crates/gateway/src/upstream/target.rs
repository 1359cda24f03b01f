//! One server of an upstream, and what is known of it from its past.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use http::HeaderValue;
use http::uri::Scheme;

use super::balance::hash::hash;
use super::ejection::Failures;
use super::resolve::Addresses;
use super::slots::Slots;
use crate::config::upstream;
use crate::config::upstream::http_version::HttpVersion;
use crate::problem::Problem;

/// One target ready for use.
#[derive(Debug)]
pub struct CompiledTarget {
    /// `scheme://host:port`: names the target in messages, and keys its connections.
    pub origin: Arc<str>,
    /// The scheme.
    pub scheme: Scheme,
    /// What is spoken with it.
    pub speaks: Speaks,
    /// The host to connect to, without brackets.
    pub host: Box<str>,
    /// The port to connect to.
    pub port: u16,
    /// Its `Host`.
    pub authority: HeaderValue,
    /// The path that is put before the request's; empty or without a trailing slash.
    pub prefix: Box<str>,
    /// Its name for hashing, the same in every process.
    pub(super) id: u64,
    /// Its share; 0 when it is taken out.
    pub weight: u32,
    /// Whether the host is an address.
    pub is_literal: bool,
    /// What is known of it; survives changes of the configuration.
    pub state: Arc<TargetState>,
}

/// What is spoken with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// What it chooses when a connection is made.
    Either,
}

/// What is known of a target. It survives changes of the configuration and so keeps nothing of it.
#[derive(Debug, Default)]
pub struct TargetState {
    /// The requests under way.
    pub slots: Slots,
    /// Where it is.
    pub addresses: Addresses,
    /// What health checks found.
    pub health: AtomicHealth,
    /// What became of requests.
    pub failures: Failures,
    /// When its slow start began, on [`crate::clock::monotonic_ns`]; 0 when it had none.
    pub warm_from: AtomicU64,
}

/// What health checks found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet.
    #[default]
    Unchecked,
    /// It is well.
    Well,
    /// It is not.
    Unwell,
}

/// A [`Health`] that threads share.
#[derive(Debug, Default)]
pub struct AtomicHealth(AtomicU8);

impl AtomicHealth {
    /// The latest finding.
    pub fn get(&self) -> Health {
        match self.0.load(Ordering::Relaxed) {
            0 => Health::Unchecked,
            1 => Health::Well,
            _ => Health::Unwell,
        }
    }

    /// Replaces it.
    pub fn set(&self, health: Health) {
        let value = match health {
            Health::Unchecked => 0,
            Health::Well => 1,
            Health::Unwell => 2,
        };
        self.0.store(value, Ordering::Relaxed);
    }
}

impl CompiledTarget {
    /// Makes a target ready for use, with nothing known of it.
    pub(super) fn compile(config: &upstream::Target, version: HttpVersion) -> Result<Self, Problem> {
        let url = config.url.as_str();
        let fault = |why: &str| Problem::new("/targets", why, "http://host[:port][/path]").found(url);
        let uri = upstream::check_url(url).map_err(fault)?;
        let authority = uri.authority().ok_or_else(|| fault("the URL has no host"))?;
        let scheme = uri.scheme().cloned().ok_or_else(|| fault("the URL has no scheme"))?;
        let speaks = match version {
            HttpVersion::Http2 => Speaks::Http2,
            HttpVersion::Auto if scheme == Scheme::HTTPS => Speaks::Either,
            HttpVersion::Auto | HttpVersion::Http1 => Speaks::Http1,
        };
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        let addresses = address.map(Addresses::literal).unwrap_or_default();
        let origin: Arc<str> = format!("{scheme}://{}:{port}", authority.host()).into();
        let prefix: Box<str> = uri.path().trim_end_matches('/').into();
        Ok(Self {
            id: hash(&(&*origin, &*prefix)),
            origin,
            host: host.into(),
            port,
            authority: HeaderValue::from_str(authority.as_str())
                .map_err(|_| fault("the host has bytes that no host has"))?,
            prefix,
            weight: config.weight,
            is_literal: address.is_some(),
            state: Arc::new(TargetState { addresses, ..TargetState::default() }),
            scheme,
            speaks,
        })
    }

    /// Whether this is the same server at the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.origin == other.origin && self.prefix == other.prefix
    }
}

#[cfg(test)]
pub(super) fn test_target(url: &str) -> CompiledTarget {
    let target = upstream::Target { url: url.to_owned(), weight: 1 };
    CompiledTarget::compile(&target, HttpVersion::Auto).expect("the URL is right")
}
