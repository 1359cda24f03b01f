//! Counters that each worker keeps for itself and a scrape adds up: counting takes no lock and writes to no memory that
//! another core writes to.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The place of all threads that have none of their own.
const SHARED: usize = 0;

/// Places given out so far.
static PLACES: AtomicUsize = AtomicUsize::new(SHARED + 1);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(SHARED) };
}

/// Gives this thread a place of its own in every [`PerWorker`]. Places are never given twice, so this is for threads
/// that live as long as the process.
pub fn take_place() {
    PLACE.set(PLACES.fetch_add(1, Ordering::Relaxed));
}

/// Who writes to a [`Count`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Only this thread.
    One,
    /// Any thread.
    Many,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, amount: u64, writers: Writers) {
        match writers {
            Writers::One => self.0.store(self.0.load(Ordering::Relaxed) + amount, Ordering::Relaxed),
            Writers::Many => drop(self.0.fetch_add(amount, Ordering::Relaxed)),
        }
    }

    /// What it has come to.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One `T` for each worker that uses it, made at its first use: thousands of APIs that nobody calls cost nothing.
pub struct PerWorker<T>(OnceLock<Box<[OnceLock<Box<T>>]>>);

impl<T: Default> PerWorker<T> {
    /// This thread's own, and who writes to it.
    pub fn mine(&self) -> (&T, Writers) {
        let places =
            self.0.get_or_init(|| (0..PLACES.load(Ordering::Relaxed)).map(|_| OnceLock::new()).collect::<Box<[_]>>());
        match places.get(PLACE.get()) {
            Some(own) if PLACE.get() != SHARED => (own.get_or_init(Box::default), Writers::One),
            // Also a thread that took its place after the places were made.
            _ => (places[SHARED].get_or_init(Box::default), Writers::Many),
        }
    }

    /// Everybody's.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.get().into_iter().flat_map(|places| places.iter().filter_map(|own| own.get().map(|own| &**own)))
    }
}

impl<T> Default for PerWorker<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> fmt::Debug for PerWorker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerWorker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_workers_and_others() {
        let counts = PerWorker::<Count>::default();
        let count = |times: u64| {
            for _ in 0..times {
                let (mine, writers) = counts.mine();
                mine.add(1, writers);
            }
        };
        std::thread::scope(|scope| {
            for times in [10_000, 20_000] {
                scope.spawn(move || {
                    take_place();
                    count(times);
                });
                scope.spawn(move || count(times));
            }
        });
        assert_eq!(counts.all().map(Count::get).sum::<u64>(), 60_000);
    }
}
