//! The two clocks: a monotonic one for limits and latencies, and the wall clock for people.

use std::sync::OnceLock;
use std::time::Instant;

use jiff::Timestamp;

/// Nanoseconds since the process began; never goes back.
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // 584 years fit.
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}
