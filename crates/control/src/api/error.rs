//! Every refusal of the control plane, as a problem document (RFC 9457).

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use jiff::Timestamp;
use portunus_gateway::error::problem_type;
use portunus_gateway::kind::Id;
use portunus_gateway::problem::Problem;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::approval::rules::Needed;
use crate::store::row::time;
use crate::store::{CommitError, StoreError};
use crate::token::TokenError;

/// A refusal: what its sender may know, and nothing else.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable code.
    pub code: &'static str,
    /// The short text for people.
    pub title: &'static str,
    /// What happened in this case.
    pub detail: String,
    /// Every fault of what was sent.
    pub errors: Vec<Problem>,
    /// A header that goes with it.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// Further members of the document.
    pub members: Option<Box<Map<String, Value>>>,
    /// The approval that the call lacks and that is to be asked for.
    pub needs_approval: Option<Arc<Needed>>,
}

/// The codes of the control plane, with status and title, for the reference page.
pub const CODES: &[(u16, &str, &str)] = &[
    (400, "bad_request", "The request is not well formed"),
    (401, "unauthorized", "The call needs a valid access token"),
    (401, "login_failed", "Nobody is logged in"),
    (401, "second_factor_required", "The login needs a second factor"),
    (401, "second_factor_refused", "The second factor is not right"),
    (401, "step_up_required", "This needs a second factor that was shown lately"),
    (403, "forbidden", "The account may not do this"),
    (403, "csrf_failed", "A call with the session's cookie needs the session's CSRF token"),
    (403, "second_factor_enrolment_required", "The account must set a second factor up first"),
    (403, "approval_required", "Others must approve this call first"),
    (403, "password_reset_required", "A new password must be set first"),
    (404, "not_found", "There is no such thing"),
    (405, "method_not_allowed", "The path does not have this method"),
    (409, "conflict", "This contradicts what is there"),
    (412, "precondition_failed", "The resource has changed in the meantime"),
    (413, "body_too_large", "The request's body is too large"),
    (415, "unsupported_media_type", "The body's media type is not taken here"),
    (422, "invalid", "The request has faults"),
    (429, "rate_limited", "Too many requests"),
    (500, "internal_error", "Something went wrong in Portunus"),
    (502, "provider_unavailable", "The identity provider does not answer as it should"),
    (503, "store_unavailable", "The store cannot be reached"),
    (503, "busy", "Too much is being done at the moment"),
];

