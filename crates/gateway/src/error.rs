//! Everything that can refuse a request, in one table, and the one place that renders it.

use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;
use smallvec::SmallVec;

use crate::body::Body;

macro_rules! refusals {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {
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
        }
    };
}

refusals! {
    BadRequest = 400 "bad_request" "The request is not well formed";
    MissingApiKey = 401 "missing_api_key" "This API needs an API key";
    InvalidApiKey = 401 "invalid_api_key" "The API key is not known";
    RevokedApiKey = 401 "revoked_api_key" "The API key was revoked";
    ExpiredApiKey = 401 "expired_api_key" "The API key has expired";
    NoSubscription = 403 "no_subscription" "The API key is not for this API";
    SubscriptionPending = 403 "subscription_pending" "The subscription waits for approval";
    SubscriptionSuspended = 403 "subscription_suspended" "The subscription is suspended";
    SubscriptionExpired = 403 "subscription_expired" "The subscription has expired";
    ConsumerSuspended = 403 "consumer_suspended" "The consumer is suspended";
    AddressDenied = 403 "ip_denied" "The address is not allowed";
    NoRoute = 404 "no_route" "No API answers on this path";
    MethodNotAllowed = 405 "method_not_allowed" "The path does not have this method";
    BodyTooLarge = 413 "body_too_large" "The request's body is too large";
    UriTooLong = 414 "uri_too_long" "The request's path and query are too long";
    RateLimited = 429 "rate_limited" "Too many requests";
    Internal = 500 "internal_error" "Something went wrong in the gateway";
    UpstreamUnreachable = 502 "upstream_unreachable" "The upstream cannot be reached";
    UpstreamFailed = 502 "upstream_failed" "The upstream broke off its answer";
    NoTarget = 503 "no_target" "The upstream has no target to send to";
    UpstreamTimeout = 504 "upstream_timeout" "The upstream took too long";
}

impl Refusal {
    /// Whether it concerns who is calling.
    pub const fn is_authentication(self) -> bool {
        matches!(self.status(), 401 | 403) && !matches!(self, Self::AddressDenied)
    }
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct Rejection {
    /// Why.
    pub refusal: Refusal,
    /// What happened in this case, for the client's eyes.
    pub detail: Option<String>,
    /// Headers that go with it, such as `Retry-After`.
    pub headers: SmallVec<[(HeaderName, HeaderValue); 2]>,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, detail: None, headers: SmallVec::new() }
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
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
            code: &'a str,
            request_id: &'a str,
        }
        let document = Document {
            r#type: problem_type(self.refusal.code()),
            title: self.refusal.title(),
            status: self.refusal.status(),
            detail: self.detail.as_deref(),
            code: self.refusal.code(),
            request_id,
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
