//! Folionaut's content API: its paths, shapes and errors over the kind ContentPage. Translation only.

mod error;
mod public;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::problem::Problem;
use serde_json::{Map, Value, json};

pub use error::render;

use crate::access::{Permission, Verb};
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::resources::first;
use crate::api::routes::{Needs, Routes, permission};
use crate::bootstrap::DEFAULT_TENANT;
use crate::control::Control;
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::{Row, time};
use crate::store::{Action, Edit};

/// What the paths of this dialect begin with.
pub const PREFIX: &str = "/api/v1/";

/// The most items of one list of the admin.
const MOST: u64 = 100;

/// How many numbers are tried behind a slug that is taken.
const TRIES: u32 = 100;

const NOUN: &str = "content";

/// The routes of this dialect.
pub fn routes() -> Routes {
    let public = Needs::Nothing("published content is for everybody");
    Routes::default()
        .get("/api/v1/content", public, public::list)
        .get("/api/v1/content/bundle", public, public::bundle)
        .get("/api/v1/content/{type}/{slug}", public, public::get)
        .get("/api/v1/admin/content", permission(NOUN, Verb::Read), list)
        .post("/api/v1/admin/content", permission(NOUN, Verb::Write), create)
        .get("/api/v1/admin/content/{id}", permission(NOUN, Verb::Read), get)
        .put("/api/v1/admin/content/{id}", permission(NOUN, Verb::Write), update)
        .delete("/api/v1/admin/content/{id}", permission(NOUN, Verb::Delete), delete)
}

fn kind() -> &'static KindInfo {
    resource::by_kind("ContentPage").expect("the kind ContentPage is in the list")
}

/// A page as Folionaut shows it.
fn item(row: &Row) -> Value {
    let field = |name: &str| row.spec.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": row.id,
        "type": field("content_type"),
        "slug": field("slug"),
        "data": field("data"),
        "status": field("status"),
        "sortOrder": field("sort_order"),
        "version": row.revision,
        "createdAt": time(row.created_at),
        "updatedAt": time(row.updated_at),
    })
}

/// The tenant of a call. Folionaut knows none: it is the caller's own, and for the platform the first one.
async fn tenant(control: &Control, caller: &Caller, verb: Verb) -> Result<Id, ApiError> {
    let needs = Permission::new(NOUN, verb);
    let own = caller.0.account.tenant_id;
    if control.store.access.load().platform == Some(own) {
        return caller.tenant(control, DEFAULT_TENANT, needs).await;
    }
    caller.needs(needs, own).map(|()| own)
}

/// A page by its id.
async fn find(control: &Control, caller: &Caller, id: &str, verb: Verb) -> Result<Row, ApiError> {
    let row = match id.parse::<Id>() {
        Ok(id) => control.store.get(kind(), id).await?,
        Err(_) => None,
    };
    // Who may not see it is not told whether it exists.
    row.filter(|row| caller.0.may(Permission::new(NOUN, verb), row.tenant_id))
        .ok_or_else(|| ApiError::not_found("Content not found"))
}

/// `GET /api/v1/admin/content?type,status,limit,offset`.
async fn list(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let mut filter = Filter { limit: 50, ..Filter::default() };
    filter.tenants = Some(vec![tenant(&control, &caller, Verb::Read).await?]);
    for (name, value) in parameters {
        let number = || value.parse().map_err(|_| ApiError::bad_request(format!("`{name}` is a number")));
        match name.as_str() {
            "type" => filter.fields.push(("content_type".to_owned(), value)),
            "status" => filter.fields.push((name, value)),
            "limit" => filter.limit = number()?,
            "offset" => filter.offset = number()?,
            other => return Err(ApiError::bad_request(format!("there is no parameter `{other}`"))),
        }
    }
    if filter.limit == 0 || filter.limit > MOST {
        return Err(ApiError::bad_request(format!("`limit` goes from 1 to {MOST}")));
    }
    let page = control.store.list(kind(), &filter).await?;
    Ok(Json(json!({ "data": page.rows.iter().map(item).collect::<Vec<_>>() })).into_response())
}

/// `GET /api/v1/admin/content/{id}`.
async fn get(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    Ok(Json(json!({ "data": item(&find(&control, &caller, &id, Verb::Read).await?) })).into_response())
}

