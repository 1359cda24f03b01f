//! Logging in and out, and what a session is for its owner.

pub mod password;
pub mod users;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::Id;
use portunus_gateway::problem::Problem;
use portunus_gateway::schema;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::body::Object;
use super::caller::Caller;
use super::error::ApiError;
use super::identify::Identity;
use super::mfa::login::second_half;
use super::routes::{Needs, Routes, permission};
use super::tokens;
use crate::access::{Account, AccountKind, Permission, Verb};
use crate::audit::event::NewEvent;
use crate::control::Control;
use crate::login::credentials;
use crate::login::refresh::{self, NotRefreshed};
use crate::login::session::{self, Session};
use crate::login::{self, Arrival, Started, cookie};
use crate::resource;

/// The most sessions in one list.
const MOST_LISTED: u32 = 1_000;

/// The routes.
pub fn routes() -> Routes {
    const OWN: Needs = Needs::Account("its own session");
    Routes::default()
        .post("/v1/login", Needs::Nothing("it takes the credentials itself"), log_in)
        .post("/v1/login/refresh", Needs::Nothing("it takes a refresh token"), renew)
        .post("/v1/login/reset", Needs::Nothing("it takes a token that was handed out for it"), password::reset)
        .post("/v1/login/forgot", Needs::Nothing("who has forgotten a password cannot log in"), password::forgot)
        .get("/login/reset", Needs::Nothing("a page without data"), password::page)
        .post("/v1/logout", OWN, log_out)
        .get("/v1/me", Needs::Account("who it is"), me)
        .post("/v1/me/password", Needs::Account("its own password"), password::change)
        .get("/v1/me/sessions", OWN, own_sessions)
        .delete("/v1/me/sessions/{id}", OWN, end_own)
        .get("/v1/sessions", permission("session", Verb::Read), list)
        .delete("/v1/sessions", permission("session", Verb::Delete), end_all)
        .delete("/v1/sessions/{id}", permission("session", Verb::Delete), end)
}

/// A name and a password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The user's name, or the tenant's name, a slash and the user's name.
    #[schemars(length(min = 1, max = 400))]
    pub username: Option<String>,
    /// The user's address, instead of the name.
    #[schemars(length(min = 1, max = 400))]
    pub email: Option<String>,
    /// The password.
    #[schemars(length(min = 1, max = 256))]
    pub password: String,
}

/// A refresh token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The one that came with the login or with the refresh before; it is good for one use.
    #[schemars(length(min = 1, max = 200))]
    pub refresh_token: String,
}

/// A body of this form, or every fault in it.
pub fn read<T: JsonSchema + DeserializeOwned + 'static>(body: Object) -> Result<T, ApiError> {
    schema::parse(&Value::Object(body.0)).map_err(ApiError::invalid)
}

async fn log_in(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let credentials: Credentials = read(body)?;
    let name = credentials.username.or(credentials.email).ok_or_else(|| {
        ApiError::invalid(vec![Problem::new("/username", "`username` is missing", "the user's name, or `email`")])
    })?;
    let arrival = Arrival::new(&identity.origin, &headers);
    let (account, started) = with_password(&control, &name, credentials.password, &arrival).await?;
    Ok(answer(&control, &account, &started))
}

/// Begins a session for a name and a password.
pub async fn with_password(
    control: &Control,
    name: &str,
    password: String,
    arrival: &Arrival,
) -> Result<(Arc<Account>, Started), ApiError> {
    let account = credentials::check(control, AccountKind::User, name, password, arrival).await?;
    if account.second_factor.has_one {
        return Err(second_half(control, &account).await?);
    }
    let started = login::begin(control, &account, arrival, &["password"]).await?;
    Ok((account, started))
}

