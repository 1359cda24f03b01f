//! Doorman's platform API: its paths and shapes for logins and users over the native ones. Translation only.

pub mod error;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::Id;
use portunus_gateway::problem::Problem;
use serde_json::{Map, Value, json};

use crate::access::{Permission, Verb};
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::identify::Identity;
use crate::api::login::{self as native, users};
use crate::api::routes::{Needs, Routes, permission};
use crate::control::Control;
use crate::login::refresh::{self, NotRefreshed};
use crate::login::{Arrival, Started, cookie, password_change};
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;
use crate::store::{Action, Edit};

/// Keeps the refresh token of a browser; it is sent to nothing but [`AUTHORIZATION`].
const REFRESH_COOKIE: &str = "portunus_refresh";

const AUTHORIZATION: &str = "/platform/authorization";

/// The fields of a user that can be changed here.
const FIELDS: [&str; 3] = ["email", "active", "force_password_reset"];

/// The routes of this dialect.
pub fn routes() -> Routes {
    const OWN: Needs = Needs::Account("its own session");
    Routes::default()
        .post(AUTHORIZATION, Needs::Nothing("it takes the credentials itself"), log_in)
        .post("/platform/authorization/refresh", Needs::Nothing("it takes a refresh token"), renew)
        .get("/platform/authorization/status", OWN, status)
        .post("/platform/authorization/invalidate", OWN, invalidate)
        .get("/platform/user/me", Needs::Account("who it is"), me)
        .get("/platform/user/{username}", permission("user", Verb::Read), get_user)
        .put("/platform/user/{username}", permission("user", Verb::Write), put_user)
}

fn unknown_fields(body: &Object, known: &[&str]) -> Result<(), ApiError> {
    let unknown = body.0.keys().filter(|field| !known.contains(&field.as_str()));
    let problems: Vec<Problem> = unknown
        .map(|field| {
            Problem::new(format!("/{field}"), format!("the field `{field}` cannot be set here"), known.join(", "))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(problems)) }
}

async fn log_in(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    mut body: Object,
) -> Result<Response, ApiError> {
    let (email, password) = (body.text("email")?, body.text("password")?);
    unknown_fields(&body, &["email", "password"])?;
    let (Some(email), Some(password)) = (email, password) else {
        return Err(ApiError::bad_request("Missing email or password"));
    };
    let arrival = Arrival::new(&identity.origin, &headers);
    let (_, started) = native::with_password(&control, &email, password, &arrival).await?;
    Ok(answer(&control, &started, json!({ "access_token": started.access_token })))
}

fn answer(control: &Control, started: &Started, body: Value) -> Response {
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(value) = &started.cookie {
        cookie::set(headers, value, started.session.seconds(), control.settings.https_enabled);
    }
    refresh_cookie(control, headers, &started.refresh_token, started.session.seconds());
    response
}

fn refresh_cookie(control: &Control, headers: &mut HeaderMap, token: &str, seconds: i64) {
    let secure = if control.settings.https_enabled { "; Secure" } else { "" };
    let text =
        format!("{REFRESH_COOKIE}={token}; Path={AUTHORIZATION}; Max-Age={seconds}; SameSite=Strict; HttpOnly{secure}");
    headers.append(SET_COOKIE, HeaderValue::try_from(text).expect("letters and digits are a header value"));
}

async fn renew(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    mut body: Object,
) -> Result<Response, ApiError> {
    let given = body.text("refresh_token")?;
    unknown_fields(&body, &["refresh_token"])?;
    let token = given.or_else(|| cookie::read(&headers, REFRESH_COOKIE).map(str::to_owned));
    let token = token.ok_or_else(ApiError::session_ended)?;
    match refresh::rotate(&control, &token, &Arrival::new(&identity.origin, &headers)).await {
        Ok((_, started)) => {
            let body = json!({ "access_token": started.access_token, "refresh_token": started.refresh_token });
            Ok(answer(&control, &started, body))
        }
        Err(NotRefreshed::Invalid) => Err(ApiError::session_ended()),
        Err(NotRefreshed::Failed(error)) => Err(*error),
    }
}

async fn status(_: Caller) -> Json<Value> {
    Json(json!({ "message": "Token is valid" }))
}

