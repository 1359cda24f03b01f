//! One timer for many deadlines in a row. A timer that is set anew for each request costs more than the request's
//! parsing; this one is left as it is when the deadline moves away, and looks again when it rings.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that can be moved.
#[derive(Debug)]
pub struct Deadline {
    due: Cell<Instant>,
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Deadline {
    /// A deadline after this time.
    pub fn after(duration: Duration) -> Self {
        Self { due: Cell::new(Instant::now() + duration), timer: RefCell::new(None) }
    }

    /// Moves the deadline.
    pub fn set(&self, due: std::time::Instant) {
        self.due.set(due.into());
    }

    /// Moves the deadline to this time from now.
    pub fn set_after(&self, duration: Duration) {
        self.due.set(Instant::now() + duration);
    }

    /// Ready once the deadline has passed.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.borrow_mut();
        let due = self.due.get();
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// What a future gives before the deadline; none after it.
    pub async fn within<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await
    }
}

/// How long somebody who sends in pieces may be silent. Only the time counts in which the next piece is waited for.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    /// Made when there is something to wait for, for the first time.
    deadline: Option<Deadline>,
    waits: bool,
}

impl Patience {
    /// Waits for so long for each piece.
    pub fn new(limit: Duration) -> Self {
        Self { limit, deadline: None, waits: false }
    }

    /// A piece has come.
    pub fn renew(&mut self) {
        self.waits = false;
    }

    /// Ready when the next piece, which has not come, was waited for too long.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.get_or_insert_with(|| Deadline::after(self.limit));
        if !std::mem::replace(&mut self.waits, true) {
            deadline.set_after(self.limit);
        }
        deadline.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_moved_deadline_holds() {
        let start = Instant::now();
        let deadline = Deadline::after(Duration::from_secs(1));
        assert_eq!(deadline.within(std::future::pending::<()>()).await, None);
        assert_eq!(start.elapsed().as_secs(), 1);
        deadline.set_after(Duration::from_secs(10));
        deadline.set_after(Duration::from_secs(2));
        assert_eq!(deadline.within(std::future::pending::<()>()).await, None);
        assert_eq!(start.elapsed().as_secs(), 3);
        deadline.set_after(Duration::from_secs(5));
        assert_eq!(deadline.within(async { 7 }).await, Some(7));
    }
    #[tokio::test(start_paused = true)]
    async fn patience_counts_only_the_time_of_waiting() {
        let mut patience = Patience::new(Duration::from_secs(10));
        for _ in 0..3 {
            // What happens while nobody waits does not count.
            tokio::time::sleep(Duration::from_secs(60)).await;
            let wait = poll_fn(|cx| patience.poll(cx));
            assert!(tokio::time::timeout(Duration::from_secs(9), wait).await.is_err());
            patience.renew();
        }
        let start = Instant::now();
        poll_fn(|cx| patience.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
