//! `/v1/me/mfa`: the second factors of the person who calls.

mod enrol;
pub mod forms;
pub mod login;
mod step_up;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::ApiError;
use super::routes::{Needs, Routes};
use crate::control::Control;
use crate::login::session;
use crate::mfa::backup;
use crate::mfa::challenge;
use crate::mfa::methods::{self, Method};
use crate::mfa::verify::{Person, Verdict};
use crate::store::row::Row;

/// The routes.
pub fn routes() -> Routes {
    const OWN: Needs = Needs::Account("the second factors of the person who calls");
    Routes::default()
        .get("/v1/me/mfa", OWN, list)
        .post("/v1/me/mfa/totp", OWN, enrol::add_totp)
        .post("/v1/me/mfa/totp/{id}/confirm", OWN, enrol::confirm_totp)
        .post("/v1/me/mfa/webauthn", OWN, enrol::add_webauthn)
        .post("/v1/me/mfa/webauthn/{challenge}/confirm", OWN, enrol::confirm_webauthn)
        .post("/v1/me/mfa/backup-codes", OWN, backup_codes)
        .delete("/v1/me/mfa/{id}", OWN, remove)
        .post("/v1/me/step-up", OWN, step_up::step_up)
        .post("/v1/me/step-up/webauthn-options", OWN, step_up::webauthn_options)
        .post("/v1/login/mfa", Needs::Nothing("it takes the second factor itself"), login::complete)
        .post(
            "/v1/login/mfa/webauthn-options",
            Needs::Nothing("it takes the token that a right password gave"),
            login::webauthn_options,
        )
}

/// A person in a session, the only one who may look after their factors: what a token could do here, its thief could.
struct InSession {
    person: Person,
    session: Id,
}

/// The person who calls, in their session.
fn in_session(caller: &Caller) -> Result<InSession, ApiError> {
    let session = caller.0.proof.session().filter(|_| caller.0.is_person());
    let session = session.ok_or_else(|| {
        ApiError::forbidden("this is for people who are logged in; machines and API tokens have no second factors")
    })?;
    Ok(InSession { person: Person::new(&caller.0.account, caller.0.actor()), session })
}

/// Like [`in_session`], of a person who has shown a factor lately, if they have any.
fn in_fresh_session(caller: &Caller) -> Result<InSession, ApiError> {
    let in_session = in_session(caller)?;
    let account = &caller.0.account;
    if account.second_factor.has_one && account.must_step_up(caller.0.stepped_up_at, clock::now().as_microsecond()) {
        return Err(ApiError::step_up_required(account.second_factor.fresh));
    }
    Ok(in_session)
}

/// `GET /v1/me/mfa`.
async fn list(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    let InSession { person, .. } = in_session(&caller)?;
    let mut db = control.store.readers().acquire().await?;
    let found = methods::of(&mut db, person.id).await?;
    let left = backup::left(&mut db, person.id).await?;
    let items: Vec<_> = found.iter().map(Method::shown).collect();
    let factor = caller.0.account.second_factor;
    Ok(Json(json!({
        "total": items.len(),
        "items": items,
        "backup_codes_left": left,
        "must_have_one": factor.must_have_one,
    }))
    .into_response())
}

/// `POST /v1/me/mfa/backup-codes`.
async fn backup_codes(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    let InSession { person, .. } = in_fresh_session(&caller)?;
    if !caller.0.account.second_factor.has_one {
        return Err(ApiError::conflict("backup codes stand in for another factor; set one up first", Vec::new()));
    }
    let codes = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                let codes = backup::renew(write.db, person.id).await?;
                write.events.push(person.event("mfa.backup_codes_made").with(json!({ "codes": codes.len() })));
                Ok(codes)
            })
        })
        .await?;
    Ok(once(StatusCode::CREATED, json!({ "codes": codes })))
}

/// `DELETE /v1/me/mfa/{id}`.
async fn remove(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let InSession { person, .. } = in_fresh_session(&caller)?;
    let id = method_id(&id)?;
    let must_have_one = caller.0.account.second_factor.must_have_one;
    control
        .store
        .transact(move |write| {
            Box::pin(async move {
                let known = methods::of(write.db, person.id).await?;
                let Some(method) = known.iter().find(|method| method.id == id) else {
                    return Ok(Err(ApiError::not_found("you have no such second factor")));
                };
                let others = known.iter().filter(|other| other.id != id && other.confirmed_at.is_some()).count();
                if others == 0 && must_have_one && method.confirmed_at.is_some() {
                    let detail = "your account must have a second factor; set another one up before you remove this";
                    return Ok(Err(ApiError::conflict(detail, Vec::new())));
                }
                methods::remove(write.db, person.id, id).await?;
                if others == 0 {
                    backup::forget(write.db, person.id).await?;
                }
                *write.accounts_changed = true;
                let details = json!({ "method_id": id, "method": method.method_type });
                write.events.push(person.event("mfa.removed").with(details));
                Ok(Ok(()))
            })
        })
        .await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/tenants/{tenant}/users/{id}/reset-mfa`: for somebody who has lost their factors.
pub async fn reset(control: &Control, caller: &Caller, row: &Row) -> Result<Response, ApiError> {
    let person = Person { id: row.id, tenant_id: row.tenant_id, name: row.name.clone(), actor: caller.0.actor() };
    let done = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                let removed = methods::remove_all(write.db, person.id).await?;
                backup::forget(write.db, person.id).await?;
                challenge::forget(write.db, person.id).await?;
                let sessions =
                    session::end_all_in(write.db, person.id, None, "second factors reset", write.now).await?;
                session::raise_generation_in(write.db, person.id).await?;
                *write.accounts_changed = true;
                let done = json!({ "removed": removed, "sessions": sessions });
                write.events.push(person.event("mfa.reset").with(done.clone()));
                Ok(done)
            })
        })
        .await?;
    Ok(Json(done).into_response())
}

/// What a verdict that is no acceptance is answered with.
fn refusal(verdict: Verdict) -> ApiError {
    match verdict {
        Verdict::TooMany(seconds) => ApiError::rate_limited(seconds),
        Verdict::Accepted(_) | Verdict::Refused => ApiError::second_factor_refused(),
    }
}

/// WebAuthn cannot be had with what the operator set.
fn no_host_name() -> ApiError {
    ApiError::conflict(
        "WebAuthn needs a host name, which PORTUNUS_PUBLIC_URL does not have: set it to the address that browsers use",
        Vec::new(),
    )
}

/// An answer with what is shown this once.
fn once(status: StatusCode, body: Value) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn method_id(text: &str) -> Result<Id, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("you have no such second factor"))
}