/// Without a body the own session ends; with a user name everything of that user.
async fn invalidate(
    State(control): State<Arc<Control>>,
    caller: Caller,
    mut body: Object,
) -> Result<Response, ApiError> {
    let username = body.text("username")?;
    unknown_fields(&body, &["username"])?;
    if let Some(username) = username {
        let ended = native::end_everything_of(&control, &caller, &username).await?;
        let message = format!("All tokens of the user are invalidated ({ended} sessions ended)");
        return Ok(Json(json!({ "message": message })).into_response());
    }
    native::end_current(&control, &caller).await?;
    let mut response = Json(json!({ "message": "Your token has been invalidated" })).into_response();
    cookie::clear(response.headers_mut(), control.settings.https_enabled);
    refresh_cookie(&control, response.headers_mut(), "", 0);
    Ok(response)
}

async fn me(State(control): State<Arc<Control>>, caller: Caller) -> Result<Json<Value>, ApiError> {
    let kind = resource::by_kind("User").ok_or_else(ApiError::internal)?;
    let row = control.store.get(kind, caller.0.account.id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("a service account is no user"))?;
    shown(&control, &row).await
}

/// A user as Doorman shows it.
async fn shown(control: &Control, row: &Row) -> Result<Json<Value>, ApiError> {
    let ids: Vec<Id> = row.references().into_iter().map(|(_, id)| id).collect();
    let roles: Vec<String> = control.store.many(&ids).await?.into_iter().map(|role| role.name).collect();
    let must_reset = control.store.access.load().account(row.id).is_some_and(|account| account.must_reset_password);
    Ok(Json(json!({
        "username": row.name,
        "email": row.spec.get("email"),
        "role": roles.first(),
        "active": row.spec.get("status").and_then(Value::as_str) != Some("locked"),
        "force_password_reset": must_reset,
    })))
}

/// The user with this name, among those that the caller may see.
async fn find(control: &Control, caller: &Caller, username: &str, verb: Verb) -> Result<Row, ApiError> {
    let kind = resource::by_kind("User").ok_or_else(ApiError::internal)?;
    let filter = Filter {
        tenants: caller.reach(Permission::new(kind.noun, verb))?,
        fields: vec![("name".to_owned(), username.to_owned())],
        limit: 2,
        ..Filter::default()
    };
    let mut rows = control.store.list(kind, &filter).await?.rows.into_iter();
    match (rows.next(), rows.next()) {
        (Some(row), None) => Ok(row),
        (Some(_), Some(_)) => Err(ApiError::conflict(
            "several tenants have a user with this name; use /v1/tenants/{tenant}/users",
            Vec::new(),
        )),
        (None, _) => Err(ApiError::not_found("User not found")),
    }
}

async fn get_user(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let row = find(&control, &caller, &username, Verb::Read).await?;
    shown(&control, &row).await
}

async fn put_user(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(username): Path<String>,
    mut body: Object,
) -> Result<Response, ApiError> {
    let row = find(&control, &caller, &username, Verb::Write).await?;
    let force = flag(&mut body, "force_password_reset")?;
    let active = flag(&mut body, "active")?;
    let email = body.text("email")?;
    unknown_fields(&body, &FIELDS)?;
    if force == Some(false) {
        let problem =
            Problem::new("/force_password_reset", "a forced reset ends when the user has set a new password", "true");
        return Err(ApiError::invalid(vec![problem]));
    }
    let account = match force {
        Some(_) => Some(users::account(&control, &caller, &row)?),
        None => None,
    };
    let mut fields = Map::new();
    fields.extend(email.map(|email| ("email".to_owned(), email.into())));
    if let Some(active) = active {
        fields.insert("status".to_owned(), if active { "active" } else { "locked" }.into());
        fields.insert("lock_reason".to_owned(), Value::Null);
    }
    if !fields.is_empty() {
        if active.is_some() && row.id == caller.0.account.id {
            return Err(ApiError::conflict("nobody locks or unlocks themselves", Vec::new()));
        }
        let edit = Edit::Merge(Value::Object(fields));
        let action = Action::Update { id: row.id, if_match: None, name: None, edit };
        control.store.commit(caller.change(row.kind, action)).await?;
    }
    if let Some(account) = account {
        password_change::force(&control, &account, caller.0.actor()).await?;
    }
    Ok(Json(json!({ "message": "User updated successfully" })).into_response())
}

/// Takes a yes-or-no field out.
fn flag(body: &mut Object, field: &str) -> Result<Option<bool>, ApiError> {
    match body.0.remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(ApiError::invalid(vec![Problem::new(format!("/{field}"), "wrong type", "true or false")])),
    }
}
