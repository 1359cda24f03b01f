//! Chooses the target of a request: who may be called, who is next, who has room.

mod draw;
pub(super) mod hash;
mod schedule;
#[cfg(test)]
pub(super) mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{self, HeaderValue};

use self::hash::HashKey;
use super::credential::Credential;
use super::slots::InFlight;
use super::target::{CompiledTarget, Health, Speaks, TargetState};
use crate::clock;
use crate::config::upstream::Upstream;
use crate::config::upstream::balance::Balance;
use crate::config::upstream::ejection::Ejection;
use crate::config::upstream::health_check::HealthCheck;
use crate::error::{Refusal, Rejection};
use crate::problem::Problem;

/// How many requests wait for a target unless the upstream says so.
const MOST_PENDING: u32 = 1024;

/// An upstream ready for use.
#[derive(Debug)]
pub struct CompiledUpstream {
    /// Its name, or that of the API it belongs to, for messages.
    pub name: Arc<str>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the head of the answer may take.
    pub response_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How long a connection is used for further requests.
    pub connection_age: Duration,
    /// How long the upstream may be silent in the middle of an answer.
    pub read_timeout: Duration,
    /// How its targets' health is checked.
    pub health_check: Option<HealthCheck>,
    /// How often its names are looked up.
    pub dns_refresh: Duration,
    /// What Portunus proves its own identity to it with.
    pub credential: Option<Credential>,
    /// Its targets.
    pub targets: Box<[CompiledTarget]>,
    /// The most requests under way to one target.
    pub max_connections: Option<u32>,
    pub(super) ejection: Option<Ejection>,
    pub(super) shared: Arc<Shared>,
    balance: Balance,
    hash_key: HashKey,
    /// Indexes of `targets` in the order in which they are called, each as often as its weight says.
    schedule: Box<[u16]>,
    slow_start_ns: u64,
    max_pending: u32,
}

/// What an upstream keeps across changes of the configuration.
#[derive(Debug, Default)]
pub(super) struct Shared {
    turn: AtomicUsize,
    ejecting: Mutex<()>,
}

impl Shared {
    pub(super) fn lock_ejecting(&self) -> MutexGuard<'_, ()> {
        self.ejecting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The target that was chosen for an attempt.
#[derive(Debug)]
pub struct Picked<'u> {
    /// Its index, for the list of those that were tried.
    pub index: usize,
    /// The target.
    pub target: &'u CompiledTarget,
    /// Counts the request as long as it is under way; none when nobody needs the count. It belongs to the answer's body.
    pub in_flight: Option<InFlight>,
}

/// Why no target was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPicked {
    /// None is left that may be called.
    NoTarget,
    /// All have as many requests as they may have, and this one has room for it to wait.
    Full(usize),
    /// All have as many requests as they may have, under way and waiting.
    Overloaded,
}

impl CompiledUpstream {
    /// Makes an upstream ready for use. What is known of its targets, and whose turn it is, goes on from `before`.
    pub fn compile(
        name: Arc<str>,
        config: &Upstream,
        credential: Option<Credential>,
        before: Option<&Self>,
    ) -> Result<Self, Problem> {
        let compile = |target| CompiledTarget::compile(target, config.http_version);
        let mut targets: Box<[CompiledTarget]> = config.targets.iter().map(compile).collect::<Result<_, _>>()?;
        if let Some(before) = before {
            inherit(&mut targets, before);
        }
        let weights: Vec<u32> = targets.iter().map(|target| target.weight).collect();
        Ok(Self {
            name,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            response_timeout: Duration::from_millis(config.response_timeout_ms),
            idle_timeout: config.idle_timeout(),
            connection_age: Duration::from_millis(config.connection_age_ms),
            read_timeout: Duration::from_millis(config.read_timeout_ms),
            health_check: config.health_check.clone(),
            dns_refresh: Duration::from_millis(config.dns_refresh_ms),
            ejection: config.ejection.clone(),
            shared: before.map(|before| before.shared.clone()).unwrap_or_default(),
            balance: config.balance,
            hash_key: HashKey::compile(config)?,
            schedule: schedule::schedule(&weights),
            slow_start_ns: config.slow_start_ms * 1_000_000,
            max_connections: config.max_connections,
            max_pending: config.max_pending.unwrap_or(MOST_PENDING),
            credential,
            targets,
        })
    }

