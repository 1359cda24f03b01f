//! Logins at a provider outside, as a browser sees them: away to the provider, and back.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use serde::Deserialize;
use serde_json::json;
use sqlx::Row as _;

use super::error::ApiError;
use super::identify::Identity;
use super::mfa::login::second_half;
use super::routes::{Needs, Routes};
use crate::audit::event::NewEvent;
use crate::control::Control;
use crate::federation::login::{self as outside, Begun, CALLBACK, Failed};
use crate::federation::remote::Want;
use crate::federation::{Provider, account};
use crate::login::session::sha256;
use crate::login::{self, Arrival, cookie};

/// How long a person may take at the provider, in seconds.
const PATIENCE: i64 = 600;

/// The most logins that are under way at once; the oldest make room.
const MOST: i64 = 10_000;

/// The longest path to go back to.
const LONGEST_PATH: usize = 2_000;

/// The routes.
pub fn routes() -> Routes {
    Routes::default().get("/v1/login/oidc/{provider}/start", Needs::Nothing("it begins a login"), start).get(
        CALLBACK,
        Needs::Nothing("it takes what the provider says of who logs in"),
        callback,
    )
}

/// Where to go after the login.
#[derive(Debug, Deserialize)]
pub struct Start {
    return_to: Option<String>,
}

/// What a provider sends back.
#[derive(Debug, Deserialize)]
pub struct Answer {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// A login that is under way.
struct Pending {
    provider_id: Id,
    nonce: String,
    verifier: String,
    binding: String,
    return_to: String,
}

/// `GET /v1/login/oidc/{provider}/start`.
async fn start(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
    Query(query): Query<Start>,
) -> Result<Response, ApiError> {
    let return_to = query.return_to.unwrap_or_else(|| "/".to_owned());
    if !is_local(&return_to) {
        return Err(ApiError::bad_request("`return_to` is a path of this server, such as /console"));
    }
    let provider = find(&control, &name)
        .ok_or_else(|| ApiError::not_found(format!("there is no identity provider {name} to log in at")))?;
    let begun = outside::begin(&control, &provider).await.map_err(|failed| unavailable(&provider, &failed))?;
    let (url, cookie_name, binding) = (begun.url.clone(), cookie_name(&begun.state), api_key::random_text(43));
    keep(&control, &provider, begun, sha256(&binding), return_to).await?;
    let mut response = redirect(&url);
    set_cookie(&control, &mut response, &cookie_name, &binding, PATIENCE);
    Ok(response)
}

/// A path and nothing that a browser takes for another server.
fn is_local(path: &str) -> bool {
    path.len() <= LONGEST_PATH
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The provider with this id or name that people can log in at. The platform's come first; a name that several tenants
/// use names none.
fn find(control: &Control, text: &str) -> Option<Arc<Provider>> {
    let access = control.store.access.load();
    let fits: Vec<&Arc<Provider>> = access
        .providers()
        .filter(|known| known.spec.client_id.is_some())
        .filter(|known| known.name == text || known.id.to_string() == text)
        .collect();
    let of_platform = fits.iter().find(|known| Some(known.tenant_id) == access.platform);
    match (of_platform, fits.as_slice()) {
        (Some(provider), _) => Some(Arc::clone(provider)),
        (None, [only]) => Some(Arc::clone(only)),
        _ => None,
    }
}

async fn keep(
    control: &Control,
    provider: &Provider,
    begun: Begun,
    binding: String,
    return_to: String,
) -> Result<(), ApiError> {
    let provider_id = provider.id.to_string();
    control
        .store
        .transact(move |write| {
            Box::pin(async move {
                sqlx::query("DELETE FROM oidc_login WHERE expires_at < $1")
                    .bind(write.now)
                    .execute(&mut *write.db)
                    .await?;
                sqlx::query(
                    "DELETE FROM oidc_login WHERE state IN \
                     (SELECT state FROM oidc_login ORDER BY expires_at DESC LIMIT -1 OFFSET $1)",
                )
                .bind(MOST - 1)
                .execute(&mut *write.db)
                .await?;
                sqlx::query(
                    "INSERT INTO oidc_login (state, provider_id, nonce, verifier, binding, return_to, expires_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(sha256(&begun.state))
                .bind(provider_id)
                .bind(begun.nonce)
                .bind(begun.verifier)
                .bind(binding)
                .bind(return_to)
                .bind(write.now + PATIENCE * login::SECOND)
                .execute(write.db)
                .await?;
                Ok(())
            })
        })
        .await
        .map_err(ApiError::store)
}

/// `GET /v1/login/oidc/callback`.
async fn callback(
    State(control): State<Arc<Control>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, ApiError> {
    let stale = || ApiError::bad_request("this login was not begun in this browser, took too long, or is done already");
    let state = answer.state.ok_or_else(stale)?;
    let pending = take(&control, &state).await?.ok_or_else(stale)?;
    let cookie_name = cookie_name(&state);
    // Whoever is sent here by somebody else has not begun this login.
    if cookie::read(&headers, &cookie_name).is_none_or(|binding| sha256(binding) != pending.binding) {
        return Err(stale());
    }
    let provider = control.store.access.load().providers().find(|known| known.id == pending.provider_id).cloned();
    let provider = provider.ok_or_else(stale)?;
    let refused = Refused { control: &control, identity: &identity, provider: &provider };
    // RFC 9207: the answer of one provider is not taken for that of another.
    let remote = control.federation.remote(&provider);
    let known = remote.known(&control.federation.http, &provider, Want::Any).await;
    let known = known.map_err(|error| unavailable(&provider, &Failed::Unreachable(error)))?;
    let must_name = known.metadata.authorization_response_iss_parameter_supported;
    if answer.iss.as_ref().map_or(must_name, |iss| *iss != provider.spec.issuer) {
        return Err(refused
            .because("issuer", "the answer is not that of the provider where the login was begun")
            .await);
    }
    if answer.error.is_some() {
        return Err(refused.because("provider", "the provider says that nobody has logged in").await);
    }
    let code = answer.code.ok_or_else(stale)?;
    let claims = match outside::finish(&control, &provider, code, pending.nonce, pending.verifier).await {
        Ok(claims) => claims,
        Err(failed @ (Failed::Unreachable(_) | Failed::NotSetUp(_))) => return Err(unavailable(&provider, &failed)),
        Err(failed) => {
            let name = &provider.name;
            tracing::warn!(target: "control", provider = name, error = %failed, "external_login_refused");
            return Err(refused.because("token", "what the provider says is not valid").await);
        }
    };
    let account = match account::of_login(&control, &provider, &claims).await {
        Ok(account) => account,
        Err(account::Denied::Store(error)) => return Err(ApiError::store(error)),
        Err(denied) => return Err(refused.because(denied.code(), &denied.to_string()).await),
    };
    // The provider stands for the password, and not for a second factor that was set up here.
    if account.second_factor.has_one {
        return Err(second_half(&control, &account).await?);
    }
    let arrival = Arrival::new(&identity.origin, &headers);
    let started = login::begin(&control, &account, &arrival, &["oidc"]).await?;
    let mut response = redirect(&pending.return_to);
    set_cookie(&control, &mut response, &cookie_name, "", 0);
    if let Some(value) = &started.cookie {
        let settings = &control.settings;
        cookie::set(response.headers_mut(), value, started.session.seconds(), settings.https_enabled);
    }
    Ok(response)
}

/// Takes a login out of the table: it can be finished once.
async fn take(control: &Control, state: &str) -> Result<Option<Pending>, ApiError> {
    let state = sha256(state);
    let row = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                sqlx::query(
                    "DELETE FROM oidc_login WHERE state = $1 \
                     RETURNING provider_id, nonce, verifier, binding, return_to, expires_at",
                )
                .bind(state)
                .fetch_optional(write.db)
                .await?
                .map(|row| {
                    let id: &str = row.try_get("provider_id")?;
                    let pending = Pending {
                        provider_id: id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
                        nonce: row.try_get("nonce")?,
                        verifier: row.try_get("verifier")?,
                        binding: row.try_get("binding")?,
                        return_to: row.try_get("return_to")?,
                    };
                    Ok((pending, row.try_get::<i64, _>("expires_at")? >= write.now))
                })
                .transpose()
            })
        })
        .await
        .map_err(ApiError::store)?;
    Ok(row.and_then(|(pending, is_in_time)| is_in_time.then_some(pending)))
}

