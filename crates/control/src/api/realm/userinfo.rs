//! What an account may know of itself (OpenID Connect Core 1.0 section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::caller::Caller;
use super::super::error::ApiError;
use super::Realm;
use crate::access::{Account, AccountKind};
use crate::control::Control;
use crate::resource;
use crate::store::row::Row;

/// `GET` or `POST /realms/{realm}/protocol/openid-connect/userinfo`.
pub async fn userinfo(
    State(control): State<Arc<Control>>,
    Realm(_): Realm,
    Caller(principal, _): Caller,
) -> Result<Json<Value>, ApiError> {
    let account = &principal.account;
    let mut answer = json!({
        "sub": account.id.to_string(),
        "preferred_username": account.name,
        "tenant_id": account.tenant_id.to_string(),
    });
    if let Some(row) = row(&control, account).await? {
        for (claim, field) in [("name", "display_name"), ("email", "email")] {
            if let Some(value) = row.spec.get(field) {
                answer[claim] = value.clone();
            }
        }
        answer["roles"] = roles_of(&control, &row).await?.into();
    }
    Ok(Json(answer))
}

/// The names of an account's roles.
pub async fn role_names(control: &Control, account: &Account) -> Result<Vec<String>, ApiError> {
    match row(control, account).await? {
        Some(row) => roles_of(control, &row).await,
        None => Ok(Vec::new()),
    }
}

async fn row(control: &Control, account: &Account) -> Result<Option<Row>, ApiError> {
    let kind = match account.kind {
        AccountKind::User => "User",
        AccountKind::ServiceAccount => "ServiceAccount",
    };
    let kind = resource::by_kind(kind).expect("the kinds of accounts are in the list");
    Ok(control.store.get(kind, account.id).await?)
}

async fn roles_of(control: &Control, row: &Row) -> Result<Vec<String>, ApiError> {
    let ids: Vec<_> = row.references().into_iter().filter(|(field, _)| *field == "roles").map(|(_, id)| id).collect();
    let mut names: Vec<String> = control.store.many(&ids).await?.into_iter().map(|role| role.name).collect();
    names.sort_unstable();
    Ok(names)
}
