//! One HTTP call with a real client, and the answer as a test wants to look at it.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::runtime::block_on;

/// The deadline of a call that does not set its own.
const DEADLINE: Duration = Duration::from_secs(30);

fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("an HTTP client can be built")
    })
}

/// A request in the making.
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    request: RequestBuilder,
}

impl Call {
    /// A call with any method.
    ///
    /// # Panics
    /// When `method` is not an HTTP method token.
    pub fn new(method: &str, url: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).expect("an HTTP method");
        Self { request: client().request(method, url).timeout(DEADLINE) }
    }

    /// A GET.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A POST.
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// Adds one header field.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value) }
    }

    /// Adds the API key in its usual header.
    pub fn key(self, key: &str) -> Self {
        self.header("X-API-Key", key)
    }

    /// Adds a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        Self { request: self.request.bearer_auth(token) }
    }

    /// Sends these bytes as the body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { request: self.request.body(body.into()) }
    }

    /// Sends JSON with its content type.
    pub fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body) }
    }

    /// Sends a form with its content type.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        Self { request: self.request.form(fields) }
    }

    /// Gives up after `deadline`.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { request: self.request.timeout(deadline) }
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// When there is no HTTP answer.
    pub fn send(self) -> Answer {
        match self.try_send() {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error:?}"),
        }
    }

    /// Sends it and reads the whole answer, or says why there is none.
    ///
    /// # Errors
    /// When the connection fails, breaks, or the deadline passes.
    pub fn try_send(self) -> Result<Answer, reqwest::Error> {
        block_on(async {
            let response = self.request.send().await?;
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let body = response.bytes().await?.to_vec();
            let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
            Ok(Answer { status, headers, body, json })
        })
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// The body read as JSON; null when it is none.
    pub json: Value,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header field; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All values of a header field, joined as one list.
    pub fn header_list(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    }

    /// Insists on a status.
    ///
    /// # Panics
    /// With the body, when the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "body: {}", self.text());
        self
    }

    /// Insists on a status, for when the answer is of no further interest.
    ///
    /// # Panics
    /// With the body, when the status is another one.
    #[track_caller]
    pub fn is(&self, status: u16) {
        assert_eq!(self.status, status, "body: {}", self.text());
    }

    /// Insists on a problem document (RFC 9457) of this status and code.
    ///
    /// # Panics
    /// When the status, content type, code or one of the document's own members is not as promised.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let answer = self.refused(status);
        assert_eq!(answer.json["code"], code, "body: {}", answer.text());
        answer
    }

    /// Insists on a complete problem document of this status, whatever its code.
    ///
    /// # Panics
    /// When the status, content type or one of the document's own members is not as promised.
    #[track_caller]
    pub fn refused(self, status: u16) -> Self {
        assert_eq!(self.status, status, "body: {}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "body: {}", self.text());
        assert_eq!(self.json["status"], status, "body: {}", self.text());
        for member in ["type", "title", "code", "request_id"] {
            let text = self.json[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "member {member} is missing: {}", self.text());
        }
        self
    }

    /// The paths of the faults that a problem document lists.
    pub fn fault_paths(&self) -> Vec<String> {
        let faults = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        faults.iter().filter_map(|fault| fault["path"].as_str()).map(str::to_owned).collect()
    }
}
