//! The control plane's API as the commands call it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use portunus_gateway::problem::Problem;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use crate::cli::Context;
use crate::fault::Exit;
use crate::settings::layers::{contents, plain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A large `apply` is one call.
const TIMEOUT: Duration = Duration::from_secs(300);
/// A file can be long.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_CLIENT: &str = "control-plane-api";

/// An authorised caller of one process.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl Client {
    /// Takes the given token, or fetches one with the client credentials of the environment.
    pub async fn connect(context: &Context) -> anyhow::Result<Self> {
        let base = base(&context.url)?;
        let http = http(&base, TIMEOUT)?;
        let mut client = Self { http, base, token: String::new() };
        client.token = match context.token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => contents(token).map_err(|wrong| Exit::usage(format!("the token: {wrong}")))?,
            None => client.fetch_token().await?,
        };
        Ok(client)
    }

    async fn fetch_token(&self) -> anyhow::Result<String> {
        let Some(secret) = variable("PORTUNUS_CLIENT_SECRET")? else {
            let sentence = "no credentials: set PORTUNUS_TOKEN, or PORTUNUS_CLIENT_SECRET (and PORTUNUS_CLIENT_ID for a client other \
                            than control-plane-api)";
            return Err(Exit::usage(sentence).into());
        };
        let id = variable("PORTUNUS_CLIENT_ID")?.unwrap_or_else(|| DEFAULT_CLIENT.to_owned());
        let url = self.url(&["realms", "portunus", "protocol", "openid-connect", "token"])?;
        let form =
            [("grant_type", "client_credentials"), ("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let answer = self.finish(self.http.post(url).form(&form)).await?;
        match answer["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => anyhow::bail!("{} answered without a token; is it the control listener?", self.base),
        }
    }

    /// `GET` of the path made of `segments`.
    pub async fn get(&self, segments: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.send(Method::GET, segments, query, None).await
    }

    /// Any call. An answer without a body is null; an answer that is not a success is a [`Refusal`].
    pub async fn send(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, self.url(segments)?).bearer_auth(&self.token).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.finish(request).await
    }

    /// A file, to be read piece by piece. It may take as long as it takes.
    pub async fn download(&self, segments: &[&str], query: &[(&str, String)]) -> anyhow::Result<reqwest::Response> {
        let request =
            self.http.get(self.url(segments)?).bearer_auth(&self.token).query(query).timeout(LONGEST_DOWNLOAD);
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        Err(Refusal { status, problem: serde_json::from_slice(&body).unwrap_or(Value::Null) }.into())
    }

    async fn finish(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let value = match body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&body),
        };
        match value {
            Ok(value) if status.is_success() => Ok(value),
            Err(_) if status.is_success() => {
                anyhow::bail!("{} did not answer with JSON; is it the control listener?", self.base)
            }
            value => Err(Refusal { status, problem: value.unwrap_or(Value::Null) }.into()),
        }
    }

    fn url(&self, segments: &[&str]) -> anyhow::Result<Url> {
        if let Some(name) = segments.iter().find(|name| matches!(**name, "" | "." | "..")) {
            return Err(Exit::usage(format!("\"{name}\" is not a name")).into());
        }
        let mut url = self.base.clone();
        url.path_segments_mut().expect("the scheme is checked in base()").pop_if_empty().extend(segments);
        Ok(url)
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        anyhow::anyhow!("cannot reach {}: {}", self.base.as_str().trim_end_matches('/'), reason(error))
    }
}

/// The URL of a process.
pub fn base(text: &str) -> Result<Url, Exit> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Exit::usage(format!("\"{text}\" is not a URL such as http://127.0.0.1:8000"))),
    }
}

/// A client for calls to `base` that follows no redirect.
pub fn http(base: &Url, timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("portunus/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout);
    if base.scheme() == "http" {
        // Loading the system's certificates takes time, and fails where there are none.
        builder = builder.tls_certs_only([]);
    }
    if base.host_str().is_some_and(|host| matches!(host, "localhost" | "[::1]") || host.starts_with("127.")) {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

/// Why a call did not get an answer, in plain words.
pub fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) => plain(error),
        None => cause.to_string(),
    }
}

fn variable(name: &str) -> Result<Option<String>, Exit> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => {
            contents(&value).map(Some).map_err(|wrong| Exit::usage(format!("{name}: {wrong}")))
        }
        _ => Ok(None),
    }
}

/// An answer that says no.
#[derive(Debug)]
pub struct Refusal {
    /// Its status.
    pub status: StatusCode,
    /// Its problem document (RFC 9457), or null.
    pub problem: Value,
}

impl Refusal {
    /// The faults that it lists.
    pub fn faults(&self) -> Vec<Problem> {
        let faults = self.problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        faults.iter().filter_map(|fault| serde_json::from_value(fault.clone()).ok()).collect()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |field: &str| {
            self.problem[field].as_str().map(|text| text.trim_end_matches('.')).filter(|text| !text.is_empty())
        };
        match (text("detail").or_else(|| text("error_description")), text("title").or_else(|| text("error"))) {
            (Some(text), _) | (None, Some(text)) => f.write_str(text)?,
            (None, None) => write!(f, "the answer was {}", self.status)?,
        }
        if self.status == StatusCode::UNAUTHORIZED {
            f.write_str("; check PORTUNUS_TOKEN or PORTUNUS_CLIENT_SECRET")?;
        }
        for fault in self.faults() {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(base_url: &str) -> Client {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let base = base(base_url).unwrap();
        Client { http: http(&base, TIMEOUT).unwrap(), base, token: String::new() }
    }

    #[test]
    fn names_become_one_path_segment() {
        let client = client("http://127.0.0.1:8000/");
        let url = client.url(&["v1", "tenants", "a b/c", "apis", "%ä?"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8000/v1/tenants/a%20b%2Fc/apis/%25%C3%A4%3F");
        assert!(client.url(&["v1", ".."]).is_err() && client.url(&["v1", ""]).is_err());
    }

    #[test]
    fn only_web_addresses_are_urls() {
        for wrong in ["127.0.0.1:8000", "localhost", "file:///etc", "unix:/x", ""] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_tells_every_fault() {
        let problem = json!({"title": "Not valid", "detail": "2 faults.", "errors": [
            {"path": "/a", "message": "too small", "found": 0, "expected": "at least 1"},
            {"path": "/b", "message": "`b` is missing", "expected": "a value for `b`"}]});
        let text = Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, problem }.to_string();
        assert_eq!(
            text,
            "2 faults\n  /a: too small (found 0); expected at least 1\n  /b: `b` is missing; expected a value for `b`"
        );
        assert_eq!(
            Refusal { status: StatusCode::BAD_GATEWAY, problem: Value::Null }.to_string(),
            "the answer was 502 Bad Gateway"
        );
    }
}
