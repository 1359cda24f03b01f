//! The clocks: a monotonic one for limits and latencies, the wall clock for people, and the one of HTTP.

use std::cell::{Cell, RefCell};
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

/// The time of day for one worker: the system is asked once a second, and in between it is reckoned from the monotonic
/// clock, which a request has read anyway.
pub struct WallClock(Cell<(Instant, u64)>);

impl WallClock {
    const ASK_AGAIN: Duration = Duration::from_secs(1);

    /// A clock that has just asked.
    pub fn new() -> Self {
        Self(Cell::new((Instant::now(), now().as_microsecond().unsigned_abs())))
    }

    /// Microseconds since 1970 at this moment, which must be about now.
    pub fn unix_us(&self, at: Instant) -> u64 {
        let (asked, answer) = self.0.get();
        let since = at.saturating_duration_since(asked);
        if since < Self::ASK_AGAIN {
            return answer + since.as_micros() as u64;
        }
        let answer = now().as_microsecond().unsigned_abs();
        self.0.set((at, answer));
        answer
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}
