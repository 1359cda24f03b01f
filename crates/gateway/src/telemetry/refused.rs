//! Requests that were refused for who sent them or how often: counted by cause, each worker for itself, until the control
//! plane takes the counts for its record. Only a refused request comes here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::per_worker::PerWorker;
use crate::kind::Id;
use crate::record::Record;

/// The most causes that one worker tells apart between two takings. Others are counted without API and consumer.
const MOST: usize = 4_096;

/// Why requests were refused, and whose they were.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The status of the answers: 401, 403 or 429.
    pub status: u16,
    /// The code of the refusal.
    pub reason: &'static str,
    /// The API's tenant.
    pub tenant_id: Id,
    /// The API.
    pub api: Option<(Id, Arc<str>)>,
    /// The consumer, if it was known by then.
    pub consumer: Option<(Id, Arc<str>)>,
    /// The policy that decided.
    pub policy: Option<Arc<str>>,
}

/// How often, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// The first time, in microseconds since 1970.
    pub first: u64,
    /// The last time.
    pub last: u64,
}

/// The counts of all workers.
#[derive(Debug, Default)]
pub struct Refused(PerWorker<Mutex<HashMap<Cause, Tally>>>);

impl Refused {
    /// Whether a request belongs here: it was refused, and not let through to an upstream that refused it.
    pub fn concerns(record: &Record) -> bool {
        record.reason.is_some() && matches!(record.status, 401 | 403 | 429)
    }

    /// Counts a refused request.
    pub fn count(&self, record: &Record, unix_us: u64) {
        let (Some(reason), Some(api)) = (record.reason, &record.api) else { return };
        let cause = Cause {
            status: record.status,
            reason,
            tenant_id: api.tenant_id,
            api: Some((api.id, api.name.clone())),
            consumer: record.consumer.as_ref().map(|consumer| (consumer.id, consumer.name.clone())),
            policy: record.policy.clone(),
        };
        self.add(cause, unix_us);
    }

    fn add(&self, cause: Cause, unix_us: u64) {
        // Only the control plane ever waits for it, or is waited for, for as long as it takes to take the map away.
        let mut counts = self.0.mine().0.lock().unwrap_or_else(PoisonError::into_inner);
        let cause = match counts.len() >= MOST && !counts.contains_key(&cause) {
            true => Cause { api: None, consumer: None, policy: None, ..cause },
            false => cause,
        };
        let tally = counts.entry(cause).or_insert(Tally { count: 0, first: unix_us, last: unix_us });
        tally.count += 1;
        tally.last = unix_us;
    }

    /// What was counted since it was last taken.
    pub fn take(&self) -> Vec<(Cause, Tally)> {
        self.0
            .all()
            .flat_map(|counts| std::mem::take(&mut *counts.lock().unwrap_or_else(PoisonError::into_inner)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(consumer: u128) -> Cause {
        Cause {
            status: 429,
            reason: "rate_limited",
            tenant_id: Id::nil(),
            api: Some((Id::from_u128(1), "a".into())),
            consumer: Some((Id::from_u128(consumer), "c".into())),
            policy: None,
        }
    }

    #[test]
    fn counts_are_exact_and_bounded() {
        let refused = Refused::default();
        let consumers = MOST as u128 + 100;
        for at in 0..3 {
            (0..consumers).for_each(|consumer| refused.add(cause(consumer), at));
        }
        let taken = refused.take();
        assert_eq!(taken.len(), MOST + 1);
        assert_eq!(taken.iter().map(|(_, tally)| tally.count).sum::<u64>(), 3 * consumers as u64);
        let (_, others) = taken.iter().find(|(cause, _)| cause.consumer.is_none()).unwrap();
        assert_eq!((others.count, others.first, others.last), (300, 0, 2));
        assert!(refused.take().is_empty());
    }
}
