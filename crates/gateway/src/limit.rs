//! The state of rate limits: GCRA, one timestamp per window, no lock.
//!
//! The state of a limit lives in what it counts (the subscription, the consumer) and survives every change of the
//! configuration, so the usual limit is no map look-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

/// Second, minute, hour and day.
pub const WINDOWS: usize = 4;

/// One window of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Calls in `seconds`.
    pub limit: u32,
    /// The length of the window.
    pub seconds: u32,
    /// Calls at once.
    pub burst: u32,
    /// Nanoseconds after which one call is given back.
    interval: u64,
}

impl Window {
    /// `limit` calls in `seconds`, `burst` of them at once.
    pub fn new(limit: u32, seconds: u32, burst: u32) -> Self {
        Self { limit, seconds, burst, interval: (u64::from(seconds) * 1_000_000_000 / u64::from(limit)).max(1) }
    }
}

/// What a limit says to one call.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    /// Whether it may pass.
    pub allowed: bool,
    /// The limit of the window that says the least is left.
    pub limit: u32,
    /// That window's length in seconds.
    pub seconds: u32,
    /// That window's burst.
    pub burst: u32,
    /// Calls left in it at this moment.
    pub remaining: u32,
    /// How long until it is full again.
    pub reset_after: Duration,
    /// How long a refused call should wait.
    pub retry_after: Duration,
}

impl Decision {
    /// Whole seconds until the window is full again.
    pub fn reset_seconds(&self) -> u64 {
        whole_seconds(self.reset_after)
    }

    /// Whole seconds that a refused call should wait, at least one.
    pub fn retry_seconds(&self) -> u64 {
        whole_seconds(self.retry_after).max(1)
    }
}

/// Rounded up: who waits that long waits long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The theoretical arrival time of the next call, and the interval it was reckoned with.
#[derive(Debug, Default)]
struct Cell {
    arrival: AtomicU64,
    interval: AtomicU64,
}

/// What is counted of one limit for one caller.
#[derive(Debug, Default)]
pub struct LimitState {
    cells: [Cell; WINDOWS],
}

impl Cell {
    /// Takes one call; `Err` says how many nanoseconds are missing.
    fn take(&self, window: &Window, now: u64) -> Result<u64, (u64, u64)> {
        self.convert(window, now);
        let room = window.interval.saturating_mul(u64::from(window.burst));
        let mut arrival = self.arrival.load(Ordering::Relaxed);
        loop {
            let next = arrival.max(now) + window.interval;
            if next - now > room {
                return Err((arrival, next - now - room));
            }
            match self.arrival.compare_exchange_weak(arrival, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(next),
                Err(seen) => arrival = seen,
            }
        }
    }

    /// After a change of the limit, what was used stays used: as many calls, at the new pace.
    fn convert(&self, window: &Window, now: u64) {
        let before = self.interval.load(Ordering::Relaxed);
        if before == window.interval {
            return;
        }
        let claimed = self.interval.compare_exchange(before, window.interval, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_err() || before == 0 {
            return;
        }
        let debt = self.arrival.load(Ordering::Relaxed).saturating_sub(now);
        let calls = u128::from(debt) * u128::from(window.interval) / u128::from(before);
        self.arrival.store(now.saturating_add(calls.min(u128::from(u64::MAX)) as u64), Ordering::Relaxed);
    }
}

impl LimitState {
    /// Takes one call from every window, or from none.
    pub fn take(&self, windows: &[Option<Window>; WINDOWS], now: u64) -> Decision {
        let mut tightest: Option<Decision> = None;
        for (index, window) in windows.iter().enumerate() {
            let Some(window) = window else { continue };
            match self.cells[index].take(window, now) {
                Ok(arrival) => {
                    let decision = decision(window, now, arrival, None);
                    if tightest.as_ref().is_none_or(|other| decision.remaining < other.remaining) {
                        tightest = Some(decision);
                    }
                }
                Err((arrival, missing)) => {
                    for (taken, window) in windows[..index].iter().enumerate() {
                        if let Some(window) = window {
                            self.cells[taken].arrival.fetch_sub(window.interval, Ordering::Relaxed);
                        }
                    }
                    return decision(window, now, arrival, Some(missing));
                }
            }
        }
        tightest.expect("a limit has at least one window")
    }

    /// How long until a call may pass, without taking one.
    pub fn wait(&self, windows: &[Option<Window>; WINDOWS], now: u64) -> Duration {
        let missing = windows.iter().zip(&self.cells).filter_map(|(window, cell)| {
            let window = window.as_ref()?;
            let next = cell.arrival.load(Ordering::Relaxed).max(now) + window.interval;
            Some((next - now).saturating_sub(window.interval.saturating_mul(u64::from(window.burst))))
        });
        Duration::from_nanos(missing.max().unwrap_or(0))
    }

