//! Requests for approval: lists of them, decisions about them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use portunus_gateway::problem::Problem;
use serde_json::{Value, json};

use super::body::Object;
use super::caller::{Caller, refused};
use super::error::ApiError;
use super::page::MOST;
use crate::access::{Permission, Verb};
use crate::approval::life::{Refusal, Status};
use crate::approval::list::{self, Filter};
use crate::approval::notice;
use crate::approval::requests::{self, Undecided};
use crate::approval::row::Approval;
use crate::control::Control;
use crate::principal::Proof;

const READ: Permission = Permission::new("approval", Verb::Read);
const WRITE: Permission = Permission::new("approval", Verb::Write);

/// How many are listed when nothing else is asked for.
const USUAL: u64 = 20;

/// The most characters of a comment.
const LONGEST_COMMENT: usize = 2000;

/// `GET /v1/approvals`: those of the tenants whose requests the caller may see.
pub async fn list(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(mut parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let tenants = match parameters.remove("tenant") {
        Some(tenant) => Some(vec![caller.tenant(&control, &tenant, READ).await?]),
        None => caller.reach(READ)?,
    };
    page(&control, Filter { tenants, ..read(parameters)? }).await
}

/// `GET /v1/me/approvals`: the caller's own.
pub async fn own(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    page(&control, Filter { requester: Some(caller.0.account.id), ..read(parameters)? }).await
}

/// `GET /v1/approvals/{id}`.
pub async fn get(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(shown(&visible(&control, &caller, &id).await?))
}

/// `POST /v1/approvals/{id}/approve`.
pub async fn approve(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Json<Value>, ApiError> {
    decide(&control, &caller, &id, body, true).await
}

/// `POST /v1/approvals/{id}/reject`.
pub async fn reject(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Json<Value>, ApiError> {
    decide(&control, &caller, &id, body, false).await
}

/// `POST /v1/approvals/{id}/cancel`.
pub async fn cancel(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let approval = visible(&control, &caller, &id).await?;
    let done = requests::cancel(&control.store, approval.id, caller.0.account.id, caller.0.actor()).await?;
    let approval = done.map_err(|why| undecided(why, &id))?;
    notice::send(&control, &approval, "cancelled");
    Ok(shown(&approval))
}

async fn decide(
    control: &Control,
    caller: &Caller,
    id: &str,
    mut body: Object,
    approves: bool,
) -> Result<Json<Value>, ApiError> {
    let comment = body.text("comment")?.unwrap_or_default();
    let mut problems = Vec::new();
    if comment.chars().count() > LONGEST_COMMENT {
        problems.push(Problem::new("/comment", "too long", format!("at most {LONGEST_COMMENT} characters")));
    }
    for (field, _) in &body.0 {
        problems.push(Problem::new(format!("/{field}"), "unknown field", "`comment`, or nothing"));
    }
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    let approval = visible(control, caller, id).await?;
    let account = &caller.0.account;
    approval.life.may_decide(account.id).or_else(|why| match why {
        // Whether it is over is told by the store, after time has passed.
        Refusal::Own => Err(undecided(Undecided::Refused(why), id)),
        _ => Ok(()),
    })?;
    if !caller.0.may(WRITE, approval.tenant_id) {
        return Err(refused(WRITE));
    }
    if approval.approver_roles.iter().any(|roles| !account.holds_one_of(roles)) {
        return Err(ApiError::forbidden(
            "only accounts with one of the roles that the rule names decide about this request",
        ));
    }
    let token = match caller.0.proof {
        Proof::ApiToken { id, .. } => Some(id),
        _ => None,
    };
    let by = (account.id, token);
    let done = requests::decide(&control.store, approval.id, by, caller.0.actor(), approves, comment).await?;
    let approval = done.map_err(|why| undecided(why, id))?;
    if approval.life.status != Status::Pending {
        notice::send(control, &approval, approval.life.status.word());
    }
    Ok(shown(&approval))
}

/// The request with this id, if it is the caller's own or of a tenant whose requests they may see or decide.
async fn visible(control: &Control, caller: &Caller, id: &str) -> Result<Approval, ApiError> {
    let found = match id.parse::<Id>() {
        Ok(id) => list::get(&control.store, id).await?,
        Err(_) => None,
    };
    let may_see = |approval: &Approval| {
        approval.life.requester == caller.0.account.id
            || caller.0.may(READ, approval.tenant_id)
            || caller.0.may(WRITE, approval.tenant_id)
    };
    found.filter(may_see).ok_or_else(|| undecided(Undecided::NotFound, id))
}

fn undecided(why: Undecided, id: &str) -> ApiError {
    match why {
        Undecided::NotFound => {
            ApiError::not_found(format!("there is no request for approval {id} that this account may see"))
        }
        Undecided::MadeByRequester => ApiError::forbidden(
            "the requester made or changed this service account or its token, and nobody approves a request of their own",
        ),
        Undecided::Refused(Refusal::Own) => {
            ApiError::forbidden("nobody decides about a request of their own; another account must")
        }
        Undecided::Refused(Refusal::NotOwn) => ApiError::forbidden("only its requester can take a request back"),
        Undecided::Refused(Refusal::Twice) => {
            ApiError::conflict("this account has decided about the request already; another one must", Vec::new())
        }
        Undecided::Refused(Refusal::Over(status)) => {
            ApiError::conflict(format!("the request is {} already", status.word()), Vec::new())
        }
    }
}

fn shown(approval: &Approval) -> Json<Value> {
    Json(approval.to_json(clock::now().as_microsecond()))
}

fn read(parameters: HashMap<String, String>) -> Result<Filter, ApiError> {
    let mut filter = Filter { limit: USUAL, ..Filter::default() };
    for (name, value) in parameters {
        match name.as_str() {
            "status" => {
                let wrong = || ApiError::bad_request(format!("`status` is one of {}", Status::words()));
                filter.status = Some(Status::of(&value).ok_or_else(wrong)?);
            }
            "before" => {
                let wrong = |_| ApiError::bad_request("`before` is the id of a request for approval");
                filter.before = Some(value.parse().map_err(wrong)?);
            }
            "limit" => {
                let wrong = || ApiError::bad_request(format!("`limit` goes from 1 to {MOST}"));
                let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                filter.limit = limit.ok_or_else(wrong)?;
            }
            other => {
                return Err(ApiError::bad_request(format!(
                    "unknown query parameter `{other}`; there are status, before, limit and, for all requests, tenant"
                )));
            }
        }
    }
    Ok(filter)
}

async fn page(control: &Control, filter: Filter) -> Result<Response, ApiError> {
    let now = clock::now().as_microsecond();
    let approvals = list::list(&control.store, &filter, now).await?;
    let next = approvals.last().filter(|_| approvals.len() as u64 == filter.limit).map(|last| last.id);
    let items: Vec<Value> = approvals.iter().map(|approval| approval.to_json(now)).collect();
    Ok(Json(json!({ "items": items, "next_before": next })).into_response())
}
