//! The three ways to choose among the targets that may be called. None allocates or locks.

use std::sync::atomic::Ordering;

use super::{Balance, CompiledUpstream};

/// How often chance is asked before the targets are gone through one by one.
const TRIES: usize = 8;

impl CompiledUpstream {
    /// The index of one of the targets that `may_be_called`.
    pub(super) fn draw(&self, key: Option<u64>, now: u64, may_be_called: impl Fn(usize) -> bool) -> Option<usize> {
        match self.balance {
            Balance::RoundRobin => self.next_in_turn(now, may_be_called),
            Balance::LeastLoaded => self.less_loaded(now, may_be_called),
            Balance::ConsistentHash => self.highest_score(key.unwrap_or_else(|| fastrand::u64(..)), now, may_be_called),
        }
    }

    /// Whose turn it is. The share of one that may not be called is spread over the others by chance: were it always
    /// the next one's, that one would get it twice.
    fn next_in_turn(&self, now: u64, may_be_called: impl Fn(usize) -> bool) -> Option<usize> {
        let many = self.schedule.len();
        let turn = match many {
            0 => return None,
            1 => 0,
            many => self.shared.turn.fetch_add(1, Ordering::Relaxed) % many,
        };
        let next = usize::from(self.schedule[turn]);
        match may_be_called(next) && self.is_warm_enough(next, now) {
            true => Some(next),
            false => self.by_chance(now, may_be_called),
        }
    }

    /// Any, as often as their weights say.
    fn by_chance(&self, now: u64, may_be_called: impl Fn(usize) -> bool) -> Option<usize> {
        let many = self.schedule.len();
        if many == 0 {
            return None;
        }
        for _ in 0..TRIES {
            let index = usize::from(self.schedule[fastrand::usize(..many)]);
            if may_be_called(index) && self.is_warm_enough(index, now) {
                return Some(index);
            }
        }
        let first = fastrand::usize(..many);
        (0..many).map(|step| usize::from(self.schedule[(first + step) % many])).find(|index| may_be_called(*index))
    }

    /// The power of two choices: the better of two is nearly as good as the best of all, and not everybody's choice.
    fn less_loaded(&self, now: u64, may_be_called: impl Fn(usize) -> bool) -> Option<usize> {
        let one = self.by_chance(now, &may_be_called)?;
        let Some(other) = self.by_chance(now, |index| index != one && may_be_called(index)) else { return Some(one) };
        let load = |index: usize| {
            let target = &self.targets[index];
            target.state.slots.taken() as f32 / (target.weight as f32 * self.share(target, now))
        };
        Some(if load(other) < load(one) { other } else { one })
    }

    /// Whether one that starts slowly takes this request: as often as its share says.
    fn is_warm_enough(&self, index: usize, now: u64) -> bool {
        let share = self.share(&self.targets[index], now);
        share >= 1.0 || fastrand::f32() < share
    }
}
