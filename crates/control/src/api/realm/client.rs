//! Which client asks: by its secret, in the form or by basic authentication (RFC 6749 section 2.3.1).

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::http::header::HeaderMap;
use axum::response::Response;

use super::super::token::{PUBLIC_CLIENT, basic, not_taken, refused};
use crate::access::{Account, AccountKind};
use crate::control::Control;
use crate::login::{Arrival, credentials};
use crate::principal::Origin;

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
    origin: &Origin,
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
    let arrival = Arrival::new(origin, headers);
    match credentials::check(control, AccountKind::ServiceAccount, &name, secret, &arrival).await {
        Ok(account) => Ok((form, Client::Confidential(account))),
        Err(error) => Err(Box::new(not_taken(error, UNKNOWN))),
    }
}

/// What is said of a client that is not taken.
const UNKNOWN: (&str, &str) = ("invalid_client", "the client or its secret is not known");

fn unknown() -> Response {
    refused(StatusCode::UNAUTHORIZED, UNKNOWN.0, UNKNOWN.1)
}