impl ApiError {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let (status, _, title) = CODES.iter().find(|(_, known, _)| *known == code).expect("every code is in the table");
        Self {
            status: StatusCode::from_u16(*status).expect("the table holds valid codes"),
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            header: None,
            members: None,
            needs_approval: None,
        }
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new("bad_request", detail)
    }

    /// 401 with its reason in `WWW-Authenticate` (RFC 6750 section 3).
    pub fn unauthorized(reason: Option<TokenError>) -> Self {
        let (detail, challenge) = match reason {
            None => (
                "send `Authorization: Bearer <access token>`, or the cookie of a session".to_owned(),
                "Bearer realm=\"portunus\"".to_owned(),
            ),
            Some(error) => (
                error.to_string(),
                format!("Bearer realm=\"portunus\", error=\"invalid_token\", error_description=\"{error}\""),
            ),
        };
        let mut refusal = Self::new("unauthorized", detail);
        refusal.header = HeaderValue::try_from(challenge).ok().map(|value| (header::WWW_AUTHENTICATE, value));
        refusal
    }

    /// 401 for a name and a password; it never says which of them is wrong.
    pub fn login_failed() -> Self {
        Self::new("login_failed", "the name or the password is not right")
    }

    /// 401 for a session that has ended.
    pub fn session_ended() -> Self {
        Self { detail: "the session has ended; log in again".to_owned(), ..Self::unauthorized(None) }
    }

    /// 403 for a right password that must be set anew before there is a session.
    pub fn password_reset_required(token: String, expires_at: i64) -> Self {
        let detail = "send `reset_token` as `token`, with `new_password`, to /v1/login/reset";
        let mut refusal = Self::new("password_reset_required", detail);
        let members = [("reset_token".to_owned(), token.into()), ("expires_at".to_owned(), time(expires_at).into())];
        refusal.members = Some(Box::new(Map::from_iter(members)));
        refusal
    }

    /// 503 when too many secrets are being checked.
    pub fn busy() -> Self {
        let mut refusal = Self::new("busy", "too many logins at the moment; try again");
        refusal.header = Some((header::RETRY_AFTER, HeaderValue::from_static("2")));
        refusal
    }

    /// 403 for a cookie without its CSRF value.
    pub fn csrf_failed() -> Self {
        Self::new("csrf_failed", "send the value of the cookie `csrf_token` of this session in `X-CSRF-Token`")
    }

    /// 401 for a right password that is not enough: with what to send next to the second factor.
    pub fn second_factor_required(mfa_token: &str, methods: &[&str]) -> Self {
        let detail = "show a second factor with `mfa_token` at POST /v1/login/mfa";
        let mut refusal = Self { header: bearer("realm=\"portunus\""), ..Self::new("second_factor_required", detail) };
        let members = [("mfa_token".to_owned(), mfa_token.into()), ("methods".to_owned(), methods.into())];
        refusal.members = Some(Box::new(Map::from_iter(members)));
        refusal
    }

    /// 401 for a second factor that is wrong, or was used before.
    pub fn second_factor_refused() -> Self {
        let detail =
            "it is wrong, over, or was used before; a code of an app is good for one use, so wait for the next";
        Self { header: bearer("realm=\"portunus\""), ..Self::new("second_factor_refused", detail) }
    }

    /// 401 for a session whose second factor is too old for this (RFC 9470); `fresh` is in microseconds.
    pub fn step_up_required(fresh: i64) -> Self {
        let seconds = fresh / 1_000_000;
        let challenge = format!(
            "error=\"insufficient_user_authentication\", \
             error_description=\"A second factor must have been shown within {seconds} seconds\", max_age={seconds}"
        );
        let detail = "show your second factor at POST /v1/me/step-up, then send this call again";
        Self { header: bearer(&challenge), ..Self::new("step_up_required", detail) }
    }

    /// 403 for somebody who must have a second factor and has none.
    pub fn enrolment_required() -> Self {
        let detail =
            "set one up at POST /v1/me/mfa/totp or POST /v1/me/mfa/webauthn; until then nothing else can be called";
        Self::new("second_factor_enrolment_required", detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("forbidden", detail)
    }

    /// 403 for a call that needs approval, which is yet to be asked for.
    pub fn needs_approval(needed: Needed) -> Self {
        let detail = "others must approve this call first; repeat it to ask for that";
        Self { needs_approval: Some(Arc::new(needed)), ..Self::new("approval_required", detail) }
    }

    /// 403 for a call that waits for approval.
    pub fn approval_asked(id: Id, expires_at: Timestamp, needed: usize) -> Self {
        let by = if needed == 1 { "another account".to_owned() } else { format!("{needed} other accounts") };
        let detail = format!(
            "{by} must approve request {id} until {expires_at}; then repeat the same call, and it is let through once"
        );
        let mut refusal = Self::new("approval_required", detail);
        let link = format!("</v1/approvals/{id}>; rel=\"https://portunus.dev/rel/approval\"");
        refusal.header = HeaderValue::try_from(link).ok().map(|link| (header::LINK, link));
        let members = [("approval_id", id.to_string()), ("expires_at", expires_at.to_string())];
        refusal.members =
            Some(Box::new(members.map(|(name, text)| (name.to_owned(), text.into())).into_iter().collect()));
        refusal
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new("not_found", detail)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new("method_not_allowed", "the `Allow` header names the methods that it has")
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>, errors: Vec<Problem>) -> Self {
        Self { errors, ..Self::new("conflict", detail) }
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new("body_too_large", detail)
    }

    /// 415.
    pub fn media_type(expected: &str) -> Self {
        Self::new("unsupported_media_type", format!("send the body as {expected}"))
    }

    /// 422.
    pub fn invalid(errors: Vec<Problem>) -> Self {
        let detail = match errors.len() {
            1 => "one field is wrong".to_owned(),
            count => format!("{count} fields are wrong"),
        };
        Self { errors, ..Self::new("invalid", detail) }
    }

    /// 429.
    pub fn rate_limited(wait_seconds: u64) -> Self {
        let mut refusal = Self::new("rate_limited", format!("try again in {wait_seconds} s"));
        refusal.header = Some((header::RETRY_AFTER, HeaderValue::from(wait_seconds)));
        refusal
    }

    /// 500.
    pub fn internal() -> Self {
        Self::new("internal_error", "the log says more, under the request's id")
    }

    /// 502.
    pub fn provider_unavailable() -> Self {
        Self::new("provider_unavailable", "nobody is logged in; the log says more, under the request's id")
    }

    /// 401 for somebody whom a provider outside vouches for, and who is nobody here all the same.
    pub fn not_let_in(reason: &str) -> Self {
        Self { detail: format!("nobody is logged in: {reason}"), ..Self::new("login_failed", "") }
    }

    /// 503.
    pub fn store(error: impl std::fmt::Display) -> Self {
        tracing::error!(target: "control", error = %error, "database_connection_failed");
        let mut refusal = Self::new("store_unavailable", "nothing was changed; traffic is still served");
        refusal.header = Some((header::RETRY_AFTER, HeaderValue::from_static("1")));
        refusal
    }

    /// The document. Without the request's id it is not complete; see [`super::guard`].
    pub fn render(self, request_id: &str) -> Response<Body> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
            errors: &'a [Problem],
            #[serde(flatten)]
            members: Option<&'a Map<String, Value>>,
        }
        let document = Document {
            r#type: problem_type(self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
            members: self.members.as_deref(),
        };
        let text = serde_json::to_vec(&document).expect("a problem document serialises to JSON");
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A challenge for bearer tokens.
fn bearer(parameters: &str) -> Option<(HeaderName, HeaderValue)> {
    HeaderValue::try_from(format!("Bearer {parameters}")).ok().map(|value| (header::WWW_AUTHENTICATE, value))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotFound(kind) => Self::not_found(format!("there is no such {kind}")),
            CommitError::Invalid(errors) => Self::invalid(errors),
            CommitError::Conflict(errors) => Self::conflict("the change contradicts what is there", errors),
            CommitError::Stale(revision) => Self::new(
                "precondition_failed",
                format!("the resource is at revision {revision} by now; read it again"),
            ),
            CommitError::Forbidden(detail) => Self::forbidden(detail),
            CommitError::NeedsApproval(needed) => Self::needs_approval(needed),
            CommitError::Store(error) => Self::store(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::store(error)
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::store(error)
    }
}
