//! Requests for approval in the store. Each step is one piece of work of the writer, so steps that come at once are
//! taken one after the other, and what an event tells and what the tables say are written together.

use portunus_gateway::kind::Id;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::Call;
use super::life::{Life, Refusal, Status};
use super::row::{Approval, Decision, find, of_call};
use crate::audit::event::Actor;
use crate::store::state::StateWrite;
use crate::store::{Store, StoreError};

/// The most requests of one requester that wait at once.
pub const MOST_PENDING: i64 = 100;

/// What an approval must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The rules that ask for it.
    pub rules: Vec<Id>,
    /// An approver has a role of each of these lists.
    pub approver_roles: Vec<Vec<Id>>,
    /// How many must approve.
    pub needed: u32,
    /// How long the request waits.
    pub expires_seconds: i64,
    /// How long the call may be made afterwards.
    pub valid_seconds: i64,
}

/// A request that is to be made.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// The tenant in which it is approved.
    pub tenant_id: Id,
    /// Who asks: the id of an account or a consumer.
    pub requester_id: Id,
    /// The same for the record.
    pub actor: Actor,
    /// The permissions that the call uses; empty on a proxied route.
    pub permission: String,
    /// The API's name on a proxied route.
    pub api: String,
    /// The call.
    pub call: Call,
    /// Why, in the requester's words.
    pub reason: String,
    /// What the approval must have.
    pub terms: Terms,
}

/// Why a request is not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// There is no such request.
    NotFound,
    /// The rules of its life.
    Refused(Refusal),
    /// The requester made or changed the service account or the API token that would decide.
    MadeByRequester,
}

/// Asks for approval of a call; an open request for the same call is taken instead of a second one, and then the flag is
/// false. `None` when too many requests of this requester wait already.
pub async fn ask(store: &Store, request: NewRequest) -> Result<Option<(Approval, bool)>, StoreError> {
    store.transact(move |write| Box::pin(insert(write, request))).await
}

async fn insert(write: StateWrite<'_>, request: NewRequest) -> sqlx::Result<Option<(Approval, bool)>> {
    let StateWrite { db, events, now, .. } = write;
    let digest = request.call.digest();
    if let Some(mut open) = of_call(db, request.requester_id, &digest).await? {
        if open.life.age(now) {
            open.end(db, events, Actor::system("approvals"), now).await?;
        } else if open.satisfies(&request.terms) {
            return Ok(Some((open, false)));
        } else {
            // A rule has become stricter, or another one holds now: what was asked for would not be enough.
            open.life.status = Status::Cancelled;
            open.end(db, events, Actor::system("approvals"), now).await?;
        }
    }
    let pending: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM approval WHERE requester_id = $1 AND status = 'pending' AND expires_at > $2",
    )
    .bind(request.requester_id.to_string())
    .bind(now)
    .fetch_one(&mut *db)
    .await?;
    if pending >= MOST_PENDING {
        return Ok(None);
    }
    let approval = Approval {
        id: Uuid::now_v7(),
        tenant_id: request.tenant_id,
        requester: request.actor.label(),
        via: request.actor.via.clone(),
        door: request.call.door.word().to_owned(),
        permission: request.permission,
        api: request.api,
        method: request.call.method,
        path: request.call.path,
        query: request.call.query,
        body_sha256: request.call.body_sha256,
        reason: request.reason,
        rules: request.terms.rules,
        approver_roles: request.terms.approver_roles,
        created_at: now,
        ended_at: None,
        life: Life {
            requester: request.requester_id,
            needed: request.terms.needed as usize,
            status: Status::Pending,
            expires_at: now.saturating_add(request.terms.expires_seconds.saturating_mul(1_000_000)),
            valid_for: request.terms.valid_seconds.saturating_mul(1_000_000),
            approved_until: None,
            decided: Vec::new(),
        },
        decisions: Vec::new(),
    };
    approval.insert(db, &digest).await?;
    events.push(approval.event(request.actor, "requested"));
    Ok(Some((approval, true)))
}

