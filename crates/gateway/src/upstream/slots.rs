//! How many requests a target works on, how many wait for it, and who is next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::target::TargetState;

/// The requests under way to one target, over all workers. How many there may be is not kept here, because this outlives
/// changes of the configuration.
#[derive(Debug, Default)]
pub struct Slots {
    taken: AtomicU32,
    waiting: AtomicU32,
    /// Touched only while the target is full.
    queue: Mutex<VecDeque<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    most: u32,
    ready: oneshot::Sender<InFlight>,
}

impl Slots {
    /// Requests under way.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Requests that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether one more may begin at once. Nobody overtakes those who wait.
    pub fn has_room(&self, most: u32) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0 && self.taken.load(Ordering::Relaxed) < most
    }

    /// Whether one more may wait.
    pub fn may_wait(&self, most_pending: u32) -> bool {
        self.waiting.load(Ordering::Relaxed) < most_pending
    }

    // Sequential consistency here and in `wait`: who frees a slot looks for those who wait after that, and who waits
    // looks for a slot after saying so; one of the two must see the other.
    fn take(&self, most: u32) -> bool {
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    /// The one who has waited the longest, with a slot taken for it.
    fn next_with_slot(&self) -> Option<Waiter> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        forget_those_who_left(&mut queue);
        if self.take(queue.front()?.most) { queue.pop_front() } else { None }
    }
}

/// All wait for about the same time, so those who gave up are in front.
fn forget_those_who_left(queue: &mut VecDeque<Waiter>) {
    while queue.front().is_some_and(|waiter| waiter.ready.is_closed()) {
        queue.pop_front();
    }
}

/// A request under way. Dropping it lets the next one begin.
#[derive(Debug)]
pub struct InFlight(Arc<TargetState>);

impl InFlight {
    /// Counts a request to a target that has no limit.
    pub(super) fn count(state: &Arc<TargetState>) -> Self {
        state.slots.taken.fetch_add(1, Ordering::Relaxed);
        Self(state.clone())
    }

    /// Counts a request if that makes no more than `most`.
    pub(super) fn take(state: &Arc<TargetState>, most: u32) -> Option<Self> {
        let taken = state.slots.has_room(most) && state.slots.take(most);
        taken.then(|| Self(state.clone()))
    }

    /// The same, but waits until it is this request's turn; none when too many wait already.
    pub(super) async fn wait(state: &Arc<TargetState>, most: u32, most_pending: u32) -> Option<Self> {
        let slots = &state.slots;
        let one_more = |waiting: u32| (waiting < most_pending).then_some(waiting + 1);
        slots.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let _waiting = Waiting(slots);
        let (ready, turn) = oneshot::channel();
        {
            let mut queue = slots.queue.lock().unwrap_or_else(PoisonError::into_inner);
            forget_those_who_left(&mut queue);
            queue.push_back(Waiter { most, ready });
        }
        hand_out(state);
        turn.await.ok()
    }
}

/// Gives the free slots to those who wait. One who left in this moment drops its slot, which then is handed out again.
fn hand_out(state: &Arc<TargetState>) {
    while let Some(waiter) = state.slots.next_with_slot() {
        drop(waiter.ready.send(InFlight(state.clone())));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let slots = &self.0.slots;
        slots.taken.fetch_sub(1, Ordering::SeqCst);
        if slots.waiting.load(Ordering::SeqCst) > 0 {
            hand_out(&self.0);
        }
    }
}

/// One that waits; however its wait ends, it waits no more.
struct Waiting<'s>(&'s Slots);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn no_more_than_the_most_at_once_and_room_after_each_end() {
        let state = Arc::new(TargetState::default());
        let first = InFlight::take(&state, 2).expect("there is room");
        let _second = InFlight::take(&state, 2).expect("there is room");
        assert!(InFlight::take(&state, 2).is_none());
        assert!(InFlight::take(&state, 3).is_some(), "a raised limit counts at once");
        drop(first);
        assert!(InFlight::take(&state, 2).is_some());
        assert_eq!(state.slots.taken(), 1);
    }

    #[test]
    fn those_who_wait_are_served_in_order_and_are_not_overtaken() {
        let state = Arc::new(TargetState::default());
        let held = InFlight::take(&state, 1).expect("there is room");
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(InFlight::wait(&state, 1, 3))).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        assert_eq!(InFlight::wait(&state, 1, 3).now_or_never().map(|slot| slot.is_none()), Some(true), "too many wait");
        drop(held);
        assert!(InFlight::take(&state, 1).is_none(), "others wait");
        for mut one in waiting {
            let slot = one.as_mut().now_or_never().flatten();
            assert!(slot.is_some(), "it is its turn");
        }
        assert_eq!((state.slots.taken(), state.slots.may_wait(1)), (0, true));
    }

    #[test]
    fn one_who_leaves_gives_its_turn_to_the_next() {
        let state = Arc::new(TargetState::default());
        let held = InFlight::take(&state, 1).expect("there is room");
        let mut impatient = Box::pin(InFlight::wait(&state, 1, 3));
        let mut called = Box::pin(InFlight::wait(&state, 1, 3));
        let mut patient = Box::pin(InFlight::wait(&state, 1, 3));
        assert!(
            [&mut impatient, &mut called, &mut patient].into_iter().all(|one| one.as_mut().now_or_never().is_none())
        );
        drop(impatient);
        drop(held);
        drop(called);
        assert!(patient.as_mut().now_or_never().flatten().is_some());
        drop(patient);
        assert_eq!(state.slots.taken(), 0);
        assert!(InFlight::take(&state, 1).is_some());
    }

    #[test]
    fn many_threads_never_pass_the_most_and_all_get_their_turn() {
        let state = Arc::new(TargetState::default());
        let most_seen = AtomicU32::new(0);
        let runtime = || tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be built");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    runtime().block_on(async {
                        for _ in 0..2_000 {
                            let slot = match InFlight::take(&state, 2) {
                                Some(slot) => slot,
                                None => InFlight::wait(&state, 2, 10).await.expect("few wait"),
                            };
                            most_seen.fetch_max(state.slots.taken(), Ordering::Relaxed);
                            tokio::task::yield_now().await;
                            drop(slot);
                        }
                    });
                });
            }
        });
        assert_eq!(state.slots.taken(), 0);
        assert!(most_seen.into_inner() <= 2);
    }
}
