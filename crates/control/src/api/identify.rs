//! Who calls, before anything else is asked: from the credentials of a request to a [`Principal`], once for each call.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use portunus_gateway::request_id::RequestId;
use portunus_gateway::{api_key, clock, forward};

use super::error::ApiError;
use crate::access::Account;
use crate::control::Control;
use crate::federation::bearer;
use crate::login::cookie;
use crate::login::session::{self, Session};
use crate::principal::{Origin, Principal, Proof};
use crate::serve::Peer;
use crate::token::TokenError;

/// The field in which Folionaut's clients send the key of the admin. It takes every API token.
pub const X_ADMIN_KEY: HeaderName = HeaderName::from_static("x-admin-key");

/// What the credentials of a call say.
#[derive(Clone)]
pub struct Identity {
    /// Who calls; `Ok(None)` when nothing was sent to tell, and a refusal for routes that need to know.
    pub principal: Result<Option<Arc<Principal>>, ApiError>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// Puts the [`Identity`] of a call into its extensions, and the control plane for layers that have other state.
pub async fn identify(
    State(control): State<Arc<Control>>,
    Extension(peer): Extension<Peer>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let origin = Origin {
        address: Some(client_address(&control, &parts, peer.0.ip())),
        request_id: request_id.as_str().to_owned(),
    };
    let principal = principal(&control, &parts, &origin).await;
    parts.extensions.insert(Identity { principal, origin });
    parts.extensions.insert(control);
    next.run(Request::from_parts(parts, body)).await
}

/// The client's address; what the request itself says of it counts only when it comes from a trusted proxy.
fn client_address(control: &Control, parts: &Parts, peer: IpAddr) -> IpAddr {
    let trusts = |address: IpAddr| {
        let address = address.to_canonical();
        control.settings.trusted_proxies.iter().any(|network| network.contains(&address))
    };
    forward::client_address(&parts.headers, peer, trusts)
}

/// Where a page sends the CSRF value of its session.
const CSRF_HEADER: &str = "x-csrf-token";

/// A token counts before a cookie, which browsers send unasked.
async fn principal(control: &Control, parts: &Parts, origin: &Origin) -> Result<Option<Arc<Principal>>, ApiError> {
    let known =
        match (bearer_token(parts), parts.headers.get(X_ADMIN_KEY), cookie::read(&parts.headers, cookie::SESSION)) {
            (Some(token), ..) => identify_credential(control, token, origin).await?,
            (None, Some(key), _) => of_api_token(control, key.to_str().unwrap_or_default().trim(), origin)?,
            (None, None, Some(cookie)) => whoever(control, of_cookie(control, parts, cookie).await?, origin),
            (None, None, None) => return Ok(None),
        };
    control.last_use.note([known.account.id], clock::now().as_microsecond(), origin.address);
    Ok(Some(known))
}

/// Who sends this text as their credential, here or through the gateway.
pub async fn identify_credential(control: &Control, text: &str, origin: &Origin) -> Result<Arc<Principal>, ApiError> {
    // An access token is a JWT, with its points.
    match text.starts_with(api_key::TOKEN) || !text.contains('.') {
        true => of_api_token(control, text, origin),
        false => of_bearer(control, text, origin).await,
    }
}

/// Who calls with an access token, ours or that of a provider outside.
async fn of_bearer(control: &Control, token: &str, origin: &Origin) -> Result<Arc<Principal>, ApiError> {
    let Some(provider) = bearer::provider(control, token) else { return of_access_token(control, token, origin).await };
    let external = bearer::verify(control, provider, token).await;
    let external = external.map_err(|error| ApiError::unauthorized(Some(error)))?;
    let proof = Proof::ExternalToken { provider: external.provider.id, id: external.token_id };
    Ok(whoever(control, (external.account, proof, None), origin))
}

/// Who calls with an access token of ours.
pub async fn of_access_token(control: &Control, token: &str, origin: &Origin) -> Result<Arc<Principal>, ApiError> {
    Ok(whoever(control, of_token(control, token).await?, origin))
}

fn whoever(control: &Control, (account, proof, session): Known, origin: &Origin) -> Arc<Principal> {
    if let Some(session) = &session {
        session::touch(&control.store, session);
    }
    let stepped_up_at = session.and_then(|session| session.stepped_up_at);
    Arc::new(Principal { account, proof, scopes: None, stepped_up_at, origin: origin.clone() })
}

/// What a credential says: the account, what proved it, and its session.
type Known = (Arc<Account>, Proof, Option<Session>);

async fn of_token(control: &Control, token: &str) -> Result<Known, ApiError> {
    let refused = |error| ApiError::unauthorized(Some(error));
    let verified = control.tokens.verify(token).map_err(refused)?;
    let account = control.store.access.load().account(verified.account).cloned();
    let account = account
        .filter(|account| account.generation == verified.generation)
        .ok_or_else(|| refused(TokenError::Invalid))?;
    let session = match verified.session {
        Some(id) => {
            let session = session::by_id(&control.store, id).await?;
            let now = clock::now().as_microsecond();
            Some(session.filter(|session| session.is_live(now)).ok_or_else(|| refused(TokenError::Invalid))?)
        }
        None => None,
    };
    Ok((account, Proof::AccessToken { id: verified.id, session: verified.session }, session))
}

async fn of_cookie(control: &Control, parts: &Parts, cookie: &str) -> Result<Known, ApiError> {
    let now = clock::now().as_microsecond();
    let session = session::by_cookie(&control.store, cookie).await?;
    let access = control.store.access.load();
    let session = session.filter(|session| session.is_live(now) && !session.is_idle(&access.login_policy, now));
    let session = session.ok_or_else(ApiError::session_ended)?;
    let account = access.account(session.user_id).cloned();
    let account = account.ok_or_else(ApiError::session_ended)?;
    // A page of another site can make a browser send the cookie, but it cannot read what must come with it.
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let sent = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_safe && !session::is_csrf(cookie, sent) {
        return Err(ApiError::csrf_failed());
    }
    Ok((account, Proof::Session(session.id), Some(session)))
}

/// Who an API token acts for.
fn of_api_token(control: &Control, text: &str, origin: &Origin) -> Result<Arc<Principal>, ApiError> {
    let refused = |error| ApiError::unauthorized(Some(error));
    // A mistyped token needs no look-up. A text that an operator chose has no form of ours.
    if text.starts_with(api_key::TOKEN) && !api_key::is_well_formed(text, api_key::TOKEN) {
        return Err(refused(TokenError::Invalid));
    }
    let access = control.store.access.load();
    let token = access.token(&api_key::hash(text.as_bytes())).ok_or_else(|| refused(TokenError::Invalid))?;
    let now = clock::now().as_microsecond();
    if !token.is_alive(now) {
        return Err(refused(TokenError::Expired));
    }
    let account = access.account(token.owner).cloned().ok_or_else(|| refused(TokenError::Invalid))?;
    control.last_use.note([token.id], now, origin.address);
    let proof = Proof::ApiToken { id: token.id, expires_at: token.expires_at };
    let scopes = token.scopes.clone();
    Ok(Arc::new(Principal { account, proof, scopes, stepped_up_at: None, origin: origin.clone() }))
}

/// The token in `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer_token(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
