//! Everything that can refuse a request, in one table, and the one place that renders it.

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use crate::body::Body;
use crate::kind::Id;

macro_rules! refusals {
    ($($name:ident = $status:literal $code:literal $title:literal $hint:literal;)*) => {
        /// Why a request is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refusal {
            $(#[doc = $title] $name,)*
        }

        impl Refusal {
            /// Every refusal, for the reference page.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status code.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The stable code in the problem document and the log.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The short text for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What it means or what to do, when nothing more is known of the case.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

refusals! {
    BadRequest = 400 "bad_request" "The request is not well formed" "see RFC 9110 and RFC 9112";
    MissingApiKey = 401 "missing_api_key" "This API needs an API key" "send it in the header that the API asks for, usually X-API-Key";
    InvalidApiKey = 401 "invalid_api_key" "The API key is not known" "check it, or ask for a new one";
    RevokedApiKey = 401 "revoked_api_key" "The API key was revoked" "ask for a new one";
    ExpiredApiKey = 401 "expired_api_key" "The API key has expired" "ask for a new one";
    MissingIdentity = 401 "missing_identity" "This route needs an account" "send an access token or API token as Authorization: Bearer";
    InvalidIdentity = 401 "invalid_identity" "The token is not valid" "get a new one";
    RoleRequired = 403 "role_required" "The account may not call this route" "ask for one of the roles that it takes";
    ApprovalRequired = 403 "approval_required" "Others must approve this call first" "repeat the same call once it is approved";
    TooManyApprovals = 409 "too_many_approvals" "Too many calls of this caller wait for approval" "wait until they are decided, or cancel some";
    NoSubscription = 403 "no_subscription" "The API key is not for this API" "subscribe to the API with the consumer that the key belongs to";
    SubscriptionPending = 403 "subscription_pending" "The subscription waits for approval" "it can be used once somebody has approved it";
    SubscriptionSuspended = 403 "subscription_suspended" "The subscription is suspended" "it can be used again once it is resumed";
    SubscriptionExpired = 403 "subscription_expired" "The subscription has expired" "ask for a new subscription";
    ConsumerSuspended = 403 "consumer_suspended" "The consumer is suspended" "its calls are let through again once it is active";
    AddressDenied = 403 "ip_denied" "The address is not allowed" "calls from this address are not let through";
    NoRoute = 404 "no_route" "No API answers on this path" "check the host and the path";
    MethodNotAllowed = 405 "method_not_allowed" "The path does not have this method" "the Allow header names the methods that it has";
    RequestTimeout = 408 "request_timeout" "The request did not come in time" "send it faster, or in parts";
    BodyTooLarge = 413 "body_too_large" "The request's body is too large" "send less, or in parts";
    UriTooLong = 414 "uri_too_long" "The request's path and query are too long" "send less in the query, or in the body";
    UnknownExpectation = 417 "unknown_expectation" "The expectation cannot be met" "only 100-continue is known";
    RateLimited = 429 "rate_limited" "Too many requests" "Retry-After says when to try again";
    HeadTooLarge = 431 "head_too_large" "The request's head is too large" "send fewer or shorter headers";
    Internal = 500 "internal_error" "Something went wrong in the gateway" "the log says more, under the id of the request";
    UnknownCoding = 501 "unknown_transfer_coding" "The transfer coding is not known" "only chunked is understood";
    UpstreamUnreachable = 502 "upstream_unreachable" "The upstream cannot be reached" "try again later";
    UpstreamFailed = 502 "upstream_error" "The upstream broke off its answer" "try again later";
    UpstreamSecretMissing = 503 "upstream_secret_missing" "The gateway's own credential for the upstream is missing" "the operator: the log says secret_unreadable";
    NoTarget = 503 "no_target" "The upstream has no target to send to" "try again later";
    IdentityUnavailable = 503 "identity_unavailable" "Accounts and approvals cannot be looked up" "try again later";
    Overloaded = 503 "overloaded" "The gateway has too much to do" "Retry-After says when to try again";
    UpstreamOverloaded = 503 "upstream_overloaded" "The upstream has all the requests it may have" "Retry-After says when to try again";
    UpstreamTimeout = 504 "upstream_timeout" "The upstream took too long" "try again later";
    UnknownVersion = 505 "unknown_http_version" "The version of HTTP is not known" "use HTTP/1.1 or HTTP/2";
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct Rejection {
    /// Why.
    pub refusal: Refusal,
    /// What happened in this case, for the client's eyes.
    pub detail: Option<String>,
    /// Headers that go with it, such as `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The request for approval that the call waits for.
    pub approval: Option<Box<PendingApproval>>,
}

/// A request for approval that a call waits for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PendingApproval {
    /// Its id.
    #[serde(rename = "approval_id")]
    pub id: Id,
    /// Until when it waits.
    pub expires_at: Timestamp,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, detail: None, headers: Vec::new(), approval: None }
    }
}

impl Rejection {
    /// A refusal with what happened in this case.
    pub fn new(refusal: Refusal, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..refusal.into() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The answer: a problem document (RFC 9457).
    pub fn into_response(self, request_id: &str) -> Response<Body> {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: String,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            request_id: &'a str,
            #[serde(flatten, skip_serializing_if = "Option::is_none")]
            approval: Option<&'a PendingApproval>,
        }
        let document = Document {
            r#type: problem_type(self.refusal.code()),
            title: self.refusal.title(),
            status: self.refusal.status(),
            detail: self.detail.as_deref().unwrap_or(self.refusal.hint()),
            code: self.refusal.code(),
            request_id,
            approval: self.approval.as_deref(),
        };
        let text = serde_json::to_vec(&document).expect("a problem document serialises to JSON");
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(self.refusal.status()).expect("the table holds valid codes");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response
    }
}

/// The `type` member of a problem document.
pub fn problem_type(code: &str) -> String {
    format!("https://portunus.dev/problems/{code}")
}
