//! The output of a child process as a growing list of lines that a test can wait on.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

#[derive(Default)]
struct State {
    lines: Vec<String>,
    is_closed: bool,
}

/// Lines read so far from one pipe. Clones share the same lines.
#[derive(Clone, Default)]
pub struct Lines {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Lines {
    /// Reads `source` in a thread of its own until it ends.
    pub fn follow(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(source);
            let mut buffer = Vec::new();
            loop {
                buffer.clear();
                match reader.read_until(b'\n', &mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {
                        let text = String::from_utf8_lossy(&buffer);
                        let line = text.trim_end_matches(['\n', '\r']).to_owned();
                        writer.state().lines.push(line);
                        writer.shared.1.notify_all();
                    }
                }
            }
            writer.state().is_closed = true;
            writer.shared.1.notify_all();
        });
        lines
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of every line read so far.
    pub fn all(&self) -> Vec<String> {
        self.state().lines.clone()
    }

    /// Every line read so far, as one text.
    pub fn text(&self) -> String {
        self.state().lines.join("\n")
    }

    /// Every line that is a JSON object.
    pub fn entries(&self) -> Vec<Value> {
        let state = self.state();
        state.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Forgets what was read so far, so that a long run stays small.
    pub fn clear(&self) {
        self.state().lines.clear();
    }

    /// Whether the process has closed its end.
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Waits for a line that `find` makes something of; `None` when the deadline passes or the pipe closes first.
    pub fn wait<T>(&self, deadline: Duration, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + deadline;
        let mut seen = 0;
        let mut state = self.state();
        loop {
            if seen > state.lines.len() {
                seen = 0;
            }
            if let Some(found) = state.lines[seen..].iter().find_map(|line| find(line)) {
                return Some(found);
            }
            seen = state.lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if state.is_closed || left.is_zero() {
                return None;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a JSON line that satisfies `is_wanted`.
    pub fn wait_entry(&self, deadline: Duration, is_wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        self.wait(deadline, |line| serde_json::from_str(line).ok().filter(|entry| is_wanted(entry)))
    }
}