    /// A state that is full again says nothing and may be forgotten.
    fn is_full(&self, now: u64) -> bool {
        self.cells.iter().all(|cell| cell.arrival.load(Ordering::Relaxed) <= now)
    }
}

fn decision(window: &Window, now: u64, arrival: u64, missing: Option<u64>) -> Decision {
    let used = arrival.saturating_sub(now);
    let room = window.interval.saturating_mul(u64::from(window.burst));
    Decision {
        allowed: missing.is_none(),
        limit: window.limit,
        seconds: window.seconds,
        burst: window.burst,
        remaining: (room.saturating_sub(used) / window.interval) as u32,
        reset_after: Duration::from_nanos(used),
        retry_after: Duration::from_nanos(missing.unwrap_or(0)),
    }
}

/// The limits that count one caller, by policy.
#[derive(Debug)]
pub struct Limits(ArcSwap<Vec<(u64, Arc<LimitState>)>>);

impl Default for Limits {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Vec::new()))
    }
}

impl Limits {
    /// Takes one call of the policy with this uid. Its state is made at its first use.
    pub fn take(&self, uid: u64, windows: &[Option<Window>; WINDOWS], now: u64) -> Decision {
        // Not copying the handle to the state saves two writes to memory that other cores read.
        match find(&self.0.load(), uid) {
            Some(state) => state.take(windows, now),
            None => self.begin(uid, now).take(windows, now),
        }
    }

    #[cold]
    fn begin(&self, uid: u64, now: u64) -> Arc<LimitState> {
        self.0.rcu(|states| {
            if find(states, uid).is_some() {
                return states.as_ref().clone();
            }
            // Policies come and go; those that count nothing at the moment leave the list.
            let mut kept: Vec<_> = states.iter().filter(|(_, state)| !state.is_full(now)).cloned().collect();
            kept.push((uid, Arc::default()));
            kept
        });
        find(&self.0.load(), uid).cloned().unwrap_or_default()
    }
}

fn find(states: &[(u64, Arc<LimitState>)], uid: u64) -> Option<&Arc<LimitState>> {
    states.iter().find(|(of, _)| *of == uid).map(|(_, state)| state)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn minute(limit: u32, burst: u32) -> [Option<Window>; WINDOWS] {
        [None, Some(Window::new(limit, 60, burst)), None, None]
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let state = LimitState::default();
        let windows = minute(60, 5);
        let now = 100 * SECOND;
        for left in (0..5).rev() {
            let decision = state.take(&windows, now);
            assert!(decision.allowed);
            assert_eq!(decision.remaining, left);
        }
        let refused = state.take(&windows, now);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert!(state.take(&windows, now + SECOND).allowed);
        assert!(!state.take(&windows, now + SECOND).allowed);
    }

    #[test]
    fn a_raised_limit_counts_at_once() {
        let state = LimitState::default();
        let now = 100 * SECOND;
        while state.take(&minute(5, 5), now).allowed {}
        let decision = state.take(&minute(200, 20), now);
        assert!(decision.allowed);
        assert_eq!(decision.remaining, 14);
    }

    #[test]
    fn a_refusal_by_one_window_takes_nothing_from_the_others() {
        let state = LimitState::default();
        let windows = [Some(Window::new(100, 1, 100)), Some(Window::new(2, 60, 2)), None, None];
        let now = 100 * SECOND;
        for _ in 0..50 {
            state.take(&windows, now);
        }
        let only_seconds = [windows[0], None, None, None];
        assert_eq!(state.take(&only_seconds, now).remaining, 97);
    }

    #[test]
    fn forgotten_policies_leave_the_list() {
        let limits = Limits::default();
        for uid in 0..10_000 {
            limits.take(uid, &minute(60, 1), uid * 3 * SECOND);
        }
        assert!(limits.0.load().len() < 4);
    }

    proptest! {
        #[test]
        fn never_more_than_rate_times_time_plus_burst(limit in 1_u32..1000, burst in 1_u32..100, steps in prop::collection::vec(0_u64..2_000_000_000, 1..300)) {
            let state = LimitState::default();
            let windows = minute(limit, burst);
            let start = 10 * SECOND;
            let mut now = start;
            let mut passed = 0_u64;
            for step in steps {
                now += step;
                passed += u64::from(state.take(&windows, now).allowed);
            }
            let refilled = (now - start) / (60 * SECOND / u64::from(limit));
            prop_assert!(passed <= refilled + u64::from(burst) + 1);
        }
    }
}