/// The answer with a session and its cookies.
pub fn answer(control: &Control, account: &Account, started: &Started) -> Response {
    let mut response = Json(started.answer(account)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = &started.cookie {
        cookie::set(headers, cookie, started.session.seconds(), control.settings.https_enabled);
    }
    response
}

async fn renew(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Object,
) -> Result<Response, ApiError> {
    let token: Refresh = read(body)?;
    let arrival = Arrival::new(&identity.origin, &headers);
    match refresh::rotate(&control, &token.refresh_token, &arrival).await {
        Ok((account, started)) => Ok(answer(&control, &account, &started)),
        Err(NotRefreshed::Invalid) => Err(ApiError::session_ended()),
        Err(NotRefreshed::Failed(error)) => Err(*error),
    }
}

async fn log_out(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    end_current(&control, &caller).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    cookie::clear(response.headers_mut(), control.settings.https_enabled);
    Ok(response)
}

/// Ends the session that a call is made in.
pub async fn end_current(control: &Control, caller: &Caller) -> Result<(), ApiError> {
    let Some(id) = caller.0.proof.session() else {
        return Err(ApiError::bad_request("this credential belongs to no session"));
    };
    session::end(&control.store, id, "logout", told(caller, "logout", id, &caller.0.account)).await?;
    Ok(())
}

/// An event about a session.
fn told(caller: &Caller, action: &str, id: Id, owner: &Account) -> NewEvent {
    NewEvent::new(caller.0.actor(), action)
        .of(owner.tenant_id)
        .about("User", owner.id, &owner.name)
        .with(json!({ "session_id": id }))
}

async fn me(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    let account = &caller.0.account;
    let session = match caller.0.proof.session() {
        Some(id) => session::by_id(&control.store, id).await?.map(|session| session.to_json()),
        None => None,
    };
    let tenant = resource::by_kind("Tenant").ok_or_else(ApiError::internal)?;
    let tenant = control.store.get(tenant, account.tenant_id).await?;
    let kind = match account.kind {
        AccountKind::User => "User",
        AccountKind::ServiceAccount => "ServiceAccount",
    };
    Ok(Json(json!({
        "id": account.id,
        "kind": kind,
        "name": account.name,
        "email": account.email,
        "tenant": { "id": account.tenant_id, "name": tenant.map(|row| row.name) },
        "permissions": account.permissions(),
        "everywhere": Some(account.tenant_id) == control.store.access.load().platform,
        "scopes": caller.0.scopes,
        "session": session,
    }))
    .into_response())
}

async fn own_sessions(State(control): State<Arc<Control>>, caller: Caller) -> Result<Response, ApiError> {
    let filter = session::Filter { user_id: Some(caller.0.account.id), tenants: None, limit: MOST_LISTED };
    shown(&control, &caller, &filter).await
}

async fn end_own(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let found = find(&control, &id).await?.filter(|session| session.user_id == caller.0.account.id);
    end_found(&control, &caller, &id, found).await
}

/// The live sessions of everybody that the caller may see.
async fn list(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let mut filter = session::Filter {
        user_id: None,
        tenants: caller.reach(Permission::new("session", Verb::Read))?,
        limit: MOST_LISTED,
    };
    for (name, value) in &parameters {
        match name.as_str() {
            "user" => match user(&control, value) {
                Some(id) => filter.user_id = Some(id),
                None => return Ok(Json(json!({ "items": [], "total": 0 })).into_response()),
            },
            other => {
                return Err(ApiError::bad_request(format!("there is no parameter `{other}`; there is user")));
            }
        }
    }
    shown(&control, &caller, &filter).await
}

/// The user with this id or login name.
fn user(control: &Control, text: &str) -> Option<Id> {
    let access = control.store.access.load();
    text.parse().ok().or_else(|| access.login(AccountKind::User, text).map(|account| account.id))
}

async fn shown(control: &Control, caller: &Caller, filter: &session::Filter) -> Result<Response, ApiError> {
    let own = caller.0.proof.session();
    let access = control.store.access.load();
    let sessions = session::list(&control.store, filter).await?;
    let items: Vec<Value> = sessions
        .iter()
        .map(|session| {
            let mut shown = session.to_json();
            shown["user"] = json!(access.account(session.user_id).map(|account| account.name.as_str()));
            shown["current"] = (Some(session.id) == own).into();
            shown
        })
        .collect();
    Ok(Json(json!({ "total": items.len(), "items": items })).into_response())
}

async fn end(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let permission = Permission::new("session", Verb::Delete);
    let found = find(&control, &id).await?.filter(|session| caller.0.may(permission, session.tenant_id));
    end_found(&control, &caller, &id, found).await
}

/// `DELETE /v1/sessions?user=…`: everything of one user.
async fn end_all(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let text = match (parameters.get("user"), parameters.len()) {
        (Some(text), 1) => text,
        _ => return Err(ApiError::bad_request("say whose sessions: `user`, an id or a login name, and nothing else")),
    };
    let ended = end_everything_of(&control, &caller, text).await?;
    Ok(Json(json!({ "revoked": ended })).into_response())
}

/// Ends all sessions and tokens of the user with this id or login name.
pub async fn end_everything_of(control: &Control, caller: &Caller, text: &str) -> Result<u64, ApiError> {
    let account = user(control, text).and_then(|id| control.store.access.load().account(id).cloned());
    let permission = Permission::new("session", Verb::Delete);
    let account = account.filter(|account| caller.0.may(permission, account.tenant_id)).ok_or_else(|| {
        // Who may not end them is not told whether there is such a user. A locked user has none.
        ApiError::not_found(format!("there is no active user {text} whose sessions this account may end"))
    })?;
    tokens::revoke_all_of(control, caller, &account).await?;
    Ok(session::end_everything(&control.store, caller.0.actor(), &account, "revoked").await?)
}

async fn find(control: &Control, id: &str) -> Result<Option<Session>, ApiError> {
    match id.parse() {
        Ok(id) => Ok(session::by_id(&control.store, id).await?),
        Err(_) => Ok(None),
    }
}

async fn end_found(control: &Control, caller: &Caller, id: &str, found: Option<Session>) -> Result<Response, ApiError> {
    // Who may not end it is not told whether it exists.
    let found =
        found.ok_or_else(|| ApiError::not_found(format!("there is no session {id} that this account may end")))?;
    let owner = control.store.access.load().account(found.user_id).cloned();
    let mut event =
        NewEvent::new(caller.0.actor(), "session.revoked").of(found.tenant_id).with(json!({ "session_id": found.id }));
    if let Some(owner) = owner {
        event = event.about("User", owner.id, &owner.name);
    }
    session::end(&control.store, found.id, "revoked", event).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
