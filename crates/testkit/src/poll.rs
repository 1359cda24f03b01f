//! Waiting for something to become true, with a deadline instead of a sleep.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that should be there almost at once.
pub const SOON: Duration = Duration::from_secs(10);

/// Asks `attempt` every few milliseconds until it gives a value.
///
/// # Panics
/// When `deadline` passes first; the message names `what`.
pub fn eventually<T>(deadline: Duration, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    match within(deadline, &mut attempt) {
        Some(value) => value,
        None => panic!("{what} did not happen within {deadline:?}"),
    }
}

/// Asks `attempt` every few milliseconds until it gives a value; none when `deadline` passes first.
pub fn within<T>(deadline: Duration, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return Some(value);
        }
        if start.elapsed() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits, for the rare test that needs time to pass and nothing else.
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
