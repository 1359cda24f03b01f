//! Who calls, before anything else is asked: from the credentials of a request to a [`Principal`], once for each call.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use portunus_gateway::clock;
use portunus_gateway::forward;
use portunus_gateway::request_id::RequestId;

use super::error::ApiError;
use crate::access::Account;
use crate::control::Control;
use crate::login::cookie;
use crate::login::session::{self, Session};
use crate::principal::{Origin, Principal, Proof};
use crate::serve::Peer;
use crate::token::TokenError;

/// What the credentials of a call say.
#[derive(Clone)]
pub struct Identity {
    /// Who calls; `Ok(None)` when nothing was sent to tell, and a refusal for routes that need to know.
    pub principal: Result<Option<Arc<Principal>>, ApiError>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// Puts the [`Identity`] of a call into its extensions.
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
    let known = match (bearer(parts), cookie::read(&parts.headers, cookie::SESSION)) {
        (Some(token), _) => return of_access_token(control, token, origin).await.map(Some),
        (None, Some(cookie)) => of_cookie(control, parts, cookie).await?,
        (None, None) => return Ok(None),
    };
    Ok(Some(whoever(control, known, origin)))
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
    let session = session.filter(|session| session.is_live(now) && !session.is_idle(now));
    let session = session.ok_or_else(ApiError::session_ended)?;
    let account = control.store.access.load().account(session.user_id).cloned();
    let account = account.ok_or_else(ApiError::session_ended)?;
    // A page of another site can make a browser send the cookie, but it cannot read what must come with it.
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let sent = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_safe && !session::is_csrf(cookie, sent) {
        return Err(ApiError::csrf_failed());
    }
    Ok((account, Proof::Session(session.id), Some(session)))
}

/// The token in `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
