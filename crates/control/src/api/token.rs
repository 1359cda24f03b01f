//! The token endpoint (RFC 6749 section 4.3, 4.4 and 6; S29).

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::ApiError;
use super::identify::Identity;
use super::mfa::login::judge;
use super::realm::userinfo::role_names;
use crate::access::{Account, AccountKind};
use crate::control::Control;
use crate::login::refresh::NotRefreshed;
use crate::login::{self, Arrival, credentials, refresh};
use crate::mfa::verify::Shown;
use crate::token::{Recipient, is_realm};

/// The client that people log in with; it has no secret (RFC 6749 section 2.1, a public client).
pub const PUBLIC_CLIENT: &str = "portunus-cli";

/// `POST /realms/{realm}/protocol/openid-connect/token`. All realms are the same one.
pub async fn issue(
    State(control): State<Arc<Control>>,
    Path(realm): Path<String>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    if !is_realm(&realm) {
        return ApiError::not_found("there is no realm with such a name").into_response();
    }
    let Ok(Form(mut form)) = form else {
        return refused(StatusCode::BAD_REQUEST, "invalid_request", "send a form (application/x-www-form-urlencoded)");
    };
    if let Some((client, secret)) = basic(&headers) {
        form.insert("client_id".to_owned(), client);
        form.insert("client_secret".to_owned(), secret);
    }
    let client_id = form.get("client_id").cloned().unwrap_or_default();
    let arrival = Arrival { realm, client_id, ..Arrival::new(&identity.origin, &headers) };
    let done = match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => of_machine(&control, &form, &arrival).await,
        Some("password") => of_person(&control, &form, &arrival).await,
        Some("refresh_token") => again(&control, &form, &arrival).await,
        Some(_) => Err(refused(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "there are client_credentials, password and refresh_token",
        )),
        None => Err(refused(StatusCode::BAD_REQUEST, "invalid_request", "`grant_type` is missing")),
    };
    match done {
        Ok(answer) => ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(response) => response,
    }
}

type Fields = HashMap<String, String>;

fn field(form: &Fields, name: &str) -> String {
    form.get(name).cloned().unwrap_or_default()
}

async fn of_machine(control: &Control, form: &Fields, arrival: &Arrival) -> Result<Value, Response> {
    let (name, secret) = (field(form, "client_id"), field(form, "client_secret"));
    let account = credentials::check(control, AccountKind::ServiceAccount, &name, secret, arrival).await;
    let wrong = ("invalid_client", "the client or its secret is not known");
    let account = account.map_err(|error| not_taken(error, wrong))?;
    let roles = role_names(control, &account).await.map_err(IntoResponse::into_response)?;
    let recipient = Recipient { realm: &arrival.realm, client_id: &arrival.client_id, roles: &roles };
    Ok(json!({
        "access_token": control.tokens.issue(&account, None, control.tokens.lifetime, &recipient),
        "token_type": "Bearer",
        "expires_in": control.tokens.lifetime,
    }))
}

async fn of_person(control: &Control, form: &Fields, arrival: &Arrival) -> Result<Value, Response> {
    check_public(form)?;
    let (name, password) = (field(form, "username"), field(form, "password"));
    let account = credentials::check(control, AccountKind::User, &name, password, arrival).await;
    let wrong = ("invalid_grant", "the user or the password is not known");
    let account = account.map_err(|error| not_taken(error, wrong))?;
    let mut methods = vec![login::PASSWORD];
    if account.second_factor.has_one {
        methods.push(second_factor(control, form, &account, arrival).await?);
    }
    if account.must_reset_password {
        let text = "a new password must be set first: log in at /v1/login";
        return Err(refused(StatusCode::BAD_REQUEST, "invalid_grant", text));
    }
    let started = login::begin(control, &account, arrival, &methods).await.map_err(IntoResponse::into_response)?;
    Ok(answer(&started))
}

/// Which second factor is in the field `otp`: the code of an app, or a backup code.
async fn second_factor(
    control: &Control,
    form: &Fields,
    account: &Account,
    arrival: &Arrival,
) -> Result<&'static str, Response> {
    let otp = field(form, "otp");
    let shown = match otp.chars().all(|c| c.is_ascii_digit()) {
        true => Shown::Code(otp.clone()),
        false => Shown::BackupCode(otp.clone()),
    };
    let refused = |text| refused(StatusCode::BAD_REQUEST, "invalid_grant", text);
    if otp.is_empty() {
        return Err(refused("this account has a second factor; send its code in the field otp"));
    }
    let judged = judge(control, account, &arrival.origin, shown, None).await;
    judged.map_err(|error| match error.status {
        StatusCode::UNAUTHORIZED => refused("the code in the field otp is not right, or was used before"),
        _ => error.into_response(),
    })
}

async fn again(control: &Control, form: &Fields, arrival: &Arrival) -> Result<Value, Response> {
    check_public(form)?;
    match refresh::rotate(control, &field(form, "refresh_token"), arrival).await {
        Ok((_, started)) => Ok(answer(&started)),
        Err(NotRefreshed::Invalid) => {
            Err(refused(StatusCode::BAD_REQUEST, "invalid_grant", "the refresh token is not valid; log in again"))
        }
        Err(NotRefreshed::Failed(error)) => Err(error.into_response()),
    }
}

fn answer(started: &login::Started) -> Value {
    json!({
        "access_token": started.access_token,
        "token_type": "Bearer",
        "expires_in": started.expires_in,
        "refresh_token": started.refresh_token,
    })
}

fn check_public(form: &Fields) -> Result<(), Response> {
    if field(form, "client_id") == PUBLIC_CLIENT {
        return Ok(());
    }
    let text = "people log in with the client portunus-cli";
    Err(refused(StatusCode::BAD_REQUEST, "unauthorized_client", text))
}

pub(super) fn not_taken(error: credentials::Refused, wrong: (&str, &str)) -> Response {
    match error {
        credentials::Refused::Wrong => refused(StatusCode::UNAUTHORIZED, wrong.0, wrong.1),
        credentials::Refused::Throttled(wait) => {
            let mut response = refused(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many wrong secrets");
            response.headers_mut().insert(RETRY_AFTER, wait.into());
            response
        }
        credentials::Refused::Busy => {
            let text = "too many secrets are being checked";
            let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", text);
            response.headers_mut().insert(RETRY_AFTER, 2.into());
            response
        }
    }
}

pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(client, secret)| (client.to_owned(), secret.to_owned()))
}

/// RFC 6749 section 5.2.
pub(super) fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    let answer = Json(json!({ "error": error, "error_description": description }));
    let mut response = (status, [(CACHE_CONTROL, "no-store")], answer).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Basic realm=\"portunus\""));
    }
    response
}
