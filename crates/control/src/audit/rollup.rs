//! Things that happen too often for a row each: refused requests, denied calls, readings of the record. They are counted
//! by cause and become one row each minute, with an exact count, so that an attack cannot fill the disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::event::{Actor, ActorKind, NewEvent};

/// The most rows at once.
const MOST: usize = 256;

/// How long it takes until one more row may be used after that.
const ONE_MORE: Duration = Duration::from_secs(2);

/// What happened often: an event, how often, from when to when.
#[derive(Debug, Clone)]
struct Often {
    event: NewEvent,
    count: u64,
    from: i64,
    to: i64,
}

#[derive(Debug)]
struct State {
    counts: HashMap<Vec<String>, Often>,
    /// How many rows may still be used for causes of their own.
    budget: usize,
    refilled: Instant,
}

/// The counts that are not yet rows.
#[derive(Debug)]
pub struct Rollup(Mutex<State>);

impl Default for Rollup {
    fn default() -> Self {
        Self(Mutex::new(State { counts: HashMap::new(), budget: MOST, refilled: Instant::now() }))
    }
}

impl Rollup {
    /// Counts an event as often as its count says, at these times in microseconds since 1970. Events that differ in
    /// nothing but the call they belong to are counted together. When there are too many to tell apart, who and what is
    /// left out, and tenant, action and reason stay.
    pub fn add(&self, mut event: NewEvent, from: i64, to: i64) {
        event.actor.request_id.clear();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.refill();
        let mut key = key(&event);
        if !state.counts.contains_key(&key) {
            match state.budget.checked_sub(1) {
                Some(left) => state.budget = left,
                None => {
                    event = others(event);
                    key = self::key(&event);
                }
            }
        }
        let count = event.count;
        let often = state.counts.entry(key).or_insert(Often { event, count: 0, from, to });
        often.count += count;
        often.from = often.from.min(from);
        often.to = often.to.max(to);
    }

    /// The rows of what was counted since it was last taken, the earliest first; what is not wanted stays.
    pub fn take(&self, is_wanted: impl Fn(&NewEvent) -> bool) -> Vec<NewEvent> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Often> =
            state.counts.extract_if(|_, often| is_wanted(&often.event)).map(|(_, often)| often).collect();
        drop(state);
        all.sort_by_key(|often| often.from);
        all.into_iter().map(Often::into_event).collect()
    }

    /// Takes rows back that could not be written.
    pub fn put_back(&self, events: Vec<NewEvent>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for mut event in events {
            let times = ["from", "to"].map(|field| {
                let text = event.details.as_object_mut().and_then(|details| details.remove(field));
                let time = text.as_ref().and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
                time.unwrap_or_default().as_microsecond()
            });
            let count = event.count;
            let often =
                state.counts.entry(key(&event)).or_insert(Often { event, count: 0, from: times[0], to: times[1] });
            often.count += count;
            often.from = often.from.min(times[0]);
            often.to = often.to.max(times[1]);
        }
    }
}

impl State {
    fn refill(&mut self) {
        let more = self.refilled.elapsed().as_secs() / ONE_MORE.as_secs();
        if more > 0 {
            self.budget = MOST.min(self.budget.saturating_add(more as usize));
            self.refilled += ONE_MORE * u32::try_from(more).unwrap_or(u32::MAX);
        }
    }
}

impl Often {
    fn into_event(self) -> NewEvent {
        let Self { mut event, count, from, to } = self;
        event.count = count;
        let mut details = match event.details {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        for (field, time) in [("from", from), ("to", to)] {
            let time = Timestamp::from_microsecond(time).unwrap_or_default();
            details.insert(field.to_owned(), time.to_string().into());
        }
        event.details = details.into();
        event
    }
}

/// Everything that tells events apart.
fn key(event: &NewEvent) -> Vec<String> {
    let actor = &event.actor;
    vec![
        event.tenant_id.map(|id| id.to_string()).unwrap_or_default(),
        actor.kind.word().to_owned(),
        actor.id.map(|id| id.to_string()).unwrap_or_default(),
        actor.name.clone(),
        actor.via.clone(),
        actor.address.map(|address| address.to_string()).unwrap_or_default(),
        event.action.clone(),
        event.kind.clone(),
        event.resource_id.clone(),
        event.resource_name.clone(),
        event.outcome.word().to_owned(),
        event.reason.clone(),
        event.details.to_string(),
    ]
}

/// The event that stands for all that cannot be told apart.
fn others(event: NewEvent) -> NewEvent {
    NewEvent {
        actor: Actor { kind: ActorKind::Anonymous, ..Actor::default() },
        kind: String::new(),
        resource_id: String::new(),
        resource_name: String::new(),
        details: json!({ "others": true }),
        ..event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(name: &str) -> NewEvent {
        let actor = Actor { kind: ActorKind::User, name: name.to_owned(), ..Actor::default() };
        NewEvent::new(actor, "call.denied").denied("forbidden")
    }

    #[test]
    fn the_same_is_counted_once() {
        let rollup = Rollup::default();
        for at in [5_000_000, 1_000_000, 9_000_000] {
            let mut event = denied("a");
            event.actor.request_id = format!("call-{at}");
            rollup.add(event, at, at);
        }
        rollup.add(denied("b"), 2_000_000, 2_000_000);
        let rows = rollup.take(|_| true);
        assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(rows[0].details, json!({"from": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:09Z"}));
        assert!(rows[0].actor.request_id.is_empty() && rollup.take(|_| true).is_empty());
        rollup.put_back(rows);
        rollup.add(denied("a"), 20_000_000, 20_000_000);
        let rows = rollup.take(|_| true);
        assert_eq!((rows[0].count, &rows[0].details["to"]), (4, &json!("1970-01-01T00:00:20Z")));
    }

    #[test]
    fn many_causes_share_a_row_and_none_is_lost() {
        let rollup = Rollup::default();
        let calls = MOST * 4;
        for n in 0..calls {
            rollup.add(denied(&format!("user-{n}")), 1, 1);
            rollup.add(denied(&format!("user-{n}")), 1, 1);
        }
        let rows = rollup.take(|_| true);
        assert!(rows.len() <= MOST + 10, "{} rows", rows.len());
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 2 * calls as u64);
        for n in 0..calls {
            rollup.add(denied(&format!("other-{n}")), 1, 1);
        }
        let rows = rollup.take(|_| true);
        assert!(rows.len() <= 10, "{} rows although the budget is used up", rows.len());
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), calls as u64);
        assert_eq!((rows[0].actor.name.as_str(), rows[0].reason.as_str()), ("", "forbidden"));
    }
}
