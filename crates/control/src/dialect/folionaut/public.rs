//! What everybody may read: published pages, with entity tags.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portunus_gateway::api_key;
use serde_json::{Map, Value, json};

use super::{item, kind};
use crate::api::error::ApiError;
use crate::bootstrap::DEFAULT_TENANT;
use crate::control::Control;
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;

/// The most pages of one answer; Folionaut has no paging here.
const MOST: u64 = 10_000;

type Parameters = Query<HashMap<String, String>>;

/// The published pages of the tenant that the query names, else of the first one, as lists have them.
async fn published(
    control: &Control,
    query: &HashMap<String, String>,
    only: &[(&str, &str)],
) -> Result<Vec<Row>, ApiError> {
    let name = query.get("tenant").map_or(DEFAULT_TENANT, String::as_str);
    let tenants = resource::by_kind("Tenant").expect("the kind Tenant is in the list");
    let Some(tenant) = control.store.find(tenants, None, name).await? else { return Ok(Vec::new()) };
    let mut fields = vec![("status".to_owned(), "published".to_owned())];
    fields.extend(only.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())));
    let filter = Filter { tenants: Some(vec![tenant.id]), fields, limit: MOST, ..Filter::default() };
    let mut rows = control.store.list(kind(), &filter).await?.rows;
    rows.sort_by_key(|row| (row.spec["sort_order"].as_i64(), Reverse(row.created_at)));
    Ok(rows)
}

/// `GET /api/v1/content?type`.
pub async fn list(
    State(control): State<Arc<Control>>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let only: Vec<(&str, &str)> = query.get("type").map(|value| ("content_type", value.as_str())).into_iter().collect();
    let rows = published(&control, &query, &only).await?;
    Ok(answer(&json!({ "data": rows.iter().map(item).collect::<Vec<_>>() }), 60, &headers))
}

/// `GET /api/v1/content/bundle`: every page, by type.
pub async fn bundle(
    State(control): State<Arc<Control>>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut types: Map<String, Value> = Map::new();
    for row in published(&control, &query, &[]).await? {
        let page_type = row.spec["content_type"].as_str().unwrap_or_default().to_owned();
        let pages = types.entry(page_type).or_insert_with(|| json!([]));
        pages.as_array_mut().expect("every type has a list").push(item(&row));
    }
    Ok(answer(&json!({ "data": types }), 300, &headers))
}

/// `GET /api/v1/content/{type}/{slug}`.
pub async fn get(
    State(control): State<Arc<Control>>,
    Path((page_type, slug)): Path<(String, String)>,
    Query(query): Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let rows = published(&control, &query, &[("content_type", &page_type), ("slug", &slug)]).await?;
    let row = rows.first().ok_or_else(|| ApiError::not_found("Content not found"))?;
    Ok(answer(&json!({ "data": item(row) }), 300, &headers))
}

/// The answer with its tag, or that the caller has it already.
fn answer(value: &Value, max_age: u32, headers: &HeaderMap) -> Response {
    let text = value.to_string();
    let tag = format!("W/\"{}\"", &api_key::to_hex(&api_key::hash(text.as_bytes()))[..32]);
    let mut response = match is_known(headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(CONTENT_TYPE, "application/json")], text).into_response(),
    };
    let fields = [(ETAG, tag), (CACHE_CONTROL, format!("public, max-age={max_age}"))];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::try_from(value).expect("hexadecimal is a header value"));
    }
    response
}

/// Whether `If-None-Match` has this tag, by weak comparison (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}