    /// Chooses a target for an attempt; when all are full, waits up to `timeout` for one. `key` is what
    /// [`Self::hash_key`] gave, `tried` are the targets that this request has been at.
    pub async fn choose(&self, key: Option<u64>, tried: &[usize], timeout: Duration) -> Result<Picked<'_>, NotPicked> {
        let index = match self.pick(key, tried) {
            Err(NotPicked::Full(index)) => index,
            done => return done,
        };
        let target = &self.targets[index];
        let most = self.max_connections.unwrap_or(u32::MAX);
        let turn = InFlight::wait(&target.state, most, self.max_pending);
        match tokio::time::timeout(timeout, turn).await {
            Ok(Some(in_flight)) => Ok(Picked { index, target, in_flight: Some(in_flight) }),
            _ => Err(NotPicked::Overloaded),
        }
    }

    /// Chooses a target without waiting.
    pub fn pick(&self, key: Option<u64>, tried: &[usize]) -> Result<Picked<'_>, NotPicked> {
        let needs_time = self.ejection.is_some() || self.slow_start_ns > 0;
        self.pick_at(key, tried, if needs_time { clock::monotonic_ns() } else { 0 })
    }

    fn pick_at(&self, key: Option<u64>, tried: &[usize], now: u64) -> Result<Picked<'_>, NotPicked> {
        let may_be_called = |index: usize| !tried.contains(&index) && self.is_well(index);
        if self.ejection.is_some() {
            let picked = self
                .pick_among(key, now, |index| may_be_called(index) && !self.targets[index].state.failures.is_out(now));
            if picked.as_ref().err() != Some(&NotPicked::NoTarget) {
                return picked;
            }
        }
        // Those that were ejected are better than none.
        self.pick_among(key, now, may_be_called)
    }

    fn pick_among(
        &self,
        key: Option<u64>,
        now: u64,
        may_be_called: impl Fn(usize) -> bool,
    ) -> Result<Picked<'_>, NotPicked> {
        let Some(most) = self.max_connections else {
            let index = self.draw(key, now, &may_be_called).ok_or(NotPicked::NoTarget)?;
            let target = &self.targets[index];
            let is_counted = self.balance == Balance::LeastLoaded && self.targets.len() > 1;
            return Ok(Picked { index, target, in_flight: is_counted.then(|| InFlight::count(&target.state)) });
        };
        let slots = |index: usize| &self.targets[index].state.slots;
        while let Some(index) = self.draw(key, now, |index| slots(index).has_room(most) && may_be_called(index)) {
            let target = &self.targets[index];
            // Another one may have taken the last place in between; then it is full now.
            if let Some(in_flight) = InFlight::take(&target.state, most) {
                return Ok(Picked { index, target, in_flight: Some(in_flight) });
            }
        }
        let may_wait = |index: usize| slots(index).may_wait(self.max_pending) && may_be_called(index);
        match self.draw(key, now, may_wait) {
            Some(index) => Err(NotPicked::Full(index)),
            None if self.draw(key, now, may_be_called).is_some() => Err(NotPicked::Overloaded),
            None => Err(NotPicked::NoTarget),
        }
    }

    fn is_well(&self, index: usize) -> bool {
        self.health_check.is_none() || self.targets[index].state.health.get() != Health::Unwell
    }

    /// Whether a target is taking requests: it is well, and not out.
    pub fn is_up(&self, target: &CompiledTarget) -> bool {
        let is_well = self.health_check.is_none() || target.state.health.get() != Health::Unwell;
        is_well && (self.ejection.is_none() || !target.state.failures.is_out(clock::monotonic_ns()))
    }

    /// Whether its targets are spoken to over HTTP/2, whatever they would choose.
    pub fn is_http2_only(&self) -> bool {
        self.targets.iter().all(|target| target.speaks == Speaks::Http2)
    }

    /// Whether anything can take a target out.
    pub fn is_watched(&self) -> bool {
        self.health_check.is_some() || self.ejection.is_some()
    }

    /// How much of its weight a target has while it starts slowly: from a tenth to all.
    fn share(&self, target: &CompiledTarget, now: u64) -> f32 {
        if self.slow_start_ns == 0 {
            return 1.0;
        }
        let out_until =
            if self.ejection.is_some() { target.state.failures.out_until.load(Ordering::Relaxed) } else { 0 };
        match target.state.warm_from.load(Ordering::Relaxed).max(out_until) {
            0 => 1.0,
            from => (now.saturating_sub(from) as f32 / self.slow_start_ns as f32).clamp(0.1, 1.0),
        }
    }

    /// The refusal for a request that has no target.
    pub fn refusal(&self, why: NotPicked) -> Rejection {
        let name = &self.name;
        let (rejection, seconds) = match why {
            NotPicked::NoTarget => {
                let check = self.health_check.as_ref();
                let seconds = check.map_or(1, |check| {
                    (check.interval_ms * u64::from(check.healthy_after)).div_ceil(1_000).clamp(1, 60)
                });
                let detail = match check {
                    Some(_) => format!("upstream {name} has no target that is well"),
                    None => format!("upstream {name} has no target with a weight above 0"),
                };
                (Rejection::new(Refusal::NoTarget, detail), seconds)
            }
            NotPicked::Full(_) | NotPicked::Overloaded => {
                let detail = format!("all targets of upstream {name} have as many requests as they may have");
                (Rejection::new(Refusal::UpstreamOverloaded, detail), 1)
            }
        };
        rejection.with(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
}

/// Hands on what is known of targets that were there before. One that is new starts slowly.
fn inherit(targets: &mut [CompiledTarget], before: &CompiledUpstream) {
    let mut known: Vec<&CompiledTarget> = before.targets.iter().collect();
    for target in targets {
        match known.iter().position(|known| known.is_same(target)) {
            Some(index) => target.state = known.swap_remove(index).state.clone(),
            None => start_slowly(&target.state, clock::monotonic_ns()),
        }
    }
}

/// From now on the target's share grows.
pub(super) fn start_slowly(state: &TargetState, now: u64) {
    state.warm_from.store(now.max(1), Ordering::Relaxed);
}
