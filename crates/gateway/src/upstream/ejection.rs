//! Passive ejection: takes a target out for a while after requests to it have failed in a row.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::balance::CompiledUpstream;
use super::target::CompiledTarget;
use crate::clock;
use crate::config::upstream::ejection::Ejection;

/// The most times its usual length that an ejection takes.
const LONGEST: u32 = 10;

/// What became of the requests to one target.
#[derive(Debug, Default)]
pub struct Failures {
    in_a_row: AtomicU32,
    /// When it may come back, on [`clock::monotonic_ns`]; 0 when it never was out.
    pub(super) out_until: AtomicU64,
    /// How often it was out in short order.
    times: AtomicU32,
}

impl Failures {
    /// Whether it is out at this time.
    pub fn is_out(&self, now: u64) -> bool {
        self.out_until.load(Ordering::Relaxed) > now
    }

    /// How long it is out if it is taken out now, in nanoseconds; grows when it was out a short while ago.
    fn next_length(&self, base: u64, now: u64) -> u64 {
        let back_since = match self.out_until.load(Ordering::Relaxed) {
            0 => u64::MAX,
            until => now.saturating_sub(until),
        };
        let forgiven = u32::try_from(back_since / base).unwrap_or(u32::MAX);
        let times = (self.times.load(Ordering::Relaxed).saturating_sub(forgiven) + 1).min(LONGEST);
        self.times.store(times, Ordering::Relaxed);
        base * u64::from(times)
    }
}

impl CompiledUpstream {
    /// Notes that a target answered.
    pub fn answered(&self, target: &CompiledTarget, status: u16) {
        let Some(ejection) = &self.ejection else { return };
        if ejection.statuses.iter().any(|statuses| statuses.has(status)) {
            self.count_failure(ejection, target, clock::monotonic_ns());
        } else if target.state.failures.in_a_row.load(Ordering::Relaxed) > 0 {
            target.state.failures.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that a target did not answer: no connection, no answer in time, or one that broke off.
    pub fn failed(&self, target: &CompiledTarget) {
        if let Some(ejection) = &self.ejection {
            self.count_failure(ejection, target, clock::monotonic_ns());
        }
    }

    fn count_failure(&self, ejection: &Ejection, target: &CompiledTarget, now: u64) {
        let in_a_row = target.state.failures.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if in_a_row >= ejection.consecutive_failures {
            self.eject(ejection, target, now);
        }
    }

    fn eject(&self, ejection: &Ejection, target: &CompiledTarget, now: u64) {
        // Two at once could each see room for one more.
        let _one_at_a_time = self.shared.lock_ejecting();
        let failures = &target.state.failures;
        if failures.is_out(now) {
            return;
        }
        let of = |is_counted: &dyn Fn(&CompiledTarget) -> bool| {
            self.targets.iter().filter(|target| target.weight > 0 && is_counted(target)).count() as u64
        };
        let out = of(&|target| target.state.failures.is_out(now));
        if (out + 1) * 100 > of(&|_| true) * u64::from(ejection.max_percent) {
            return;
        }
        let length = failures.next_length(ejection.base_time_ms * 1_000_000, now);
        failures.in_a_row.store(0, Ordering::Relaxed);
        failures.out_until.store(now + length, Ordering::Relaxed);
        tracing::warn!(
            target: "gateway",
            upstream = %self.name,
            target = %target.origin,
            failures = u64::from(ejection.consecutive_failures),
            out_ms = length / 1_000_000,
            "target_ejected"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::balance::tests::upstream;
    use super::*;

    const MS: u64 = 1_000_000;

    fn fails(upstream: &CompiledUpstream, index: usize, times: u32, now: u64) {
        let ejection = upstream.ejection.clone().expect("the test ejects");
        for _ in 0..times {
            upstream.count_failure(&ejection, &upstream.targets[index], now);
        }
    }

    fn out(upstream: &CompiledUpstream, now: u64) -> Vec<usize> {
        (0..upstream.targets.len()).filter(|index| upstream.targets[*index].state.failures.is_out(now)).collect()
    }

    #[test]
    fn failures_in_a_row_take_a_target_out_for_a_while() {
        let upstream = upstream(2, r#"{"ejection": {"consecutive_failures": 3, "base_time_ms": 1000}}"#);
        let now = 5_000 * MS;
        fails(&upstream, 0, 2, now);
        upstream.answered(&upstream.targets[0], 200);
        fails(&upstream, 0, 2, now);
        assert!(out(&upstream, now).is_empty(), "an answer in between begins the count anew");
        fails(&upstream, 0, 1, now);
        assert_eq!(out(&upstream, now), [0]);
        assert_eq!(out(&upstream, now + 999 * MS), [0]);
        assert!(out(&upstream, now + 1000 * MS).is_empty());
    }

    #[test]
    fn only_the_named_statuses_count() {
        let upstream = upstream(2, r#"{"ejection": {"consecutive_failures": 1, "statuses": ["500-502"]}}"#);
        for status in [200, 404, 503] {
            upstream.answered(&upstream.targets[0], status);
        }
        assert!(out(&upstream, clock::monotonic_ns()).is_empty());
        upstream.answered(&upstream.targets[0], 501);
        assert_eq!(out(&upstream, clock::monotonic_ns()), [0]);
    }

    #[test]
    fn no_more_than_the_share_is_out() {
        for (targets, percent, most) in
            [(1, 50, 0), (1, 100, 1), (2, 50, 1), (3, 50, 1), (4, 50, 2), (10, 30, 3), (4, 100, 4)]
        {
            let config = format!(r#"{{"ejection": {{"consecutive_failures": 1, "max_percent": {percent}}}}}"#);
            let upstream = upstream(targets, &config);
            for index in 0..targets {
                fails(&upstream, index, 1, MS);
            }
            assert_eq!(out(&upstream, MS).len(), most, "{percent} % of {targets}");
        }
    }

    #[test]
    fn the_time_grows_when_it_fails_again_and_shrinks_when_it_rests() {
        let upstream = upstream(2, r#"{"ejection": {"consecutive_failures": 1, "base_time_ms": 100}}"#);
        let failures = &upstream.targets[0].state.failures;
        let mut now = 1_000 * MS;
        let mut eject = |after_ms: u64| {
            now += after_ms * MS;
            fails(&upstream, 0, 1, now);
            let length = failures.out_until.load(Ordering::Relaxed) - now;
            now += length;
            length / MS
        };
        assert_eq!([eject(0), eject(10), eject(10), eject(150), eject(10_000)], [100, 200, 300, 300, 100]);
        for _ in 0..20 {
            eject(0);
        }
        assert_eq!(eject(0), 1000, "never more than ten times");
    }
}
