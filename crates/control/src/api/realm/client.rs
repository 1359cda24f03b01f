//! Which client asks: by its secret, in the form or by basic authentication (RFC 6749 section 2.3.1).

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, RETRY_AFTER};
use axum::response::Response;

use super::super::token::{PUBLIC_CLIENT, basic, refused};
use crate::access::{Account, AccountKind};
use crate::control::Control;
use crate::password;
use crate::serve::Peer;

/// A form of the provider's endpoints.
pub type Fields = Result<Form<HashMap<String, String>>, FormRejection>;

/// A client that was proved.
pub enum Client {
    /// A service account.
    Confidential(Arc<Account>),
    /// The client of people, which has no secret.
    Public,
}

impl Client {
    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Confidential(account) => &account.name,
            Self::Public => PUBLIC_CLIENT,
        }
    }
}

/// The fields of a form with the client that sent it, or the refusal.
pub async fn authenticate(
    control: &Control,
    peer: Peer,
    headers: &HeaderMap,
    form: Fields,
) -> Result<(HashMap<String, String>, Client), Box<Response>> {
    let Ok(Form(form)) = form else {
        let text = "send a form (application/x-www-form-urlencoded)";
        return Err(Box::new(refused(StatusCode::BAD_REQUEST, "invalid_request", text)));
    };
    let given = basic(headers).or_else(|| Some((form.get("client_id")?.clone(), form.get("client_secret")?.clone())));
    let Some((name, secret)) = given else {
        if form.get("client_id").is_some_and(|id| id == PUBLIC_CLIENT) {
            return Ok((form, Client::Public));
        }
        return Err(Box::new(unknown()));
    };
    let address = peer.0.ip();
    if let Some(wait) = control.throttle.is_guessing(address, &name) {
        let mut response =
            refused(StatusCode::TOO_MANY_REQUESTS, "slow_down", "too many wrong secrets from this address");
        response.headers_mut().insert(RETRY_AFTER, wait.into());
        return Err(Box::new(response));
    }
    let account = control.store.access.load().named(AccountKind::ServiceAccount, &name).cloned();
    let hash = account.as_ref().and_then(|account| account.secret_hash.clone());
    match (password::verify(hash, secret).await, account) {
        (true, Some(account)) => Ok((form, Client::Confidential(account))),
        _ => {
            control.throttle.guessed_wrong(address, &name);
            Err(Box::new(unknown()))
        }
    }
}

fn unknown() -> Response {
    refused(StatusCode::UNAUTHORIZED, "invalid_client", "the client or its secret is not known")
}
