//! What administrators do with the logins of users: lock, unlock, end sessions, hand out links.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use portunus_gateway::problem::Problem;
use serde_json::{Value, json};

use super::super::body::Object;
use super::super::caller::Caller;
use super::super::error::ApiError;
use super::super::resources::{first, one};
use super::super::tokens;
use crate::access::Account;
use crate::control::Control;
use crate::login::one_time::Purpose;
use crate::login::{link, password_change, session};
use crate::store::row::Row;
use crate::store::{Action, Edit};

/// The most characters of a reason.
const LONGEST_REASON: usize = 200;

/// The account of a user, if the caller has every right that it has: a link or a forced reset is a way in.
pub fn account(control: &Control, caller: &Caller, row: &Row) -> Result<Arc<Account>, ApiError> {
    let access = control.store.access.load();
    let account = access.account(row.id).cloned().ok_or_else(|| {
        let problem = Problem::new("/status", "the user is locked", "an active user; unlock them first");
        ApiError::conflict("this cannot be done for a locked user", vec![problem])
    })?;
    let within = if Some(row.tenant_id) == access.platform { None } else { Some(row.tenant_id) };
    if caller.0.covers(&account.permissions(), within) {
        return Ok(account);
    }
    Err(ApiError::forbidden("the user has rights that you do not have"))
}

fn nothing_but(body: &Object, known: &[&str]) -> Result<(), ApiError> {
    let expected = if known.is_empty() { "no fields".to_owned() } else { known.join(", ") };
    let unknown = body.0.keys().filter(|field| !known.contains(&field.as_str()));
    let problems: Vec<Problem> = unknown
        .map(|field| Problem::new(format!("/{field}"), format!("unknown field `{field}`"), expected.clone()))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(problems)) }
}

/// Locks a user. Their sessions and tokens end with it.
pub async fn lock(control: &Control, caller: &Caller, row: &Row, mut body: Object) -> Result<Response, ApiError> {
    let reason = body.text("reason")?;
    nothing_but(&body, &["reason"])?;
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        let expected = format!("at most {LONGEST_REASON} characters");
        return Err(ApiError::invalid(vec![Problem::new("/reason", "too long", expected)]));
    }
    set_status(control, caller, row, json!({ "status": "locked", "lock_reason": reason })).await
}

/// Unlocks a user.
pub async fn unlock(control: &Control, caller: &Caller, row: &Row, body: &Object) -> Result<Response, ApiError> {
    nothing_but(body, &[])?;
    set_status(control, caller, row, json!({ "status": "active", "lock_reason": null })).await
}

async fn set_status(control: &Control, caller: &Caller, row: &Row, fields: Value) -> Result<Response, ApiError> {
    if row.id == caller.0.account.id {
        return Err(ApiError::conflict("nobody locks or unlocks themselves", Vec::new()));
    }
    let action = Action::Update { id: row.id, if_match: None, name: None, edit: Edit::Merge(fields) };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    Ok(one(&first(committed.outcomes)?).into_response())
}

/// Ends all sessions and tokens of a user.
pub async fn revoke_sessions(
    control: &Control,
    caller: &Caller,
    row: &Row,
    body: &Object,
) -> Result<Response, ApiError> {
    nothing_but(body, &[])?;
    let account = account(control, caller, row)?;
    tokens::revoke_all_of(control, caller, &account).await?;
    let ended = session::end_everything(&control.store, caller.0.actor(), &account, "revoked").await?;
    Ok(Json(json!({ "revoked": ended })).into_response())
}

/// Ends all sessions and tokens of a user, and has them set a new password with their next login.
pub async fn force_reset(control: &Control, caller: &Caller, row: &Row, body: &Object) -> Result<Response, ApiError> {
    nothing_but(body, &[])?;
    let account = account(control, caller, row)?;
    tokens::revoke_all_of(control, caller, &account).await?;
    let ended = password_change::force(control, &account, caller.0.actor()).await?;
    Ok(Json(json!({ "revoked": ended })).into_response())
}

/// Hands out a link to set a password with.
pub async fn hand_out(
    control: &Control,
    caller: &Caller,
    row: &Row,
    body: &Object,
    purpose: Purpose,
) -> Result<Response, ApiError> {
    nothing_but(body, &[])?;
    let account = account(control, caller, row)?;
    Ok(Json(link::hand_out(control, &account, purpose, caller.0.actor()).await?).into_response())
}
