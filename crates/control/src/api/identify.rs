//! Who calls, before anything else is asked: from the credentials of a request to a [`Principal`], once for each call.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use portunus_gateway::forward;
use portunus_gateway::request_id::RequestId;

use crate::control::Control;
use crate::principal::{Origin, Principal, Proof};
use crate::serve::Peer;
use crate::token::TokenError;

/// What the credentials of a call say.
#[derive(Clone)]
pub struct Identity {
    /// Who calls; `Ok(None)` when nothing was sent to tell.
    pub principal: Result<Option<Arc<Principal>>, TokenError>,
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
    let principal = principal(&control, &parts, &origin);
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

fn principal(control: &Control, parts: &Parts, origin: &Origin) -> Result<Option<Arc<Principal>>, TokenError> {
    let Some(token) = bearer(parts) else { return Ok(None) };
    of_access_token(control, token, origin).map(Some)
}

/// Who calls with an access token of ours.
pub fn of_access_token(control: &Control, token: &str, origin: &Origin) -> Result<Arc<Principal>, TokenError> {
    let verified = control.tokens.verify(token)?;
    let account = control.store.access.load().account(verified.account).cloned().ok_or(TokenError::Invalid)?;
    let proof = Proof::AccessToken { id: verified.id, session: verified.session };
    Ok(Arc::new(Principal { account, proof, scopes: None, stepped_up_at: None, origin: origin.clone() }))
}

/// The token in `Authorization: Bearer` (RFC 6750 section 2.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
