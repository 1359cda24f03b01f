//! An event as people read it: names in the place of pseudonyms, and texts for who and what.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::chain::ChainRow;
use crate::store::row::time;

/// What stands for somebody who was erased.
pub const ERASED_PERSON: &str = "erased person";

/// What pseudonyms stand for; `None` for what was erased.
pub type Names = HashMap<String, Option<String>>;

/// A text of a row, or what it stands for.
fn name<'a>(text: &'a str, names: &'a Names) -> &'a str {
    match names.get(text) {
        Some(Some(name)) => name,
        Some(None) => ERASED_PERSON,
        None => text,
    }
}

/// Who did it.
pub fn user(row: &ChainRow, names: &Names) -> String {
    match (name(&row.actor, names), row.actor_kind.as_str()) {
        ("", kind) => kind.to_owned(),
        (name, _) => name.to_owned(),
    }
}

/// What it was done to: the kind and the name.
pub fn resource(row: &ChainRow, names: &Names) -> String {
    let what = match name(&row.resource_name, names) {
        "" => row.resource_id.as_str(),
        name => name,
    };
    [row.kind.as_str(), what].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The event as JSON, for lists.
pub fn log(row: &ChainRow, names: &Names) -> Value {
    let mut log = Map::new();
    let mut put = |field: &str, value: Value| drop(log.insert(field.to_owned(), value));
    put("sequence", row.sequence.into());
    put("created_at", time(row.at).into());
    put("action", row.action.as_str().into());
    put("resource", resource(row, names).into());
    put("user", user(row, names).into());
    put("outcome", row.outcome.as_str().into());
    put("reason", row.reason.as_str().into());
    put("count", row.count.into());
    put("tenant_id", row.tenant_id.as_str().into());
    put("actor_kind", row.actor_kind.as_str().into());
    put("actor_id", row.actor_id.as_str().into());
    put("via", row.via.as_str().into());
    put("client_address", name(&row.client, names).into());
    put("request_id", row.request_id.as_str().into());
    put("kind", row.kind.as_str().into());
    put("resource_id", row.resource_id.as_str().into());
    put("resource_name", name(&row.resource_name, names).into());
    put("details", serde_json::from_str(&row.details).unwrap_or_default());
    put("store_revision", row.store_revision.into());
    put("hash", row.hash.as_str().into());
    Value::Object(log)
}

/// The columns that an export puts beside those of the chain.
pub const READABLE: [&str; 4] = ["created_at", "user", "resource", "client_address"];

/// Their values.
pub fn readable(row: &ChainRow, names: &Names) -> [String; 4] {
    [time(row.at), user(row, names), resource(row, names), name(&row.client, names).to_owned()]
}
