//! `/v1/me/step-up`: showing a second factor again, in a session that has been open for a while.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::Id;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::forms::Factor;
use super::{InSession, in_session, no_host_name, once, refusal};
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::login::read;
use crate::control::Control;
use crate::mfa::challenge::{self, Purpose};
use crate::mfa::methods;
use crate::mfa::passkey;
use crate::mfa::verify::{Person, Verdict};
use crate::store::row::time;

/// `POST /v1/me/step-up`.
pub(super) async fn step_up(
    State(control): State<Arc<Control>>,
    caller: Caller,
    body: Object,
) -> Result<Response, ApiError> {
    let InSession { person, session } = in_session(&caller)?;
    let fresh = caller.0.account.second_factor.fresh;
    let shown = read::<Factor>(body)?.shown()?;
    let factors = control.factors.clone();
    let now = control
        .store
        .transact(move |mut write| {
            Box::pin(async move {
                match factors.verify(&mut write, &person, &shown, Purpose::StepUpAssertion).await? {
                    Verdict::Accepted(method) => {
                        mark(write.db, session, write.now).await?;
                        let details = json!({ "session_id": session, "method": method });
                        write.events.push(person.event("session.stepped_up").with(details));
                        Ok(Ok(write.now))
                    }
                    verdict => Ok(Err(refusal(verdict))),
                }
            })
        })
        .await??;
    Ok(Json(json!({ "stepped_up_at": time(now), "fresh_until": time(now + fresh) })).into_response())
}

/// `POST /v1/me/step-up/webauthn-options`: what the browser is to ask an authenticator for.
pub(super) async fn webauthn_options(
    State(control): State<Arc<Control>>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let InSession { person, .. } = in_session(&caller)?;
    let question = ask(&control, person, Purpose::StepUpAssertion).await?;
    Ok(once(StatusCode::OK, question))
}

/// A challenge for the authenticators of a person.
pub(super) async fn ask(control: &Control, person: Person, purpose: Purpose) -> Result<Value, ApiError> {
    let party = control.factors.party.clone().ok_or_else(no_host_name)?;
    let keys = control.factors.keys.clone();
    let (challenge, options) = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                let known = methods::of(write.db, person.id).await?;
                let known: Vec<_> = known.iter().filter_map(|method| passkey::read(&method.data)).collect();
                if known.is_empty() {
                    return Ok(Err(ApiError::conflict("there is no WebAuthn credential to ask for", Vec::new())));
                }
                let Some(question) = party.ask(&known) else { return Ok(Err(ApiError::internal())) };
                let token = challenge::put(write.db, &keys, person.id, purpose, &question.state, write.now).await?;
                Ok(Ok((token, question.options)))
            })
        })
        .await??;
    Ok(json!({ "challenge": challenge, "options": options }))
}

/// Notes in the session that its person has shown a factor.
pub(super) async fn mark(db: &mut SqliteConnection, session: Id, now: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE session SET stepped_up_at = $1 WHERE id = $2 AND revoked_at IS NULL")
        .bind(now)
        .bind(session.to_string())
        .execute(db)
        .await?;
    Ok(())
}
