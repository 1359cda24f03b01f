//! `key_auth`: where the caller's API key is looked for.

use http::header::{self, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, Phase, Policy};
use crate::problem::Problem;

/// Says where an API key is looked for. On a public API it also makes the key of some consumer necessary.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyAuthConfig {
    /// Headers that carry the key as their value.
    #[schemars(length(max = 8))]
    pub headers: Vec<String>,
    /// Whether `Authorization: Bearer <key>` is accepted.
    pub bearer: bool,
    /// Query parameters that carry the key; none by default, because URLs end up in logs.
    #[schemars(length(max = 8))]
    pub query: Vec<String>,
    /// Whether the upstream sees the key.
    pub forward_credential: bool,
}

impl Default for KeyAuthConfig {
    fn default() -> Self {
        Self { headers: vec!["X-API-Key".to_owned()], bearer: true, query: Vec::new(), forward_credential: false }
    }
}

/// Where a key is looked for, ready for use.
#[derive(Debug)]
pub struct KeySources {
    /// Headers that carry the key.
    pub headers: Vec<HeaderName>,
    /// Whether `Authorization: Bearer` is accepted.
    pub bearer: bool,
    /// Query parameters that carry the key.
    pub query: Vec<String>,
    /// Whether the upstream sees the key.
    pub forward: bool,
}

impl Default for KeySources {
    /// Without a policy: `X-API-Key` and `Authorization: Bearer`.
    fn default() -> Self {
        Self { headers: vec![HeaderName::from_static("x-api-key")], bearer: true, query: Vec::new(), forward: false }
    }
}

/// The compiled policy.
pub struct KeyAuth {
    sources: KeySources,
}

impl Policy for KeyAuth {
    const PHASE: Phase = Phase::Authenticate;
    const EXAMPLE: &'static str = "headers: [X-API-Key]\nbearer: true\nquery: [api_key]\n";
    type Config = KeyAuthConfig;

    fn compile(config: &KeyAuthConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut headers = Vec::new();
        for (index, name) in config.headers.iter().enumerate() {
            match HeaderName::try_from(name.as_str()) {
                Ok(name) if name == header::AUTHORIZATION => problems.push(
                    Problem::new(
                        format!("/headers/{index}"),
                        "`Authorization` carries a scheme beside the key",
                        "`bearer: true`",
                    )
                    .found(name.as_str()),
                ),
                Ok(name) => headers.push(name),
                Err(_) => problems.push(
                    Problem::new(format!("/headers/{index}"), "not a header name", "a name such as X-API-Key")
                        .found(name.as_str()),
                ),
            }
        }
        for (index, name) in config.query.iter().enumerate() {
            let usable =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
            if !usable {
                problems.push(
                    Problem::new(format!("/query/{index}"), "not a usable parameter name", "letters, digits, - . _ ~")
                        .found(name.as_str()),
                );
            }
        }
        if config.headers.is_empty() && config.query.is_empty() && !config.bearer {
            problems.push(Problem::new("", "no place to look for a key", "`headers`, `query` or `bearer: true`"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let sources = KeySources {
            headers,
            bearer: config.bearer,
            query: config.query.clone(),
            forward: config.forward_credential,
        };
        Ok(Self { sources })
    }
}

impl KeyAuth {
    /// Where it looks.
    pub fn sources(&self) -> &KeySources {
        &self.sources
    }
}
