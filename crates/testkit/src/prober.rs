//! A polite client beside a storm: asks every few milliseconds, each time on a connection of its own, and keeps a record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::raw::exchange;

/// From one question to the next.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many answers had which status; 0 where there was none.
    pub statuses: BTreeMap<u16, u64>,
    /// The longest that it waited for an answer, the connection included.
    pub slowest: Duration,
}

/// The client. It asks until it is stopped.
pub struct Prober {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Prober {
    /// Begins to ask for a path of `address`, `host:port`.
    pub fn start(address: &str, path: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        let (address, is_stopped) = (address.to_owned(), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&is_stopped);
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !stop.load(Ordering::SeqCst) {
                let start = Instant::now();
                let answer = exchange(&address, request.as_bytes(), PATIENCE);
                seen.slowest = seen.slowest.max(start.elapsed());
                *seen.statuses.entry(answer.status().unwrap_or_default()).or_default() += 1;
                std::thread::sleep(INTERVAL);
            }
            seen
        });
        Self { is_stopped, thread }
    }

    /// Stops it and gives what it saw.
    ///
    /// # Panics
    /// When it was not let in at all at some time.
    pub fn stop(self) -> Seen {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.thread.join().expect("every connection was accepted")
    }
}
