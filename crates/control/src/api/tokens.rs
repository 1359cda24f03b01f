//! API tokens: those that somebody makes for themselves, the rotation of any, and when they were last used.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::problem::Problem;
use portunus_gateway::{api_key, clock};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::actions::grace;
use super::body::Object;
use super::caller::{Caller, check_factor};
use super::error::ApiError;
use super::resources::{first, one, removed};
use super::routes::{Needs, Routes};
use crate::access::{Account, AccountKind, Permission, Verb};
use crate::control::Control;
use crate::resource;
use crate::resource::api_token::{ApiToken, TokenStatus};
use crate::store::read::Filter;
use crate::store::row::{Row, time};
use crate::store::{Action, Change, Edit, Op};

/// The field of answers that tells when a token was last used.
pub const LAST_USED_AT: &str = "last_used_at";

/// The most tokens of one account that a list shows.
const MOST: u64 = 1000;

/// The fields that somebody sends to make a token for themselves.
const OWN_FIELDS: [&str; 4] = ["name", "description", "scopes", "expires_at"];

/// The routes for one's own tokens.
pub fn routes() -> Routes {
    let own = Needs::Account("one's own tokens");
    Routes::default()
        .get("/v1/me/tokens", own, list_own)
        .post("/v1/me/tokens", own, create_own)
        .get("/v1/me/tokens/{id}", own, get_own)
        .delete("/v1/me/tokens/{id}", own, delete_own)
        .post("/v1/me/tokens/{id}/rotate", own, rotate_own)
}

fn kind() -> &'static KindInfo {
    resource::by_kind("ApiToken").expect("the kind ApiToken is in the list")
}

/// Resources as answers show them, tokens with the time of their last use.
pub async fn with_last_use(control: &Control, rows: &[Row]) -> Result<Vec<Map<String, Value>>, ApiError> {
    let mut items: Vec<Map<String, Value>> = rows.iter().map(Row::to_json).collect();
    let ids: Vec<Id> = rows.iter().filter(|row| row.kind.kind == "ApiToken").map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(items);
    }
    let uses = control.last_use.of(&control.store, &ids).await?;
    for (row, item) in rows.iter().zip(&mut items) {
        let used = uses.get(&row.id).map_or(Value::Null, |last| time(last.at).into());
        item.insert(LAST_USED_AT.into(), used);
    }
    Ok(items)
}

/// The field that names the owner of a token of this caller.
fn owner_field(caller: &Caller) -> &'static str {
    match caller.0.account.kind {
        AccountKind::User => "user_id",
        AccountKind::ServiceAccount => "service_account_id",
    }
}

/// `GET /v1/me/tokens`.
async fn list_own(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    let account = &caller.0.account;
    let filter = Filter {
        tenants: Some(vec![account.tenant_id]),
        fields: vec![(owner_field(&caller).to_owned(), account.id.to_string())],
        limit: MOST,
        ..Filter::default()
    };
    let page = control.store.list(kind(), &filter).await?;
    let items = with_last_use(&control, &page.rows).await?;
    Ok(Json(json!({ "items": items, "total": page.total, "page": 1, "page_size": MOST, "next_cursor": null }))
        .into_response())
}

/// `POST /v1/me/tokens`.
async fn create_own(
    State(control): State<Arc<Control>>,
    caller: Caller,
    mut body: Object,
) -> Result<Response, ApiError> {
    // A token outlives the session that it is made in.
    check_factor(&caller.0, Permission::new("api_token", Verb::Write))?;
    let unknown: Vec<Problem> = body
        .0
        .iter()
        .filter(|(field, _)| !OWN_FIELDS.contains(&field.as_str()))
        .map(|(field, value)| {
            let expected = format!("one of {}", OWN_FIELDS.join(", "));
            Problem::new(format!("/{field}"), "not a field of a token for oneself", expected).found(value.clone())
        })
        .collect();
    if !unknown.is_empty() {
        return Err(ApiError::invalid(unknown));
    }
    let name = body.text("name")?;
    if body.0.get("scopes").is_none_or(Value::is_null)
        && let Some(scopes) = &caller.0.scopes
    {
        body.0.insert("scopes".into(), json!(scopes));
    }
    body.0.insert(owner_field(&caller).into(), caller.0.account.id.to_string().into());
    let action = Action::Create { tenant_id: caller.0.account.tenant_id, name, spec: body.into_spec() };
    let committed = control.store.commit(caller.change(kind(), action)).await?;
    Ok((StatusCode::CREATED, one(&first(committed.outcomes)?)).into_response())
}

