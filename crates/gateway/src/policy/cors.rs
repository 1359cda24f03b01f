//! `cors`: which web pages of other origins may call (Fetch standard, section 3.2).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, Phase, Policy};
use crate::body::Body;
use crate::exchange::{Exchange, Flow};
use crate::problem::Problem;

/// Lets web pages of other origins call. It answers preflight requests itself, and adds its headers to every answer,
/// also to refusals, so that the page can read them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins that may call, such as `https://app.example.com`, or `*` for all.
    #[schemars(length(min = 1, max = 1000))]
    pub origins: Vec<String>,
    /// Methods that may be used, or `*`.
    #[serde(default = "methods")]
    #[schemars(length(max = 32))]
    pub methods: Vec<String>,
    /// Request headers that may be sent, or `*`.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub headers: Vec<String>,
    /// Answer headers that the page may read.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub expose_headers: Vec<String>,
    /// Whether cookies and credentials may be sent; then no list may be `*`.
    #[serde(default)]
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight, in seconds.
    #[serde(default = "max_age")]
    #[schemars(range(min = 0, max = 86_400))]
    pub max_age: u32,
}

fn methods() -> Vec<String> {
    ["GET", "HEAD", "POST"].map(str::to_owned).to_vec()
}

fn max_age() -> u32 {
    600
}

/// The compiled policy.
pub struct Cors {
    any_origin: bool,
    origins: Vec<HeaderValue>,
    methods: HeaderValue,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

impl Policy for Cors {
    const PHASE: Phase = Phase::Cors;
    const EXAMPLE: &'static str =
        "origins: [https://app.example.com]\nmethods: [GET, POST]\nheaders: [Content-Type, X-API-Key]\nmax_age: 3600\n";
    type Config = CorsConfig;

    fn compile(config: &CorsConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for (index, origin) in config.origins.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                problems.push(
                    Problem::new(
                        format!("/origins/{index}"),
                        "not an origin",
                        "https://host[:port] without a path, or *",
                    )
                    .found(origin.as_str()),
                );
            }
        }
        for (index, method) in config.methods.iter().enumerate() {
            if method != "*" && Method::from_bytes(method.as_bytes()).is_err() {
                problems.push(
                    Problem::new(format!("/methods/{index}"), "not a method", "such as GET, or *")
                        .found(method.as_str()),
                );
            }
        }
        for (field, names) in [("headers", &config.headers), ("expose_headers", &config.expose_headers)] {
            for (index, name) in names.iter().enumerate() {
                if name != "*" && HeaderName::try_from(name.as_str()).is_err() {
                    problems.push(
                        Problem::new(format!("/{field}/{index}"), "not a header name", "such as Content-Type, or *")
                            .found(name.as_str()),
                    );
                }
            }
        }
        if config.credentials {
            for (field, list) in [
                ("origins", &config.origins),
                ("methods", &config.methods),
                ("headers", &config.headers),
                ("expose_headers", &config.expose_headers),
            ] {
                if let Some(index) = list.iter().position(|item| item == "*") {
                    problems.push(
                        Problem::new(
                            format!("/{field}/{index}"),
                            "browsers do not take * together with credentials",
                            "each one by name",
                        )
                        .found("*"),
                    );
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let value = |text: &str| HeaderValue::from_str(text).expect("checked above");
        let list = |items: &[String]| (!items.is_empty()).then(|| value(&items.join(", ")));
        Ok(Self {
            any_origin: config.origins.iter().any(|origin| origin == "*"),
            origins: config.origins.iter().map(|origin| value(origin)).collect(),
            methods: value(&config.methods.join(", ")),
            headers: list(&config.headers),
            expose: list(&config.expose_headers),
            credentials: config.credentials,
            max_age: value(&config.max_age.to_string()),
        })
    }

    async fn request(&self, x: &mut Exchange<'_>) -> Flow {
        if !x.is_preflight() {
            return Flow::Next;
        }
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        if self.allowed_origin(&x.head.headers).is_some() {
            let headers = answer.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            if let Some(names) = &self.headers {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        Flow::Reply(Box::new(answer))
    }

    fn response(&self, x: &Exchange<'_>, head: &mut response::Parts) {
        // The upstream's own opinion would contradict the policy.
        head.headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        head.headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        if !self.any_origin || x.is_preflight() {
            head.headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.allowed_origin(&x.head.headers) else { return };
        head.headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            head.headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let (Some(names), false) = (&self.expose, x.is_preflight()) {
            head.headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
    }
}

impl Cors {
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        if self.any_origin {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().find(|allowed| *allowed == origin).cloned()
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    is_scheme
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@".contains(&b) && !b.is_ascii_uppercase())
}
