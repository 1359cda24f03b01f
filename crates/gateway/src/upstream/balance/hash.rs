//! Consistent hashing by weighted rendezvous: every target draws a score from the key and its own name, the highest wins.
//! There is no table to build; when a target leaves, its keys go to the next highest, and no other key moves.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;
use http::header::{self, HeaderName};

use super::CompiledUpstream;
use crate::config::upstream::Upstream;
use crate::config::upstream::balance::{Balance, HashOn};
use crate::exchange::Exchange;
use crate::problem::Problem;

/// What the hash goes by.
#[derive(Debug)]
pub(super) enum HashKey {
    /// There is no hash.
    None,
    Address,
    Consumer,
    Header(HeaderName),
    Cookie(Box<str>),
    Path,
}

impl HashKey {
    pub(super) fn compile(config: &Upstream) -> Result<Self, Problem> {
        if config.balance != Balance::ConsistentHash {
            return Ok(Self::None);
        }
        Ok(match config.hash_on.unwrap_or_default() {
            HashOn::Address => Self::Address,
            HashOn::Consumer => Self::Consumer,
            HashOn::Header => {
                let name = config.hash_header.as_deref().unwrap_or_default();
                let fault = || Problem::new("/hash_header", "not a header name", "a name such as X-Session");
                Self::Header(HeaderName::try_from(name).map_err(|_| fault().found(name))?)
            }
            HashOn::Cookie => Self::Cookie(config.hash_cookie.as_deref().unwrap_or_default().into()),
            HashOn::Path => Self::Path,
        })
    }
}

impl CompiledUpstream {
    /// What decides by which target this request is answered; none unless the balance is a hash. All nodes agree on it.
    pub fn hash_key(&self, x: &Exchange<'_>) -> Option<u64> {
        let headers = &x.head.headers;
        let found = match &self.hash_key {
            HashKey::None => return None,
            HashKey::Address => None,
            HashKey::Consumer => x.caller.map(|caller| hash(&caller.consumer.id)),
            HashKey::Header(name) => headers.get(name).map(|value| hash(value.as_bytes())),
            HashKey::Cookie(name) => headers
                .get_all(header::COOKIE)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(';'))
                .filter_map(|pair| pair.trim().split_once('='))
                .find(|(known, _)| *known == &**name)
                .map(|(_, value)| hash(value)),
            HashKey::Path => Some(hash(x.path)),
        };
        Some(found.unwrap_or_else(|| hash(&x.client_ip)))
    }

    pub(super) fn highest_score(&self, key: u64, now: u64, may_be_called: impl Fn(usize) -> bool) -> Option<usize> {
        let hasher = FixedState::with_seed(key);
        let mut best = None;
        let mut best_score = 0.0;
        for (index, target) in self.targets.iter().enumerate() {
            if target.weight == 0 || !may_be_called(index) {
                continue;
            }
            // A number between 0 and 1, neither included, has 53 bits.
            let chance = ((hasher.hash_one(target.id) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            let score = f64::from(target.weight) * f64::from(self.share(target, now)) / -chance.ln();
            if best.is_none() || score > best_score {
                (best, best_score) = (Some(index), score);
            }
        }
        best
    }
}

/// The same in every process.
pub(in crate::upstream) fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    FixedState::with_seed(0).hash_one(value)
}
