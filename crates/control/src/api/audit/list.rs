//! Lists of events, the newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use portunus_gateway::kind::Id;
use serde_json::{Value, json};

use super::query::{cursor, filter, nothing_else, number, sequence};
use super::{AUDIT_READ, read};
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::audit::readable;
use crate::control::Control;

/// How many events a page has, if nothing else is asked for.
pub const USUAL: u64 = 50;

/// The most events of a page.
pub const MOST: u64 = 1_000;

/// `GET /v1/audit/{tenant}`: what happened in one tenant.
pub async fn of_tenant(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(tenant): Path<String>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    let tenant_id = caller.tenant(&control, &tenant, AUDIT_READ).await?;
    list(&control, &caller, Some(tenant_id), parameters).await
}

/// `GET /v1/audit`: what happened in all tenants.
pub async fn everywhere(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Json<Value>, ApiError> {
    caller.needs_everywhere(AUDIT_READ)?;
    list(&control, &caller, None, parameters).await
}

async fn list(
    control: &Control,
    caller: &Caller,
    tenant_id: Option<Id>,
    mut parameters: HashMap<String, String>,
) -> Result<Json<Value>, ApiError> {
    let mut filter = filter(&mut parameters)?;
    filter.tenant_id = tenant_id;
    let limit = number(&mut parameters, "limit", USUAL, MOST)?;
    let page = number(&mut parameters, "page", 1, u64::from(u32::MAX))?;
    let before = parameters.remove("cursor").map(|cursor| sequence(&cursor)).transpose()?;
    nothing_else(&parameters, "limit, page, cursor")?;
    control.audit.flush(false).await;
    let offset = if before.is_some() { 0 } else { (page - 1) * limit };
    // One more, to know whether there are more.
    let mut rows = control.store.events(&filter, before, offset, limit + 1).await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(limit as usize);
    let totals = control.store.event_totals(&filter).await?;
    let names = control.store.names(&rows).await?;
    read(control, caller, tenant_id, "list");
    let logs: Vec<Value> = rows.iter().map(|row| readable::log(row, &names)).collect();
    let next = rows.last().filter(|_| more).map(|row| cursor(row.sequence));
    Ok(Json(json!({
        "logs": logs,
        "items": logs,
        "total": totals.rows,
        "total_events": totals.events,
        "next_cursor": next,
    })))
}
