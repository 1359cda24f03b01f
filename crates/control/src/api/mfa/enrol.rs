//! Setting second factors up.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portunus_gateway::problem::Problem;
use serde_json::{Value, json};

use super::forms::{Code, NewCredential, NewFactor};
use super::{InSession, in_fresh_session, method_id, no_host_name, once, refusal, step_up};
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::login::read;
use crate::control::Control;
use crate::mfa::challenge::{self, Purpose};
use crate::mfa::methods::{self, MethodType, NewMethod};
use crate::mfa::passkey::{self, Registered};
use crate::mfa::totp;
use crate::mfa::verify::{Verdict, wrong_registration};

/// `POST /v1/me/mfa/totp`.
pub(super) async fn add_totp(
    State(control): State<Arc<Control>>,
    caller: Caller,
    body: Object,
) -> Result<Response, ApiError> {
    let InSession { person, .. } = in_fresh_session(&caller)?;
    let label = read::<NewFactor>(body)?.label.unwrap_or_else(|| "Authenticator app".to_owned());
    let secret = totp::new_secret();
    let url = totp::url(&secret, &person.name).ok_or_else(ApiError::internal)?;
    let data = control.factors.keys.seal(&secret, totp::PURPOSE);
    let method = NewMethod {
        user: person.id,
        method_type: MethodType::Totp,
        label,
        data,
        credential_id: None,
        is_confirmed: false,
    };
    let added = control.store.transact(|write| Box::pin(methods::add(write.db, method, write.now))).await?;
    let id = added.ok_or_else(too_many)?;
    Ok(once(StatusCode::CREATED, json!({ "id": id, "secret": secret, "otpauth_url": url })))
}

/// `POST /v1/me/mfa/totp/{id}/confirm`.
pub(super) async fn confirm_totp(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Response, ApiError> {
    let InSession { person, session } = in_fresh_session(&caller)?;
    let Code { code } = read(body)?;
    let id = method_id(&id)?;
    let factors = control.factors.clone();
    let confirmed = control
        .store
        .transact(move |mut write| {
            Box::pin(async move {
                let found = methods::of(write.db, person.id).await?.into_iter().find(|method| method.id == id);
                let is_open =
                    found.is_some_and(|method| method.method_type == MethodType::Totp && method.confirmed_at.is_none());
                if !is_open {
                    return Ok(Err(ApiError::not_found("there is no such app that waits for its confirmation")));
                }
                match factors.confirm(&mut write, &person, id, &code).await? {
                    Verdict::Accepted(_) => {
                        *write.accounts_changed = true;
                        write.events.push(person.event("mfa.totp_enrolled").with(json!({ "method_id": id })));
                        step_up::mark(write.db, session, write.now).await?;
                        let method = methods::of(write.db, person.id).await?.into_iter().find(|method| method.id == id);
                        Ok(method.ok_or_else(ApiError::internal))
                    }
                    verdict => Ok(Err(refusal(verdict))),
                }
            })
        })
        .await??;
    Ok(Json(confirmed.shown()).into_response())
}

/// `POST /v1/me/mfa/webauthn`: what the browser is to ask an authenticator for.
pub(super) async fn add_webauthn(
    State(control): State<Arc<Control>>,
    caller: Caller,
    body: Object,
) -> Result<Response, ApiError> {
    let InSession { person, .. } = in_fresh_session(&caller)?;
    let label = read::<NewFactor>(body)?.label.unwrap_or_else(|| "Security key".to_owned());
    let party = control.factors.party.clone().ok_or_else(no_host_name)?;
    let keys = control.factors.keys.clone();
    let (challenge, options) = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                let known = methods::of(write.db, person.id).await?;
                if known.len() as i64 >= methods::MOST {
                    return Ok(Err(too_many()));
                }
                let known: Vec<_> = known.iter().filter_map(|method| passkey::read(&method.data)).collect();
                let Some(question) = party.register(person.id, &person.name, &known) else {
                    return Ok(Err(ApiError::internal()));
                };
                let state = json!({ "label": label, "state": question.state }).to_string();
                let token =
                    challenge::put(write.db, &keys, person.id, Purpose::Registration, &state, write.now).await?;
                Ok(Ok((token, question.options)))
            })
        })
        .await??;
    Ok(once(StatusCode::CREATED, json!({ "challenge": challenge, "options": options })))
}

/// `POST /v1/me/mfa/webauthn/{challenge}/confirm`.
pub(super) async fn confirm_webauthn(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(challenge): Path<String>,
    body: Object,
) -> Result<Response, ApiError> {
    let InSession { person, session } = in_fresh_session(&caller)?;
    let credential = Value::Object(read::<NewCredential>(body)?.credential);
    let party = control.factors.party.clone().ok_or_else(no_host_name)?;
    let keys = control.factors.keys.clone();
    let confirmed = control
        .store
        .transact(move |mut write| {
            Box::pin(async move {
                let taken = challenge::take(write.db, &keys, &challenge, Purpose::Registration, write.now).await?;
                let Some(taken) = taken.filter(|taken| taken.user == person.id) else {
                    return Ok(Err(ApiError::not_found("there is no such challenge, or no more; ask for another one")));
                };
                let state: Value = serde_json::from_str(&taken.state).unwrap_or_default();
                let text = |field: &str| state[field].as_str().unwrap_or_default();
                let Some(Registered { credential_id, data }) = party.registered(&credential, text("state")) else {
                    return Ok(Err(match wrong_registration(&mut write, &person).await? {
                        Verdict::TooMany(seconds) => ApiError::rate_limited(seconds),
                        Verdict::Accepted(_) | Verdict::Refused => wrong_credential(),
                    }));
                };
                let method = NewMethod {
                    user: person.id,
                    method_type: MethodType::Webauthn,
                    label: text("label").to_owned(),
                    data,
                    credential_id: Some(credential_id),
                    is_confirmed: true,
                };
                let Some(id) = methods::add(write.db, method, write.now).await? else { return Ok(Err(too_many())) };
                *write.accounts_changed = true;
                write.events.push(person.event("mfa.webauthn_enrolled").with(json!({ "method_id": id })));
                step_up::mark(write.db, session, write.now).await?;
                let method = methods::of(write.db, person.id).await?.into_iter().find(|method| method.id == id);
                Ok(method.ok_or_else(ApiError::internal))
            })
        })
        .await??;
    Ok((StatusCode::CREATED, Json(confirmed.shown())).into_response())
}

fn too_many() -> ApiError {
    let most = methods::MOST;
    ApiError::conflict(
        format!("there can be {most} second factors, and each credential is registered once; remove one first"),
        Vec::new(),
    )
}

fn wrong_credential() -> ApiError {
    let expected =
        "what navigator.credentials.create gave for the options of this challenge, as its toJSON() writes it";
    ApiError::invalid(vec![Problem::new("/credential", "this credential does not go with the challenge", expected)])
}
