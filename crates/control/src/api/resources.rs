//! The routes of every kind: list, create, read, replace, change, delete.

pub mod tenants;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::problem::Problem;
use serde_json::{Map, Value};

use super::body::Object;
use super::caller::Caller;
use super::error::ApiError;
use super::{page, tokens};
use crate::access::{Permission, Verb};
use crate::control::Control;
use crate::resource;
use crate::store::row::Row;
use crate::store::{Action, Committed, Done, Edit, Outcome};

/// Fields that every resource has and nobody sends.
const READ_ONLY: [&str; 5] = ["id", "tenant_id", "revision", "created_at", "updated_at"];

/// The kind with this plural that belongs to tenants.
pub fn kind(plural: &str) -> Result<&'static KindInfo, ApiError> {
    resource::by_plural(plural).filter(|kind| kind.kind != "Tenant").ok_or_else(|| {
        let known: Vec<&str> = resource::all().map(|kind| kind.plural).filter(|plural| *plural != "tenants").collect();
        ApiError::not_found(format!("there are no {plural}; there are {}", known.join(", ")))
    })
}

/// Finds a resource that the caller may do this to.
pub async fn find(control: &Control, caller: &Caller, path: (&str, &str, &str), verb: Verb) -> Result<Row, ApiError> {
    let (tenant, plural, id) = path;
    let kind = kind(plural)?;
    let tenant_id = caller.tenant(control, tenant, Permission::new(kind.noun, verb)).await?;
    control
        .store
        .find(kind, Some(tenant_id), id)
        .await?
        .ok_or_else(|| ApiError::not_found(format!("there is no {} {id} in this tenant", kind.kind)))
}

/// `GET /v1/tenants/{tenant}/{plural}`.
pub async fn list(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural)): Path<(String, String)>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let kind = kind(&plural)?;
    let tenant_id = caller.tenant(&control, &tenant, Permission::new(kind.noun, Verb::Read)).await?;
    let mut query = page::Query::read(kind, parameters)?;
    query.filter.tenants = Some(vec![tenant_id]);
    by_id(&control, kind, tenant_id, &mut query).await?;
    let page = control.store.list(kind, &query.filter).await?;
    let items = tokens::with_last_use(&control, &page.rows).await?;
    Ok(Json(query.answer(&page, &items)).into_response())
}

/// A filter by a reference takes an id or a name, as a reference does.
async fn by_id(
    control: &Control,
    kind: &'static KindInfo,
    tenant_id: Id,
    query: &mut page::Query,
) -> Result<(), ApiError> {
    for (field, value) in &mut query.filter.fields {
        let reference = kind.references.iter().find(|reference| reference.field == field.as_str());
        if let Some(to) = reference.and_then(|reference| resource::by_kind(reference.kind))
            && let Some(row) = control.store.find(to, Some(tenant_id), value).await?
        {
            *value = row.id.to_string();
        }
    }
    Ok(())
}

/// `POST /v1/tenants/{tenant}/{plural}`.
pub async fn create(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural)): Path<(String, String)>,
    uri: Uri,
    body: Object,
) -> Result<Response, ApiError> {
    let kind = kind(&plural)?;
    let tenant_id = caller.tenant(&control, &tenant, Permission::new(kind.noun, Verb::Write)).await?;
    create_in(&control, &caller, kind, tenant_id, &uri, body).await
}

