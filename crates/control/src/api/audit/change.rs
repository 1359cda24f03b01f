//! What may be done to the record: old rows sealed into files, persons erased.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use portunus_gateway::clock;
use portunus_gateway::problem::Problem;
use serde_json::{Value, json};

use super::AUDIT_WRITE;
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::audit::event::NewEvent;
use crate::audit::moment;
use crate::audit::verify::ERASED;
use crate::control::Control;
use crate::store::audit::keep;

/// `POST /v1/audit/seal {"before": ...}`.
pub async fn seal(State(control): State<Arc<Control>>, caller: Caller, body: Object) -> Result<Json<Value>, ApiError> {
    caller.needs_everywhere(AUDIT_WRITE)?;
    let before = only_text(&body, "before", moment::FORMS)?;
    let before = moment::parse(&before, clock::now()).ok_or_else(|| {
        ApiError::invalid(vec![Problem::new("/before", format!("{before:?} is no time"), moment::FORMS)])
    })?;
    control.audit.flush(true).await;
    let sealed = control.audit.seal(before, caller.0.actor()).await?;
    Ok(Json(json!({ "rows": sealed.rows, "segments": sealed.segments })))
}

/// `POST /v1/audit/erase {"person": ...}`.
pub async fn erase(State(control): State<Arc<Control>>, caller: Caller, body: Object) -> Result<Json<Value>, ApiError> {
    caller.needs_everywhere(AUDIT_WRITE)?;
    let person = only_text(&body, "person", "a login name, a consumer's name or an address")?;
    // What is counted and not yet a row may name the person too.
    control.audit.flush(true).await;
    let actor = caller.0.actor();
    let erased = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                if keep::is_in_use(write.db, &person).await? {
                    return Ok(None);
                }
                let erased = keep::erase(write.db, &person).await?;
                write.erased.push(person);
                if erased.pseudonym.is_some() || erased.history > 0 {
                    let mut event = NewEvent::new(actor, ERASED).with(json!({ "history": erased.history }));
                    event.kind = "Person".to_owned();
                    event.resource_name = erased.pseudonym.clone().unwrap_or_default();
                    write.events.push(event);
                }
                Ok(Some(erased))
            })
        })
        .await
        .map_err(ApiError::store)?;
    match erased {
        None => Err(ApiError::conflict(
            "an account or a consumer has this name or mail address; delete it first, or it is recorded again",
            Vec::new(),
        )),
        Some(erased) if erased.pseudonym.is_none() && erased.history == 0 => {
            Err(ApiError::not_found("the record does not know this person"))
        }
        Some(erased) => Ok(Json(json!({ "pseudonym": erased.pseudonym, "history": erased.history }))),
    }
}

/// The one field of a body, which is a text.
fn only_text(body: &Object, field: &str, expected: &str) -> Result<String, ApiError> {
    let mut problems: Vec<Problem> = body
        .0
        .keys()
        .filter(|name| *name != field)
        .map(|name| Problem::new(format!("/{name}"), "there is no such field", format!("only `{field}`")))
        .collect();
    match body.0.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()) {
        Some(text) if problems.is_empty() => Ok(text.to_owned()),
        Some(_) => Err(ApiError::invalid(problems)),
        None => {
            let missing = format!("`{field}` is missing or not a text");
            problems.push(Problem::new(format!("/{field}"), missing, expected.to_owned()));
            Err(ApiError::invalid(problems))
        }
    }
}