/// Moves fields from Folionaut's names to ours; what it does not know is refused.
fn native(body: Object, names: &[(&str, &str)]) -> Result<Map<String, Value>, ApiError> {
    let mut fields = Map::new();
    let mut unknown = Vec::new();
    for (sent, value) in body.0 {
        match names.iter().find(|(known, _)| *known == sent) {
            Some((_, native)) => drop(fields.insert((*native).to_owned(), value)),
            None => {
                let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
                let expected = format!("one of {}", known.join(", "));
                unknown.push(Problem::new(format!("/{sent}"), "there is no such field", expected));
            }
        }
    }
    if unknown.is_empty() { Ok(fields) } else { Err(ApiError::invalid(unknown)) }
}

const FIELDS: [(&str, &str); 5] =
    [("slug", "slug"), ("data", "data"), ("status", "status"), ("sortOrder", "sort_order"), ("type", "content_type")];

/// A fault is reported under the name that the sender used.
fn renamed(error: impl Into<ApiError>) -> ApiError {
    let mut error: ApiError = error.into();
    for problem in &mut error.errors {
        let found = FIELDS.iter().find(|(_, native)| problem.path.strip_prefix('/') == Some(native));
        if let Some((sent, _)) = found {
            problem.path = format!("/{sent}");
        }
        if problem.path == "/name" {
            problem.path = "/slug".to_owned();
        }
    }
    error
}

/// `POST /api/v1/admin/content`. Without a slug it is made of the title.
async fn create(State(control): State<Arc<Control>>, caller: Caller, body: Object) -> Result<Response, ApiError> {
    let tenant_id = tenant(&control, &caller, Verb::Write).await?;
    let mut fields = native(body, &FIELDS)?;
    if !fields.contains_key("slug") {
        let title = fields.get("data").and_then(|data| data.get("title")).and_then(Value::as_str).unwrap_or_default();
        let page_type = fields.get("content_type").and_then(Value::as_str).unwrap_or_default();
        let slug = free_slug(&control, tenant_id, page_type, &slug_of(title)).await?;
        fields.insert("slug".into(), slug.into());
    }
    let action = Action::Create { tenant_id, name: None, spec: Value::Object(fields) };
    let committed = control.store.commit(caller.change(kind(), action)).await.map_err(renamed)?;
    Ok((StatusCode::CREATED, Json(json!({ "data": item(&first(committed.outcomes)?.row) }))).into_response())
}

/// Lower case letters and digits of a title, with hyphens for everything else.
fn slug_of(title: &str) -> String {
    let lower = title.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").chars().take(70).collect();
    slug.trim_end_matches('-').to_owned()
}

/// The slug, with a number behind it if it is taken.
async fn free_slug(control: &Control, tenant: Id, page_type: &str, slug: &str) -> Result<String, ApiError> {
    if slug.is_empty() {
        let problem = Problem::new("/slug", "`slug` is missing", "a slug, or a `title` in `data` to make one of");
        return Err(ApiError::invalid(vec![problem]));
    }
    for number in 0..=TRIES {
        let candidate = if number == 0 { slug.to_owned() } else { format!("{slug}-{number}") };
        if control.store.find(kind(), Some(tenant), &format!("{page_type}:{candidate}")).await?.is_none() {
            return Ok(candidate);
        }
    }
    Err(ApiError::conflict("every slug that the title can make is taken", Vec::new()))
}

/// `PUT /api/v1/admin/content/{id}`: what is sent replaces what is there, field by field.
async fn update(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &id, Verb::Write).await?;
    let mut fields = row.visible();
    // The type of a page stays.
    fields.extend(native(body, &FIELDS[..4])?);
    let edit = Edit::Replace(Value::Object(fields));
    // Two editors at once must not both think that theirs is what is there.
    let action = Action::Update { id: row.id, if_match: Some(row.revision), name: None, edit };
    let committed = control.store.commit(caller.change(kind(), action)).await.map_err(renamed)?;
    Ok(Json(json!({ "data": item(&first(committed.outcomes)?.row) })).into_response())
}

/// `DELETE /api/v1/admin/content/{id}`. Its history stays.
async fn delete(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &id, Verb::Delete).await?;
    let action = Action::Delete { id: row.id, if_match: None, cascade: false };
    control.store.commit(caller.change(kind(), action)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_makes_a_slug() {
        assert_eq!(slug_of("  Hello, World! (2026) "), "hello-world-2026");
        assert_eq!(slug_of("Größe"), "gr-e");
        assert_eq!(slug_of("…"), "");
        assert!(slug_of(&"a ".repeat(100)).len() <= 70);
    }
}
