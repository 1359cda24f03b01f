//! What the gateway counted, as events.

use portunus_gateway::telemetry::refused::{Cause, Tally};
use serde_json::{Map, Value};

use crate::audit::event::{Actor, ActorKind, NewEvent, Outcome};

/// The event of refused traffic.
pub(super) fn refused(cause: &Cause, tally: Tally) -> NewEvent {
    let action = match cause.status {
        401 => "auth_failed",
        403 => "access_denied",
        _ => "rate_limit_exceeded",
    };
    let actor = match &cause.consumer {
        Some((id, name)) => {
            Actor { kind: ActorKind::Consumer, id: Some(*id), name: name.to_string(), ..Actor::default() }
        }
        None => Actor::default(),
    };
    let mut details = Map::new();
    details.insert("status".into(), cause.status.into());
    if let Some(policy) = &cause.policy {
        details.insert("policy".into(), policy.to_string().into());
    }
    let event = NewEvent {
        outcome: Outcome::Denied,
        reason: cause.reason.to_owned(),
        count: tally.count,
        details: Value::Object(details),
        ..NewEvent::new(actor, action).of(cause.tenant_id)
    };
    match &cause.api {
        Some((id, name)) => event.about("Api", *id, name),
        None => event,
    }
}
