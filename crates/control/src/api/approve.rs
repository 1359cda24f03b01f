//! Stops calls that need approval, and lets an approved one through, once.
//!
//! An approval is spent before the handler runs, whatever the handler answers: a call that is refused has been made. What
//! a change of resources touches is only known in the store's writer, which refuses it in turn; here the refusal becomes
//! a request for approval.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use portunus_gateway::kind::Id;

use super::error::ApiError;
use super::routes::Needs;
use crate::access::{OTHER_NOUNS, Permission};
use crate::approval::requests::{self, MOST_PENDING, NewRequest};
use crate::approval::rules::Needed;
use crate::approval::{Call, Door, body_sha256, notice};
use crate::control::Control;
use crate::principal::Principal;
use crate::resource;

/// In which a requester can say why.
const REASON: HeaderName = HeaderName::from_static("x-approval-reason");

/// The most characters of a reason.
const LONGEST_REASON: usize = 500;

/// The most bytes of a call that can be approved: what the largest call takes.
const LARGEST: usize = 64 * 1024 * 1024;

/// What is known of a call from its route alone.
pub struct Asked<'a> {
    /// What the route needs.
    pub needs: Needs,
    /// The permission that it comes to.
    pub permission: Option<Permission>,
    /// The tenant in its path.
    pub tenant: Option<&'a str>,
    /// Whether it does something to a resource besides changing its fields.
    pub is_action: bool,
}

impl Asked<'_> {
    /// The permission that the call uses, and where. Changes of resources are left to the store's writer, which asks
    /// after everything else is found to be right; what works on other state passes no other door than this.
    async fn uses(&self, control: &Control, principal: &Principal) -> sqlx::Result<Option<(Permission, Id)>> {
        let by_writer = matches!(self.needs, Needs::Kind(_)) && !self.is_action;
        let Some(permission) = self.permission.filter(|_| !by_writer) else { return Ok(None) };
        let platform = control.store.access.load().platform.unwrap_or_default();
        let tenant_id = match self.tenant {
            Some(tenant) => {
                let kind = resource::by_kind("Tenant").expect("the kind Tenant is in the list");
                control.store.find(kind, None, tenant).await?.map_or(platform, |row| row.id)
            }
            None if OTHER_NOUNS.iter().any(|(noun, _)| *noun == permission.noun) => principal.account.tenant_id,
            None => platform,
        };
        Ok(Some((permission, tenant_id)))
    }
}

/// Runs the handler, unless the call needs an approval that it does not have.
pub async fn stop(
    control: &Control,
    principal: &Principal,
    asked: Asked<'_>,
    request: Request,
    next: Next,
) -> Response {
    let access = control.store.access.load_full();
    if request.method().is_safe() || access.approval_rules.is_empty() {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else {
        return ApiError::too_large("the body broke off, or is larger than any call takes").into_response();
    };
    let mut call = Call {
        door: Door::Control,
        api_id: String::new(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body_sha256: body_sha256(&bytes),
        cleared: Vec::new(),
    };
    let reason = reason(&parts.headers);
    let (by, actor) = (principal.account.id, principal.actor());
    match requests::consume(&control.store, by, actor, call.digest()).await {
        Ok(cleared) => call.cleared = cleared.unwrap_or_default(),
        Err(error) => return ApiError::from(error).into_response(),
    }
    let uses = match asked.uses(control, principal).await {
        Ok(uses) => uses,
        Err(error) => return ApiError::from(error).into_response(),
    };
    if let Some(needed) = Needed::of(&access.approval_rules, access.platform, uses, &call.cleared) {
        return ask(control, principal, call, needed, reason).await.into_response();
    }
    parts.extensions.insert(Arc::new(call.clone()));
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    match response.extensions().get::<ApiError>().and_then(|error| error.needs_approval.clone()) {
        Some(needed) => ask(control, principal, call, Arc::unwrap_or_clone(needed), reason).await.into_response(),
        None => response,
    }
}

/// Makes the request for approval, and the refusal that names it.
async fn ask(control: &Control, principal: &Principal, call: Call, mut needed: Needed, reason: String) -> ApiError {
    // An approval that was not enough is spent; the next one is to be enough.
    let access = control.store.access.load();
    needed.rules.extend(call.cleared.iter().filter_map(|id| access.approval_rules.get(*id)).cloned());
    let request = NewRequest {
        tenant_id: needed.tenant_id,
        requester_id: principal.account.id,
        actor: principal.actor(),
        permission: needed.permissions.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        api: String::new(),
        call,
        reason,
        terms: needed.terms(),
    };
    match requests::ask(&control.store, request).await {
        Ok(Some((approval, is_new))) => {
            if is_new {
                notice::send(control, &approval, "requested");
            }
            let expires_at = Timestamp::from_microsecond(approval.life.expires_at).unwrap_or(Timestamp::MAX);
            ApiError::approval_asked(approval.id, expires_at, approval.life.needed)
        }
        Ok(None) => ApiError::conflict(
            format!("{MOST_PENDING} requests of this account wait for approval already; cancel some of them"),
            Vec::new(),
        ),
        Err(error) => error.into(),
    }
}

/// What the requester says of it, as far as it is plain text.
fn reason(headers: &HeaderMap) -> String {
    let text = headers.get(REASON).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(LONGEST_REASON).collect()
}
