//! What can be done to a credential, a token, a subscription or a user besides changing its fields.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use portunus_gateway::clock;
use portunus_gateway::config::subscription::SubscriptionStatus;
use portunus_gateway::problem::Problem;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::Object;
use super::caller::Caller;
use super::error::ApiError;
use super::history;
use super::login::users;
use super::mfa;
use super::resources::{self, first, one};
use super::tokens;
use crate::access::Verb;
use crate::control::Control;
use crate::lifecycle::Step;
use crate::login::one_time::Purpose;
use crate::store::row::Row;
use crate::store::{Action, Edit, Op, Outcome};

/// The longest time that an old key works beside its successor: 30 days.
const LONGEST_GRACE_HOURS: u64 = 720;

/// How an action is done.
type Run = fn(Arc<Control>, Caller, Row, Object) -> BoxFuture<'static, Result<Response, ApiError>>;

/// Something that can be done to the resources of one kind besides changing their fields.
pub struct KindAction {
    /// The kind's plural.
    plural: &'static str,
    /// The action's name in the path.
    name: &'static str,
    run: Run,
}

/// Every action; what it answers is described in [`crate::openapi`]. `rollback` is one of all kinds.
static ACTIONS: &[KindAction] = &[
    KindAction {
        plural: "credentials",
        name: "rotate",
        run: |control, caller, row, body| {
            Box::pin(async move {
                let outcome = rotate(&control, &caller, &row, grace(&body)?).await?;
                Ok((StatusCode::CREATED, one(&outcome)).into_response())
            })
        },
    },
    KindAction {
        plural: "credentials",
        name: "revoke",
        run: |control, caller, row, _| Box::pin(async move { revoke(&control, &caller, &row).await }),
    },
    KindAction {
        plural: "users",
        name: "reset-mfa",
        run: |control, caller, row, _| Box::pin(async move { mfa::reset(&control, &caller, &row).await }),
    },
    KindAction {
        plural: "api-tokens",
        name: "rotate",
        run: |control, caller, row, body| Box::pin(async move { tokens::rotate(&control, &caller, &row, body).await }),
    },
    KindAction {
        plural: "api-tokens",
        name: "revoke",
        run: |control, caller, row, _| Box::pin(async move { revoke(&control, &caller, &row).await }),
    },
    of_user("lock", |control, caller, row, body| {
        Box::pin(async move { users::lock(&control, &caller, &row, body).await })
    }),
    of_user("unlock", |control, caller, row, body| {
        Box::pin(async move { users::unlock(&control, &caller, &row, &body).await })
    }),
    of_user("revoke-sessions", |control, caller, row, body| {
        Box::pin(async move { users::revoke_sessions(&control, &caller, &row, &body).await })
    }),
    of_user("force-password-reset", |control, caller, row, body| {
        Box::pin(async move { users::force_reset(&control, &caller, &row, &body).await })
    }),
    of_user("invite", |control, caller, row, body| {
        Box::pin(async move { users::hand_out(&control, &caller, &row, &body, Purpose::Invitation).await })
    }),
    of_user("reset-password", |control, caller, row, body| {
        Box::pin(async move { users::hand_out(&control, &caller, &row, &body, Purpose::Reset).await })
    }),
    step("approve", |control, caller, row, _| Box::pin(steps(control, caller, row, Step::Approve))),
    step("suspend", |control, caller, row, _| Box::pin(steps(control, caller, row, Step::Suspend))),
    step("resume", |control, caller, row, _| Box::pin(steps(control, caller, row, Step::Resume))),
    step("revoke", |control, caller, row, _| Box::pin(steps(control, caller, row, Step::Revoke))),
];

const fn of_user(name: &'static str, run: Run) -> KindAction {
    KindAction { plural: "users", name, run }
}

const fn step(name: &'static str, run: Run) -> KindAction {
    KindAction { plural: "subscriptions", name, run }
}

