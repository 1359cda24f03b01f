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
}