/// Tells of a login that came to nothing.
struct Refused<'a> {
    control: &'a Control,
    identity: &'a Identity,
    provider: &'a Provider,
}

impl Refused<'_> {
    async fn because(&self, reason: &str, text: &str) -> ApiError {
        let event = NewEvent::new(login::stranger(&self.identity.origin), "login.failed")
            .of(self.provider.tenant_id)
            .denied(reason)
            .with(json!({ "provider_id": self.provider.id, "methods": ["oidc"] }));
        match self.control.store.record(vec![event]).await {
            Ok(()) => ApiError::not_let_in(text),
            Err(error) => ApiError::store(error),
        }
    }
}

fn unavailable(provider: &Provider, failed: &Failed) -> ApiError {
    let name = &provider.name;
    tracing::warn!(target: "control", provider = name, error = %failed, "external_login_failed");
    ApiError::provider_unavailable()
}

fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(to) = HeaderValue::try_from(to) {
        headers.insert(LOCATION, to);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Each login has a cookie of its own, so that several can be under way in one browser.
fn cookie_name(state: &str) -> String {
    format!("portunus_oidc_{}", &sha256(state)[..12])
}

fn set_cookie(control: &Control, response: &mut Response, name: &str, value: &str, max_age: i64) {
    let secure = if control.settings.https_enabled { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={CALLBACK}; Max-Age={max_age}; SameSite=Lax; HttpOnly{secure}");
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_to_paths_of_this_server_only() {
        for good in ["/", "/console", "/console?tab=1#x", "/a//b"] {
            assert!(is_local(good), "{good}");
        }
        let long = format!("/{}", "x".repeat(LONGEST_PATH));
        for bad in ["", "console", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/ä", &long]
        {
            assert!(!is_local(bad), "{bad}");
        }
    }
}