/// Decides about a request on behalf of an account, by whatever token of it.
pub async fn decide(
    store: &Store,
    id: Id,
    (by, token): (Id, Option<Id>),
    actor: Actor,
    approves: bool,
    comment: String,
) -> Result<Result<Approval, Undecided>, StoreError> {
    store
        .transact(move |write| {
            Box::pin(async move {
                let StateWrite { db, events, now, .. } = write;
                let Some(mut approval) = find(db, id).await? else { return Ok(Err(Undecided::NotFound)) };
                if approval.life.age(now) {
                    approval.end(db, events, Actor::system("approvals"), now).await?;
                }
                if was_made_by(db, by, token, &approval.requester).await? {
                    return Ok(Err(Undecided::MadeByRequester));
                }
                let done = match approves {
                    true => approval.life.approve(by, now),
                    false => approval.life.reject(by, now),
                };
                if let Err(refusal) = done {
                    return Ok(Err(Undecided::Refused(refusal)));
                }
                let decision = Decision { account_id: by, account: actor.label(), approves, comment, at: now };
                decision.insert(db, id).await?;
                approval.decisions.push(decision);
                if approval.life.status != Status::Pending {
                    approval.update(db, now).await?;
                }
                events.push(approval.event(actor, if approves { "approved" } else { "rejected" }));
                Ok(Ok(approval))
            })
        })
        .await
}

/// Takes a request back.
pub async fn cancel(store: &Store, id: Id, by: Id, actor: Actor) -> Result<Result<Approval, Undecided>, StoreError> {
    store
        .transact(move |write| {
            Box::pin(async move {
                let StateWrite { db, events, now, .. } = write;
                let Some(mut approval) = find(db, id).await? else { return Ok(Err(Undecided::NotFound)) };
                if approval.life.age(now) {
                    approval.end(db, events, Actor::system("approvals"), now).await?;
                }
                match approval.life.cancel(by, now) {
                    Err(refusal) => Ok(Err(Undecided::Refused(refusal))),
                    Ok(()) => {
                        approval.end(db, events, actor, now).await?;
                        Ok(Ok(approval))
                    }
                }
            })
        })
        .await
}

/// Uses the approval of this call, if there is one: from now on it is spent. Gives the rules that it satisfies.
pub async fn consume(store: &Store, by: Id, actor: Actor, digest: String) -> Result<Option<Vec<Id>>, StoreError> {
    let approved: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM approval WHERE requester_id = $1 AND digest = $2 AND status = 'approved')",
    )
    .bind(by.to_string())
    .bind(&digest)
    .fetch_one(store.readers())
    .await?;
    if !approved {
        return Ok(None);
    }
    store
        .transact(move |write| {
            Box::pin(async move {
                let StateWrite { db, events, now, .. } = write;
                let Some(mut approval) = of_call(db, by, &digest).await? else { return Ok(None) };
                match approval.life.consume(by, now) {
                    Ok(()) => {
                        approval.end(db, events, actor, now).await?;
                        Ok(Some(approval.rules))
                    }
                    Err(Refusal::Over(Status::Expired)) => {
                        approval.end(db, events, Actor::system("approvals"), now).await?;
                        Ok(None)
                    }
                    Err(_) => Ok(None),
                }
            })
        })
        .await
}

/// Whether this is a service account or an API token that the requester made or changed, so that they may know its
/// secret.
async fn was_made_by(db: &mut SqliteConnection, account: Id, token: Option<Id>, requester: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM history WHERE id IN ($1, $2) AND kind IN ('ServiceAccount', 'ApiToken') AND actor = $3)",
    )
    .bind(account.to_string())
    .bind(token.map(|token| token.to_string()))
    .bind(requester)
    .fetch_one(db)
    .await
}