/// One of the caller's own tokens, by id or name.
async fn own(control: &Control, caller: &Caller, id: &str) -> Result<Row, ApiError> {
    let account = &caller.0.account;
    let row = control.store.find(kind(), Some(account.tenant_id), id).await?;
    let is_own = |row: &Row| ApiToken::deserialize(&row.spec).is_ok_and(|token| token.owner() == Some(account.id));
    row.filter(is_own).ok_or_else(|| ApiError::not_found(format!("you have no token {id}")))
}

/// `GET /v1/me/tokens/{id}`.
async fn get_own(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = own(&control, &caller, &id).await?;
    Ok(Json(with_last_use(&control, &[row]).await?.pop()).into_response())
}

/// `DELETE /v1/me/tokens/{id}`.
async fn delete_own(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = own(&control, &caller, &id).await?;
    let action = Action::Delete { id: row.id, if_match: None, cascade: false };
    Ok(removed(&control.store.commit(caller.change(row.kind, action)).await?))
}

/// `POST /v1/me/tokens/{id}/rotate`.
async fn rotate_own(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Response, ApiError> {
    check_factor(&caller.0, Permission::new("api_token", Verb::Write))?;
    let row = own(&control, &caller, &id).await?;
    rotate(&control, &caller, &row, body).await
}

/// Gives a token a new text; the one that it had works until the grace is over.
pub async fn rotate(control: &Control, caller: &Caller, row: &Row, mut body: Object) -> Result<Response, ApiError> {
    let hours = grace(&body)?;
    let token = ApiToken::deserialize(&row.spec).map_err(|_| ApiError::internal())?;
    if token.status == TokenStatus::Revoked {
        return Err(ApiError::conflict("a revoked token has no successor; create a new one", Vec::new()));
    }
    let now = clock::now();
    let mut fields = json!({ "previous_expires_at": null });
    if hours > 0 {
        let end: Timestamp = now + SignedDuration::from_hours(hours as i64);
        fields["previous_expires_at"] = json!(token.expires_at.map_or(end, |own| own.min(end)));
    }
    match body.0.remove("expires_at").filter(|end| !end.is_null()) {
        Some(end) => fields["expires_at"] = end,
        None if token.expires_at.is_some_and(|end| end <= now) => {
            let problem = Problem::new("/expires_at", "the token has expired", "a new end, or a new token");
            return Err(ApiError::conflict("the new text would be dead at once", vec![problem]));
        }
        None => {}
    }
    let text = api_key::generate(api_key::TOKEN);
    fields["token"] = text.as_str().into();
    // Two rotations at once must not both show a text that works.
    let action = Action::Update { id: row.id, if_match: Some(row.revision), name: None, edit: Edit::Merge(fields) };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    let mut shown = one(&first(committed.outcomes)?);
    shown.0.insert("token".into(), text.into());
    Ok((StatusCode::CREATED, shown).into_response())
}

/// Revokes every API token of an account. Ending what somebody may do hands out no rights, so the caller needs none of
/// the account's.
pub async fn revoke_all_of(control: &Control, caller: &Caller, account: &Account) -> Result<(), ApiError> {
    let kind = resource::by_kind("ApiToken").ok_or_else(ApiError::internal)?;
    let fields = [("user_id", account.id.to_string()), ("status", "active".to_owned())];
    let filter = Filter {
        tenants: Some(vec![account.tenant_id]),
        fields: fields.map(|(field, value)| (field.to_owned(), value)).into(),
        limit: i64::MAX as u64,
        ..Filter::default()
    };
    let rows = control.store.list(kind, &filter).await?.rows;
    let ops: Vec<Op> = rows
        .into_iter()
        .map(|row| {
            let edit = Edit::Merge(json!({ "status": "revoked" }));
            Op { kind, path: String::new(), action: Action::Update { id: row.id, if_match: None, name: None, edit } }
        })
        .collect();
    if !ops.is_empty() {
        control.store.commit(Change { principal: None, ..caller.changes(ops) }).await?;
    }
    Ok(())
}
