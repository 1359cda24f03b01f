//! What is counted of an API and of a rate limit.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::Add;
use std::sync::OnceLock;
use std::time::Duration;

use super::per_worker::{Count, PerWorker, Writers};

/// Upper bounds of the latency histograms, in microseconds.
const BOUNDS: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A histogram of durations.
#[derive(Debug, Default)]
struct Histogram {
    /// One more than the bounds, for what lies above the last.
    buckets: [Count; BOUNDS.len() + 1],
    sum_us: Count,
}

impl Histogram {
    fn observe(&self, duration: Duration, writers: Writers) {
        let nanoseconds = duration.as_nanos() as u64;
        let bucket = BOUNDS.iter().position(|bound| nanoseconds <= bound * 1_000).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1, writers);
        self.sum_us.add(nanoseconds / 1_000, writers);
    }
}

/// The sum of the histograms of all workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct HistogramTotal {
    buckets: [u64; BOUNDS.len() + 1],
    sum_us: u64,
}

impl HistogramTotal {
    /// The upper bound of each bucket in seconds, with its count.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All durations together, in seconds.
    pub fn seconds(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }
}

impl Add<&Histogram> for HistogramTotal {
    type Output = Self;

    fn add(mut self, of_worker: &Histogram) -> Self {
        for (total, count) in self.buckets.iter_mut().zip(&of_worker.buckets) {
            *total += count.get();
        }
        self.sum_us += of_worker.sum_us.get();
        self
    }
}

impl<'h> Sum<&'h Histogram> for HistogramTotal {
    fn sum<I: Iterator<Item = &'h Histogram>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Status codes that share a piece of memory; most APIs use two or three such pieces.
const GROUP: usize = 25;

/// Counts by status code from 100 to 599.
#[derive(Debug, Default)]
struct Statuses([OnceLock<Box<[Count; GROUP]>>; 500 / GROUP]);

impl Statuses {
    fn count(&self, status: u16, writers: Writers) {
        let index = usize::from(status.wrapping_sub(100));
        if let Some(group) = self.0.get(index / GROUP) {
            group.get_or_init(Box::default)[index % GROUP].add(1, writers);
        }
    }

    fn counts(&self) -> impl Iterator<Item = (u16, u64)> {
        let groups = self.0.iter().enumerate().filter_map(|(index, group)| Some((index * GROUP, group.get()?)));
        groups
            .flat_map(|(first, group)| {
                group.iter().enumerate().map(move |(index, count)| ((100 + first + index) as u16, count.get()))
            })
            .filter(|(_, count)| *count > 0)
    }
}

/// Why an upstream call failed, as a label.
pub const UPSTREAM_ERRORS: [&str; 5] = ["unreachable", "failed", "timeout", "no_target", "overloaded"];

/// What one worker counts of one API.
#[derive(Debug, Default)]
struct ApiCounts {
    statuses: Statuses,
    duration: Histogram,
    upstream: Histogram,
    upstream_errors: [Count; UPSTREAM_ERRORS.len()],
    bytes_sent: Count,
}

/// The counters of one API.
#[derive(Debug, Default)]
pub struct ApiMetrics(PerWorker<ApiCounts>);

/// What an API's counters have come to.
#[derive(Debug)]
pub struct ApiTotal {
    /// By status code.
    pub statuses: BTreeMap<u16, u64>,
    /// From the request's head to the end of the answer.
    pub duration: HistogramTotal,
    /// From the request to the upstream to the head of its answer.
    pub upstream: HistogramTotal,
    /// By [`UPSTREAM_ERRORS`].
    pub upstream_errors: [u64; UPSTREAM_ERRORS.len()],
    /// Bytes of answers.
    pub bytes_sent: u64,
}

impl ApiMetrics {
    /// Counts an answer; `upstream` is how long the upstream took, if it was asked.
    pub fn answered(&self, status: u16, duration: Duration, upstream: Option<Duration>, bytes: u64) {
        let (mine, writers) = self.0.mine();
        mine.statuses.count(status, writers);
        mine.duration.observe(duration, writers);
        mine.bytes_sent.add(bytes, writers);
        if let Some(upstream) = upstream {
            mine.upstream.observe(upstream, writers);
        }
    }

    /// Counts a failed call to the upstream, by index of [`UPSTREAM_ERRORS`].
    pub fn upstream_failed(&self, kind: usize) {
        let (mine, writers) = self.0.mine();
        mine.upstream_errors[kind].add(1, writers);
    }

    /// What all workers counted.
    pub fn total(&self) -> ApiTotal {
        let mut statuses = BTreeMap::new();
        for (status, count) in self.0.all().flat_map(|worker| worker.statuses.counts()) {
            *statuses.entry(status).or_default() += count;
        }
        ApiTotal {
            statuses,
            duration: self.0.all().map(|worker| &worker.duration).sum(),
            upstream: self.0.all().map(|worker| &worker.upstream).sum(),
            upstream_errors: std::array::from_fn(|kind| {
                self.0.all().map(|worker| worker.upstream_errors[kind].get()).sum()
            }),
            bytes_sent: self.0.all().map(|worker| worker.bytes_sent.get()).sum(),
        }
    }
}

/// What one worker counts of one rate limit.
#[derive(Debug, Default)]
struct LimitCounts {
    allowed: Count,
    limited: Count,
}

/// What a rate limit decided.
#[derive(Debug, Default)]
pub struct LimitMetrics(PerWorker<LimitCounts>);

impl LimitMetrics {
    /// Counts a decision.
    pub fn count(&self, allowed: bool) {
        let (mine, writers) = self.0.mine();
        if allowed { &mine.allowed } else { &mine.limited }.add(1, writers);
    }

    /// How many calls were allowed, and how many were not.
    pub fn total(&self) -> (u64, u64) {
        self.0
            .all()
            .fold((0, 0), |(allowed, limited), worker| (allowed + worker.allowed.get(), limited + worker.limited.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_status_and_duration() {
        let metrics = ApiMetrics::default();
        for (status, ms) in [(200, 1), (200, 2), (204, 3), (599, 11_000), (100, 0), (99, 0), (600, 0)] {
            metrics.answered(status, Duration::from_millis(ms), None, 10);
        }
        metrics.answered(502, Duration::from_millis(7), Some(Duration::from_micros(2_501)), 0);
        metrics.upstream_failed(2);
        let total = metrics.total();
        assert_eq!(total.statuses, BTreeMap::from([(100, 1), (200, 2), (204, 1), (502, 1), (599, 1)]));
        assert_eq!(total.bytes_sent, 70);
        assert_eq!(total.upstream_errors, [0, 0, 1, 0, 0]);
        assert_eq!((total.duration.count(), total.upstream.count()), (8, 1));
        assert_eq!(total.duration.buckets.to_vec(), [4, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(total.upstream.buckets()[2], (0.005, 1));
        assert!((total.upstream.seconds() - 0.002_501).abs() < 1e-9);
    }
}