async fn create_in(
    control: &Control,
    caller: &Caller,
    kind: &'static KindInfo,
    tenant_id: Id,
    uri: &Uri,
    mut body: Object,
) -> Result<Response, ApiError> {
    refuse_read_only(&body.0, None)?;
    let name = body.text("name")?;
    let change = caller.change(kind, Action::Create { tenant_id, name, spec: body.into_spec() });
    let committed = control.store.commit(change).await?;
    let outcome = first(committed.outcomes)?;
    let location = format!("{}/{}", uri.path().trim_end_matches('/'), outcome.row.id);
    let mut response = (StatusCode::CREATED, one(&outcome)).into_response();
    response.headers_mut().insert(ETAG, etag(&outcome.row));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET /v1/tenants/{tenant}/{plural}/{id}`.
pub async fn get(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, (&tenant, &plural, &id), Verb::Read).await?;
    let fields = tokens::with_last_use(&control, std::slice::from_ref(&row)).await?.pop();
    Ok(shown(&row, fields.unwrap_or_default(), &headers))
}

/// The answer with a resource, or that it is as it was read before.
pub fn shown(row: &Row, fields: Map<String, Value>, headers: &HeaderMap) -> Response {
    let tag = etag(row);
    let unchanged = headers.get(IF_NONE_MATCH).is_some_and(|known| *known == tag);
    let mut response = match unchanged {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(fields).into_response(),
    };
    response.headers_mut().insert(ETAG, tag);
    response
}

/// `PUT /v1/tenants/{tenant}/{plural}/{id}`.
pub async fn replace(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, (&tenant, &plural, &id), Verb::Write).await?;
    change(&control, &caller, &row, &headers, body, Edit::Replace).await
}

/// `PATCH /v1/tenants/{tenant}/{plural}/{id}`: JSON merge patch (RFC 7396).
pub async fn patch(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, (&tenant, &plural, &id), Verb::Write).await?;
    change(&control, &caller, &row, &headers, body, Edit::Merge).await
}

/// Changes a resource by what was sent.
pub async fn change(
    control: &Control,
    caller: &Caller,
    row: &Row,
    headers: &HeaderMap,
    mut body: Object,
    edit: fn(Value) -> Edit,
) -> Result<Response, ApiError> {
    refuse_read_only(&body.0, Some(row))?;
    for field in READ_ONLY {
        body.0.remove(field);
    }
    if row.kind.kind == "ApiToken" {
        body.0.remove(tokens::LAST_USED_AT);
    }
    let name = body.text("name")?;
    let action = Action::Update { id: row.id, if_match: if_match(headers, row)?, name, edit: edit(body.into_spec()) };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    let outcome = first(committed.outcomes)?;
    let mut response = one(&outcome).into_response();
    response.headers_mut().insert(ETAG, etag(&outcome.row));
    Ok(response)
}

/// `DELETE /v1/tenants/{tenant}/{plural}/{id}`.
pub async fn delete(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path((tenant, plural, id)): Path<(String, String, String)>,
    Query(parameters): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, (&tenant, &plural, &id), Verb::Delete).await?;
    remove(&control, &caller, &row, &parameters, &headers).await
}

async fn remove(
    control: &Control,
    caller: &Caller,
    row: &Row,
    parameters: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let cascade = flag(parameters, "cascade")?;
    let action = Action::Delete { id: row.id, if_match: if_match(headers, row)?, cascade };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    Ok(removed(&committed))
}

/// The answer of a deletion: what is gone.
pub fn removed(committed: &Committed) -> Response {
    let deleted: Vec<Value> = committed
        .outcomes
        .iter()
        .filter(|outcome| outcome.done == Done::Deleted)
        .map(|outcome| serde_json::json!({ "kind": outcome.row.kind.kind, "id": outcome.row.id, "name": outcome.row.name }))
        .collect();
    Json(serde_json::json!({ "deleted": deleted })).into_response()
}

/// A yes-or-no parameter of a query.
pub fn flag(parameters: &HashMap<String, String>, name: &str) -> Result<bool, ApiError> {
    match parameters.get(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(other) => Err(ApiError::bad_request(format!("`{name}` is true or false, and {other:?} is neither"))),
    }
}

/// The answer with a resource, and its secret if it has one to show.
pub fn one(outcome: &Outcome) -> Json<Map<String, Value>> {
    let mut fields = outcome.row.to_json();
    if let Some(secret) = &outcome.secret {
        fields.insert(secret.field.to_owned(), secret.value.as_str().into());
    }
    Json(fields)
}

/// The outcome of a change of one resource.
pub fn first(outcomes: Vec<Outcome>) -> Result<Outcome, ApiError> {
    outcomes.into_iter().next().ok_or_else(ApiError::internal)
}

/// The resource's revision as an entity tag.
pub fn etag(row: &Row) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", row.revision)).expect("digits in quotes are a header value")
}

fn if_match(headers: &HeaderMap, row: &Row) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    let wrong =
        || ApiError::bad_request(format!("`If-Match` is the ETag of the resource, such as \"{}\", or *", row.revision));
    revision.map(Some).ok_or_else(wrong)
}

/// What was read may be sent back, but not changed, in the fields that Portunus sets.
fn refuse_read_only(fields: &Map<String, Value>, row: Option<&Row>) -> Result<(), ApiError> {
    let stored = row.map(Row::to_json).unwrap_or_default();
    let problems: Vec<Problem> = READ_ONLY
        .iter()
        .filter_map(|field| {
            let sent = fields.get(*field)?;
            let is_same = stored.get(*field) == Some(sent);
            let stale_time = row.is_some() && matches!(*field, "revision" | "updated_at");
            let problem = || {
                Problem::new(format!("/{field}"), "Portunus sets this field", "the field left out").found(sent.clone())
            };
            (!is_same && !stale_time).then(problem)
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(problems)) }
}