/// `POST …/{plural}/{id}/{action}`.
pub async fn act(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural, id, action)): Path<(String, String, String, String)>,
    body: Object,
) -> Result<Response, ApiError> {
    let known = ACTIONS.iter().filter(|known| known.plural == plural);
    let found = known.clone().find(|known| known.name == action);
    if found.is_none() && action != "rollback" {
        resources::kind(&plural)?;
        let names: Vec<&str> = std::iter::once("rollback").chain(known.map(|known| known.name)).collect();
        return Err(ApiError::not_found(format!("{plural} have no {action}; they have {}", names.join(", "))));
    }
    let row = resources::find(&control, &caller, (&tenant, &plural, &id), Verb::Write).await?;
    match found {
        Some(found) => (found.run)(control, caller, row, body).await,
        None => history::roll_back(&control, &caller, &row, &body).await,
    }
}

async fn steps(control: Arc<Control>, caller: Caller, row: Row, step: Step) -> Result<Response, ApiError> {
    Ok(Json(take_step(&control, &caller, &row, step).await?.row.to_json()).into_response())
}

/// The grace that a body asks for.
pub fn grace(body: &Object) -> Result<u64, ApiError> {
    let Some(value) = body.0.get("grace_period_hours") else { return Ok(0) };
    value.as_u64().filter(|hours| *hours <= LONGEST_GRACE_HOURS).ok_or_else(|| {
        let expected = format!("a number of hours from 0 to {LONGEST_GRACE_HOURS}");
        ApiError::invalid(vec![
            Problem::new("/grace_period_hours", "not a usable grace period", expected).found(value.clone()),
        ])
    })
}

/// Makes the successor of a key and ends the old one, in one commit.
pub async fn rotate(control: &Control, caller: &Caller, old: &Row, grace_hours: u64) -> Result<Outcome, ApiError> {
    if old.spec.get("status").and_then(Value::as_str) == Some("revoked") {
        return Err(ApiError::conflict("a revoked key has no successor; create a new credential", Vec::new()));
    }
    let mut spec = Map::new();
    for field in ["consumer_id", "subscription_id", "credential_type"] {
        spec.extend(old.spec.get(field).map(|value| (field.to_owned(), value.clone())));
    }
    let end = match grace_hours {
        0 => json!({ "status": "revoked" }),
        hours => json!({ "expires_at": earliest(old, clock::now() + SignedDuration::from_hours(hours as i64)) }),
    };
    let create = Action::Create { tenant_id: old.tenant_id, name: None, spec: Value::Object(spec) };
    let update = Action::Update { id: old.id, if_match: None, name: None, edit: Edit::Merge(end) };
    let ops = [create, update].into_iter().map(|action| Op { kind: old.kind, path: String::new(), action }).collect();
    first(control.store.commit(caller.changes(ops)).await?.outcomes)
}

/// A grace never lets a key live longer than it would have.
fn earliest(old: &Row, end: Timestamp) -> Timestamp {
    let own = old.spec.get("expires_at").and_then(|value| Timestamp::deserialize(value).ok());
    own.map_or(end, |own| own.min(end))
}

/// Ends a key or a token at once.
pub async fn revoke(control: &Control, caller: &Caller, row: &Row) -> Result<Response, ApiError> {
    let edit = Edit::Merge(json!({ "status": "revoked" }));
    let action = Action::Update { id: row.id, if_match: None, name: None, edit };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    Ok(one(&first(committed.outcomes)?).into_response())
}

/// Takes a subscription from one state to the next.
pub async fn take_step(control: &Control, caller: &Caller, row: &Row, step: Step) -> Result<Outcome, ApiError> {
    let status = row
        .spec
        .get("status")
        .and_then(|value| SubscriptionStatus::deserialize(value).ok())
        .unwrap_or(SubscriptionStatus::Pending);
    let next = step.from(status).map_err(|expected| {
        let problem = Problem::new("/status", "the subscription is in another state", expected).found(json!(status));
        ApiError::conflict("this step cannot be taken from here", vec![problem])
    })?;
    let edit = Edit::Merge(json!({ "status": next }));
    // Two people deciding at once must not both win.
    let action = Action::Update { id: row.id, if_match: Some(row.revision), name: None, edit };
    first(control.store.commit(caller.change(row.kind, action)).await?.outcomes)
}
