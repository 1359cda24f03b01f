//! What the query of a list or an export asks for.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use portunus_gateway::clock;

use crate::api::error::ApiError;
use crate::audit::moment;
use crate::store::audit::query::EventFilter;

/// How events can end.
const OUTCOMES: [&str; 3] = ["success", "denied", "failed"];

/// The filters, for messages.
const FILTERS: &str = "user, action, event_type, resource, status, since, until, hours";

/// Takes the filters out of a query. What is left are the parameters that the caller knows.
pub(super) fn filter(parameters: &mut HashMap<String, String>) -> Result<EventFilter, ApiError> {
    let now = clock::now();
    let time = |name: &str, text: &str| {
        moment::parse(text, now)
            .ok_or_else(|| ApiError::bad_request(format!("`{name}` is {}, and {text:?} is not", moment::FORMS)))
    };
    let mut filter = EventFilter {
        user: parameters.remove("user"),
        action: parameters.remove("action"),
        resource: parameters.remove("resource"),
        ..EventFilter::default()
    };
    if let Some(event_type) = parameters.remove("event_type") {
        filter.action.get_or_insert(event_type);
    }
    for name in ["status", "outcome"] {
        if let Some(status) = parameters.remove(name) {
            if !OUTCOMES.contains(&status.as_str()) {
                let message = format!("`{name}` is success, denied or failed, and {status:?} is not");
                return Err(ApiError::bad_request(message));
            }
            filter.outcome = Some(status);
        }
    }
    if let Some(hours) = parameters.remove("hours") {
        let parsed = hours.parse::<u32>().ok();
        let since = parsed.and_then(|hours| now.checked_sub(SignedDuration::from_hours(hours.into())).ok());
        let since = since.ok_or_else(|| ApiError::bad_request(format!("`hours` is a number, and {hours:?} is not")))?;
        filter.since = Some(since.as_microsecond());
    }
    if let Some(since) = parameters.remove("since") {
        filter.since = Some(time("since", &since)?);
    }
    if let Some(until) = parameters.remove("until") {
        filter.until = Some(time("until", &until)?);
    }
    Ok(filter)
}

/// Takes a number out of a query.
pub(super) fn number(
    parameters: &mut HashMap<String, String>,
    name: &str,
    usual: u64,
    most: u64,
) -> Result<u64, ApiError> {
    let Some(text) = parameters.remove(name) else { return Ok(usual) };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(ApiError::bad_request(format!("`{name}` goes from 1 to {most}, and {text:?} does not"))),
    }
}

/// Refuses what is left of a query: a misspelt filter must not list everything.
pub(super) fn nothing_else(parameters: &HashMap<String, String>, known: &str) -> Result<(), ApiError> {
    match parameters.keys().next() {
        Some(name) => {
            Err(ApiError::bad_request(format!("unknown query parameter `{name}`; there are {known}, {FILTERS}")))
        }
        None => Ok(()),
    }
}

/// The cursor after this row.
pub(super) fn cursor(sequence: u64) -> String {
    URL_SAFE_NO_PAD.encode(sequence.to_be_bytes())
}

/// The row that a cursor names.
pub(super) fn sequence(cursor: &str) -> Result<u64, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    match bytes.map(u64::from_be_bytes).filter(|sequence| i64::try_from(*sequence).is_ok()) {
        Some(sequence) => Ok(sequence),
        None => Err(ApiError::bad_request("`cursor` is not one that a list gave out")),
    }
}
