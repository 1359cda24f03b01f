//! The clocks: a monotonic one for limits and latencies, the wall clock for people, and the one of HTTP.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Gives the time of day as it stands in a `Date` field (RFC 9110 section 5.6.7); made once a second.
pub fn with_http_date<R>(with: impl FnOnce(&[u8]) -> R) -> R {
    thread_local! {
        static MADE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    MADE.with_borrow_mut(|(of, text)| {
        if *of != second {
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
            *of = second;
        }
        with(text.as_bytes())
    })
}
