//! What proxied routes ask of the control plane: whose credential this is, and whether a call is approved.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use portunus_gateway::accounts::{Account, Accounts, MayPass, Passage, Requester, Stranger, WhoIs};
use portunus_gateway::kind::Id;
use tokio::runtime::Handle;

use crate::access::AccountKind;
use crate::api::identify::identify_credential;
use crate::approval::requests::{self, NewRequest, Terms};
use crate::approval::{Call, Door};
use crate::audit::event::{Actor, ActorKind};
use crate::control::Control;
use crate::principal::Origin;
use crate::store::StoreError;

/// The control plane, asked from the threads of the data plane. The work is done on its own threads.
pub struct ControlAccounts {
    control: Arc<Control>,
    runtime: Handle,
}

impl ControlAccounts {
    /// The accounts of this control plane, which runs on this runtime.
    pub fn new(control: Arc<Control>, runtime: Handle) -> Self {
        Self { control, runtime }
    }
}

impl Accounts for ControlAccounts {
    fn who_is(&self, question: WhoIs) -> BoxFuture<'static, Result<Arc<Account>, Stranger>> {
        let control = self.control.clone();
        let answer = self.runtime.spawn(async move { who_is(&control, &question).await });
        Box::pin(async move { answer.await.unwrap_or(Err(Stranger::Unavailable)) })
    }

    fn may_pass(&self, question: MayPass) -> BoxFuture<'static, Passage> {
        let control = self.control.clone();
        let answer = self.runtime.spawn(async move { may_pass(&control, question).await });
        Box::pin(async move {
            match answer.await {
                Ok(Ok(passage)) => passage,
                Ok(Err(error)) => {
                    tracing::error!(target: "control", error = %error, "database_connection_failed");
                    Passage::Unavailable
                }
                Err(_) => Passage::Unavailable,
            }
        })
    }
}

async fn who_is(control: &Control, question: &WhoIs) -> Result<Arc<Account>, Stranger> {
    let origin = Origin { address: Some(question.origin.address), request_id: question.origin.request_id.clone() };
    let principal =
        identify_credential(control, &question.credential, &origin).await.map_err(|error| match error.status {
            StatusCode::SERVICE_UNAVAILABLE => Stranger::Unavailable,
            _ => Stranger::Invalid(error.detail),
        })?;
    let access = control.store.access.load();
    let found = &principal.account;
    let acts = found.acts_in(question.tenant_id, access.platform);
    let wanted: Vec<Id> =
        question.roles.iter().filter_map(|name| access.role_named(name, question.tenant_id)).collect();
    let account = Arc::new(Account {
        id: found.id,
        label: principal.actor().label(),
        name: found.name.clone(),
        is_person: found.kind == AccountKind::User,
        via: principal.proof.label(),
        roles: if acts { found.roles.iter().map(|held| held.name.clone()).collect() } else { Vec::new() },
    });
    match acts && (question.roles.is_empty() || found.holds_one_of(&wanted)) {
        true => Ok(account),
        false => Err(Stranger::Role(account)),
    }
}

async fn may_pass(control: &Control, question: MayPass) -> Result<Passage, StoreError> {
    let (requester_id, actor) = requester(&question);
    let call = Call {
        door: Door::Gateway,
        api_id: question.api_id.to_string(),
        method: question.method,
        path: question.path,
        query: question.query,
        body_sha256: question.body_sha256,
        cleared: Vec::new(),
    };
    if requests::consume(&control.store, requester_id, actor.clone(), call.digest()).await?.is_some() {
        return Ok(Passage::Approved);
    }
    let access = control.store.access.load_full();
    let terms = &question.terms;
    // A name that no role has is kept as the id that nobody has, so that it lets nobody approve.
    let roles: Vec<Id> = terms
        .approver_roles
        .iter()
        .map(|name| access.role_named(name, question.tenant_id).unwrap_or_default())
        .collect();
    let request = NewRequest {
        tenant_id: question.tenant_id,
        requester_id,
        actor,
        permission: String::new(),
        api: question.api,
        call,
        reason: question.reason,
        terms: Terms {
            rules: Vec::new(),
            approver_roles: if roles.is_empty() { Vec::new() } else { vec![roles] },
            needed: terms.approvals,
            expires_seconds: 60 * i64::from(terms.expires_minutes),
            valid_seconds: 60 * i64::from(terms.valid_minutes),
        },
    };
    Ok(match requests::ask(&control.store, request).await? {
        Some((approval, _)) => Passage::Asked {
            id: approval.id,
            expires_at: Timestamp::from_microsecond(approval.life.expires_at).unwrap_or(Timestamp::MAX),
            needed: approval.life.needed,
        },
        None => Passage::TooMany,
    })
}

/// Who asks, for the record.
fn requester(question: &MayPass) -> (Id, Actor) {
    let (id, kind, name, via) = match &question.requester {
        Requester::Account(account) => {
            let kind = if account.is_person { ActorKind::User } else { ActorKind::ServiceAccount };
            (account.id, kind, account.name.clone(), account.via.clone())
        }
        Requester::Consumer(id, name) => (*id, ActorKind::Consumer, name.to_string(), "api-key".to_owned()),
    };
    let address = Some(question.origin.address);
    (id, Actor { kind, id: Some(id), name, via, address, request_id: question.origin.request_id.clone() })
}
