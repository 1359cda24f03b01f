//! From a host and a path to an API, and from there to a route.
//!
//! An API owns its base path on its hosts, so the first step is a hash look-up per path segment, longest prefix
//! first, always on segment boundaries. The second step is a `matchit` tree per API.

pub mod template;

use std::sync::Arc;

use crate::sharded::ShardedMap;
use crate::snapshot::api::CompiledApi;

/// Base path → API on one host.
#[derive(Debug, Clone)]
pub struct Bases {
    by_path: ShardedMap<Box<str>, Arc<CompiledApi>>,
    /// Longest base path in segments that was ever added; only a bound on the look-ups.
    deepest: usize,
}

/// Host → base path → API.
#[derive(Debug, Clone)]
pub struct Router {
    any: Bases,
    exact: ShardedMap<Box<str>, Bases>,
    /// By the part after `*`, such as `.example.com`.
    wildcard: ShardedMap<Box<str>, Bases>,
    wildcards: usize,
}

impl Bases {
    fn new(shards: usize) -> Self {
        Self { by_path: ShardedMap::new(shards), deepest: 0 }
    }

    fn find(&self, path: &str) -> Option<&Arc<CompiledApi>> {
        if self.by_path.is_empty() {
            return None;
        }
        let mut ends = [0_usize; MAX_BASE_SEGMENTS + 1];
        let mut segments = 0;
        for (index, _) in path.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/') {
            if segments == self.deepest {
                break;
            }
            segments += 1;
            ends[segments] = index;
        }
        if segments < self.deepest && path.len() > 1 && !path.ends_with('/') {
            segments += 1;
            ends[segments] = path.len();
        }
        (0..=segments).rev().find_map(|count| self.by_path.get(&path[..ends[count]]))
    }
}

/// The most segments that a base path may have.
pub const MAX_BASE_SEGMENTS: usize = 16;

impl Default for Router {
    fn default() -> Self {
        Self { any: Bases::new(64), exact: ShardedMap::new(64), wildcard: ShardedMap::new(64), wildcards: 0 }
    }
}

impl Router {
    /// The API that answers to this host (lowercase, no port) and normalised path. A named host is asked before a
    /// wildcard, the longest wildcard before a shorter one, and APIs without a host last.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<CompiledApi>> {
        if let Some(api) = self.exact.get(host).and_then(|bases| bases.find(path)) {
            return Some(api);
        }
        if self.wildcards > 0 {
            let suffixes = host.bytes().enumerate().filter(|(index, byte)| *byte == b'.' && *index > 0);
            for (index, _) in suffixes {
                if let Some(api) = self.wildcard.get(&host[index..]).and_then(|bases| bases.find(path)) {
                    return Some(api);
                }
            }
        }
        self.any.find(path)
    }

    fn change(&mut self, host: Option<&str>, change: impl FnOnce(&mut Bases)) {
        let Some(host) = host else { return change(&mut self.any) };
        let (table, key) = match host.strip_prefix('*') {
            Some(suffix) => (&mut self.wildcard, suffix),
            None => (&mut self.exact, host),
        };
        let mut bases = table.get(key).cloned().unwrap_or_else(|| Bases::new(4));
        change(&mut bases);
        match bases.by_path.is_empty() {
            true => table.remove(key),
            false => table.insert(key.into(), bases),
        };
        self.wildcards = if host.starts_with('*') { self.wildcard.len() } else { self.wildcards };
    }

    /// The API that owns a base path on a host.
    pub fn owner(&self, host: Option<&str>, base_path: &str) -> Option<&Arc<CompiledApi>> {
        let bases = match host {
            None => &self.any,
            Some(host) => match host.strip_prefix('*') {
                Some(suffix) => self.wildcard.get(suffix)?,
                None => self.exact.get(host)?,
            },
        };
        bases.by_path.get(key(base_path))
    }

    /// Gives a base path to an API.
    pub fn insert(&mut self, host: Option<&str>, base_path: &str, api: Arc<CompiledApi>) {
        let key = key(base_path);
        self.change(host, |bases| {
            bases.deepest = bases.deepest.max(key.matches('/').count());
            bases.by_path.insert(key.into(), api);
        });
    }

    /// Takes a base path back.
    pub fn remove(&mut self, host: Option<&str>, base_path: &str) {
        self.change(host, |bases| {
            bases.by_path.remove(key(base_path));
        });
    }
}

/// `/` owns everything: as a prefix it is the empty string.
fn key(base_path: &str) -> &str {
    if base_path == "/" { "" } else { base_path }
}

/// Paths that the listeners serve themselves.
pub const RESERVED: &[&str] = &["/health", "/metrics"];

/// Why this cannot be a base path.
pub fn check_base_path(path: &str) -> Result<(), &'static str> {
    if path == "/" {
        return Ok(());
    }
    if !path.starts_with('/') {
        return Err("a base path begins with /");
    }
    if path.ends_with('/') {
        return Err("a base path does not end with /");
    }
    if path.matches('/').count() > MAX_BASE_SEGMENTS {
        return Err("a base path has at most 16 segments");
    }
    if path.split('/').skip(1).any(|segment| segment.is_empty() || segment == "." || segment == "..") {
        return Err("a base path has no empty segments and no dot segments");
    }
    if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)) {
        return Err("a base path has letters, digits, - . _ ~ only");
    }
    if RESERVED
        .iter()
        .any(|reserved| path == *reserved || path.strip_prefix(reserved).is_some_and(|rest| rest.starts_with('/')))
    {
        return Err("Portunus itself answers on this path");
    }
    Ok(())
}

/// Why this cannot be a host.
pub fn check_host(host: &str) -> Result<(), &'static str> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    if name.is_empty() || name.len() > 253 {
        return Err("a host has 1 to 253 characters");
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a host is written in lowercase");
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.split('.').all(is_label) { Ok(()) } else { Err("not a host name") }
}
