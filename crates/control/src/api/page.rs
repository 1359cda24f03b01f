//! Pages of a list: by number or by cursor, searched and filtered.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portunus_gateway::kind::{Id, KindInfo};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::store::read::{Filter, Page};

/// The most resources of one page.
pub const MOST: u64 = 100;

const USUAL: u64 = 20;

/// What a list's query asks for.
pub struct Query {
    /// What to read.
    pub filter: Filter,
    page: u64,
    page_size: u64,
    by_cursor: bool,
}

impl Query {
    /// Reads the query of a list of this kind. Unknown parameters are refused: a misspelt filter must not list everything.
    pub fn read(kind: &KindInfo, parameters: HashMap<String, String>) -> Result<Self, ApiError> {
        let (mut page, mut page_size, mut cursor) = (1, USUAL, None);
        let mut filter = Filter::default();
        let schema = (kind.schema)();
        let is_seen = |field: &str| {
            let is_secret = kind.secrets.iter().any(|secret| secret.path.strip_prefix('/') == Some(field));
            !is_secret && !kind.hidden.contains(&field)
        };
        let known: Option<Vec<&str>> = schema
            .schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|known| known.keys().map(String::as_str).filter(|field| is_seen(field)).collect());
        for (name, value) in parameters {
            match name.as_str() {
                "page" => page = number(&name, &value)?,
                "page_size" => page_size = number(&name, &value)?,
                "cursor" => {
                    let known = decode(&value);
                    cursor =
                        Some(known.ok_or_else(|| ApiError::bad_request("`cursor` is not one that a list gave out"))?);
                }
                "q" => filter.search = Some(value),
                field
                    if matches!(field, "id" | "name") || known.as_ref().is_some_and(|known| known.contains(&field)) =>
                {
                    filter.fields.push((name, value));
                }
                other => {
                    let fields = known.as_ref().map(|known| known.join(", ")).unwrap_or_default();
                    return Err(ApiError::bad_request(format!(
                        "unknown query parameter `{other}`; there are page, page_size, cursor, q, id, name, {fields}"
                    )));
                }
            }
        }
        if page == 0 {
            return Err(ApiError::bad_request("`page` counts from 1"));
        }
        if page_size == 0 || page_size > MOST {
            return Err(ApiError::bad_request(format!("`page_size` goes from 1 to {MOST}")));
        }
        filter.after = cursor;
        filter.limit = page_size;
        filter.offset = if cursor.is_some() { 0 } else { (page - 1).saturating_mul(page_size).min(i64::MAX as u64) };
        Ok(Self { filter, page, page_size, by_cursor: cursor.is_some() })
    }

    /// The answer: `{items, total, page, page_size, next_cursor}`.
    pub fn answer(&self, page: &Page, items: &[Map<String, Value>]) -> Value {
        let more = match self.by_cursor {
            true => page.rows.len() as u64 == self.page_size,
            false => self.page.saturating_mul(self.page_size) < page.total,
        };
        let next = page.rows.last().filter(|_| more).map(|row| URL_SAFE_NO_PAD.encode(row.id.as_bytes()));
        json!({ "items": items, "total": page.total, "page": self.page, "page_size": self.page_size, "next_cursor": next })
    }
}

fn number(name: &str, value: &str) -> Result<u64, ApiError> {
    value.parse().map_err(|_| ApiError::bad_request(format!("`{name}` is a number, and {value:?} is not")))
}

fn decode(cursor: &str) -> Option<Id> {
    Id::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
