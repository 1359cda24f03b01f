//! `approval`: calls that others must approve first.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName};
use http_body::Body as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body_limit::too_large;
use super::{CompileEnv, Phase, Policy};
use crate::accounts::{MayPass, Origin, Passage, Requester, Terms};
use crate::api_key;
use crate::body::Body;
use crate::error::{PendingApproval, Refusal, Rejection};
use crate::exchange::Exchange;
use crate::problem::Problem;
use crate::record::Record;
use crate::upstream;
use crate::worker::Worker;

/// In which a caller can say why.
const REASON: HeaderName = HeaderName::from_static("x-approval-reason");

/// The most characters of a reason.
const LONGEST_REASON: usize = 500;

/// Lets a call through once others have approved it, one time: the first attempt is refused with 403 and asks for approval.
/// An approval is bound to who calls, method, path, query and body. The caller is an account (by `authorize` on the same
/// route) or a consumer (by key). It is asked for after all other policies have let the call through.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalConfig {
    /// How many accounts must approve.
    #[schemars(range(min = 1, max = 10))]
    pub approvals: u32,
    /// Names of roles, of which an approver must hold one; without any, all accounts with `approval:write` in the API's
    /// tenant may approve. A name that no role has lets nobody approve.
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub approver_roles: Vec<String>,
    /// How many minutes a request waits for its approvals.
    #[schemars(range(min = 1, max = 43_200))]
    pub expires_minutes: u32,
    /// How many minutes an approved call may be made.
    #[schemars(range(min = 1, max = 1440))]
    pub valid_minutes: u32,
    /// The most bytes of a call's body, which is read whole before it is judged.
    #[schemars(range(max = 67_108_864))]
    pub max_body_bytes: u64,
}

impl Default for ApprovalConfig {
    fn default() -> Self {
        Self {
            approvals: 1,
            approver_roles: Vec::new(),
            expires_minutes: 60,
            valid_minutes: 15,
            max_body_bytes: 1_048_576,
        }
    }
}

/// The compiled policy.
pub struct Approval {
    terms: Arc<Terms>,
    max_body_bytes: u64,
}

impl Policy for Approval {
    const PHASE: Phase = Phase::Upstream;
    const EXAMPLE: &'static str =
        "approvals: 2\napprover_roles: [operator]\nexpires_minutes: 60\nvalid_minutes: 10\nmax_body_bytes: 65536\n";
    type Config = ApprovalConfig;

    fn compile(config: &ApprovalConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        let terms = Terms {
            approvals: config.approvals,
            approver_roles: config.approver_roles.clone(),
            expires_minutes: config.expires_minutes,
            valid_minutes: config.valid_minutes,
        };
        Ok(Self { terms: Arc::new(terms), max_body_bytes: config.max_body_bytes })
    }
}

impl Approval {
    /// Reads the body and asks whether the call may be made. It needs the body, and so is no [`Policy::request`].
    pub async fn pass(
        &self,
        worker: &Worker,
        x: &Exchange<'_>,
        body: Body,
        record: &Record,
    ) -> Result<Body, Rejection> {
        let requester = match (&x.account, x.caller) {
            (Some(account), _) => Requester::Account(account.clone()),
            (None, Some(caller)) => Requester::Consumer(caller.consumer.id, caller.consumer.name.clone()),
            (None, None) => {
                let why = "this route needs approval, and with it a caller who is known: an account or a key";
                return Err(Rejection::new(Refusal::MissingIdentity, why));
            }
        };
        let accounts = worker.shared.accounts.as_ref().ok_or(Refusal::IdentityUnavailable)?;
        let limit = x.plan.body_limit.map_or(self.max_body_bytes, |limit| limit.min(self.max_body_bytes));
        let body = whole(body, limit).await?;
        let question = MayPass {
            requester,
            api_id: x.api.id,
            api: x.api.name.to_string(),
            tenant_id: x.api.tenant_id,
            method: x.head.method.to_string(),
            path: x.path.to_owned(),
            query: x.head.uri.query().unwrap_or_default().to_owned(),
            body_sha256: api_key::to_hex(&api_key::hash(&body)),
            reason: reason(&x.head.headers),
            terms: self.terms.clone(),
            origin: Origin { address: x.client_ip, request_id: record.request_id.as_str().to_owned() },
        };
        match accounts.may_pass(question).await {
            Passage::Approved => Ok(Body::Full((!body.is_empty()).then_some(body))),
            Passage::Asked { id, expires_at, needed } => {
                let by = if needed == 1 { "another account".to_owned() } else { format!("{needed} other accounts") };
                let detail = format!(
                    "{by} must approve request {id} until {expires_at}; then repeat the same call, and it is let through once"
                );
                let mut rejection = Rejection::new(Refusal::ApprovalRequired, detail);
                rejection.approval = Some(Box::new(PendingApproval { id, expires_at }));
                Err(rejection)
            }
            Passage::TooMany => Err(Refusal::TooManyApprovals.into()),
            Passage::Unavailable => Err(Refusal::IdentityUnavailable.into()),
        }
    }
}

/// All of a body. Fields after it are no part of what is approved, and go no further.
async fn whole(body: Body, limit: u64) -> Result<Bytes, Rejection> {
    if body.size_hint().exact().is_some_and(|size| size > limit) {
        return Err(too_large(limit));
    }
    let mut body = body.limited(limit);
    let mut bytes = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.poll(cx)).await {
        let frame = frame.map_err(|error| upstream::of_body(&error))?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// What the caller says of it, as far as it is plain text.
fn reason(headers: &HeaderMap) -> String {
    let text = headers.get(REASON).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(LONGEST_REASON).collect()
}
