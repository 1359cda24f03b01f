//! The routes of the kind Tenant, which itself belongs to no customer.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::http::header::HeaderMap;
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::KindInfo;

use super::{change, create_in, remove, shown};
use crate::access::{Permission, Verb};
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::page;
use crate::control::Control;
use crate::resource;
use crate::store::Edit;
use crate::store::row::Row;

fn kind() -> &'static KindInfo {
    resource::by_kind("Tenant").expect("the kind Tenant is in the list")
}

/// Finds a tenant that the caller may do this to.
pub async fn find(control: &Control, caller: &Caller, id: &str, verb: Verb) -> Result<Row, ApiError> {
    let tenant_id = caller.tenant(control, id, Permission::new("tenant", verb)).await?;
    control.store.get(kind(), tenant_id).await?.ok_or_else(|| ApiError::not_found("the tenant is gone"))
}

/// `GET /v1/tenants`: those that the caller may see.
pub async fn list(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let permission = Permission::new("tenant", Verb::Read);
    let mut query = page::Query::read(kind(), parameters)?;
    if !caller.0.may_everywhere(permission) {
        caller.needs(permission, caller.0.account.tenant_id)?;
        query.filter.fields.push(("id".to_owned(), caller.0.account.tenant_id.to_string()));
    }
    let page = control.store.list(kind(), &query.filter).await?;
    let items: Vec<_> = page.rows.iter().map(Row::to_json).collect();
    Ok(Json(query.answer(&page, &items)).into_response())
}

/// `POST /v1/tenants`.
pub async fn create(
    State(control): State<Arc<Control>>,
    caller: Caller,
    uri: Uri,
    body: Object,
) -> Result<Response, ApiError> {
    caller.needs_everywhere(Permission::new("tenant", Verb::Write))?;
    let platform = control.store.access.load().platform.ok_or_else(ApiError::internal)?;
    create_in(&control, &caller, kind(), platform, &uri, body).await
}

/// `GET /v1/tenants/{tenant}`.
pub async fn get(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &id, Verb::Read).await?;
    Ok(shown(&row, row.to_json(), &headers))
}

/// `PUT /v1/tenants/{tenant}`.
pub async fn replace(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &id, Verb::Write).await?;
    change(&control, &caller, &row, &headers, body, Edit::Replace).await
}

/// `PATCH /v1/tenants/{tenant}`.
pub async fn patch(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &id, Verb::Write).await?;
    change(&control, &caller, &row, &headers, body, Edit::Merge).await
}

/// `DELETE /v1/tenants/{tenant}`.
pub async fn delete(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(parameters): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &id, Verb::Delete).await?;
    caller.needs_everywhere(Permission::new("tenant", Verb::Delete))?;
    remove(&control, &caller, &row, &parameters, &headers).await
}
