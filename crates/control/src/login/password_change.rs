//! New passwords: chosen by their owner, or set with a secret that was handed out for it.

use std::sync::Arc;

use portunus_gateway::problem::Problem;
use serde_json::json;

use super::one_time::{self, OneTime, Purpose};
use super::{Arrival, actor, session};
use crate::access::Account;
use crate::api::error::ApiError;
use crate::audit::event::{Actor, NewEvent};
use crate::control::Control;
use crate::principal::Principal;
use crate::resource;
use crate::store::{Action, Change, CommitError, Edit, Op};

/// Refuses a password that is too short before anything else is done with it.
fn check_length(control: &Control, password: &str) -> Result<(), ApiError> {
    let least = control.store.access.load().login_policy.password_min_length;
    if password.chars().count() >= least as usize {
        return Ok(());
    }
    let problem = Problem::new("/new_password", "too short", format!("at least {least} characters"));
    Err(ApiError::invalid(vec![problem]))
}

/// Sets the password of an account. All its sessions end, but for the one of the principal, if it is theirs.
async fn set(
    control: &Control,
    account: &Account,
    password: &str,
    actor: Actor,
    principal: Option<Arc<Principal>>,
) -> Result<(), ApiError> {
    let kind = resource::by_kind("User").ok_or_else(ApiError::internal)?;
    let edit = Edit::Merge(json!({ "password": password }));
    let action = Action::Update { id: account.id, if_match: None, name: None, edit };
    let ops = vec![Op { kind, path: String::new(), action }];
    match control.store.commit(Change { actor, principal, ops, dry_run: false, call: None }).await {
        Ok(_) => Ok(()),
        Err(CommitError::Invalid(mut problems)) => {
            for problem in problems.iter_mut().filter(|problem| problem.path == "/password") {
                problem.path = "/new_password".to_owned();
                // What was sent stays with its sender.
                problem.found = None;
            }
            Err(ApiError::invalid(problems))
        }
        Err(error) => Err(error.into()),
    }
}

/// Sets the password of somebody who is logged in.
pub async fn by_owner(control: &Control, principal: &Arc<Principal>, password: &str) -> Result<(), ApiError> {
    check_length(control, password)?;
    set(control, &principal.account, password, principal.actor(), Some(principal.clone())).await
}

/// Sets a password with a secret that was handed out for it.
pub async fn by_token(control: &Control, token: &str, password: &str, arrival: &Arrival) -> Result<(), ApiError> {
    let refused = || ApiError::bad_request("the link or token is used, expired or not one of ours; ask for another");
    let owner = one_time::owner(&control.store, token).await?.ok_or_else(refused)?;
    let account = control.store.access.load().account(owner).cloned().ok_or_else(refused)?;
    check_length(control, password)?;
    if !one_time::take(&control.store, token).await? {
        return Err(refused());
    }
    set(control, &account, password, actor(&account, &arrival.origin, None), None).await
}

/// Ends every session and token of an account, and has it set a new password before the next session.
pub async fn force(control: &Control, account: &Arc<Account>, by: Actor) -> Result<u64, ApiError> {
    let account = account.clone();
    let ended = control.store.transact(move |write| {
        Box::pin(async move {
            let ended = session::end_all_in(write.db, account.id, None, "password reset", write.now).await?;
            sqlx::query(
                "INSERT INTO account_state (account_id, generation, must_reset_password) VALUES ($1, 1, 1) \
                 ON CONFLICT (account_id) DO UPDATE SET generation = generation + 1, must_reset_password = 1",
            )
            .bind(account.id.to_string())
            .execute(write.db)
            .await?;
            *write.accounts_changed = true;
            write.events.push(
                NewEvent::new(by, "user.password_reset_forced")
                    .of(account.tenant_id)
                    .about("User", account.id, &account.name)
                    .with(json!({ "sessions": ended })),
            );
            Ok(ended)
        })
    });
    Ok(ended.await?)
}

/// What somebody gets whose password is right, but must be set anew.
pub async fn must_reset(control: &Control, account: &Account) -> ApiError {
    match one_time::make(&control.store, account.id, Purpose::Forced).await {
        Ok(OneTime { token, expires_at }) => ApiError::password_reset_required(token, expires_at),
        Err(error) => error.into(),
    }
}
