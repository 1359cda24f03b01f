//! `headers`: sets, adds and removes headers on the way in and on the way out.

use std::collections::BTreeMap;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CompileEnv, Phase, Policy};
use crate::exchange::{Exchange, Flow};
use crate::http1::encode;
use crate::problem::Problem;
use crate::schema::escape;

/// Changes headers of the request before the upstream sees it, and of the answer before the client does. Policies of
/// this type add up; within one, headers are removed, then set, then added.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeadersConfig {
    /// Changes to the request.
    pub request: HeaderChanges,
    /// Changes to the answer.
    pub response: HeaderChanges,
}

/// Changes to a set of headers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderChanges {
    /// Headers to have exactly this value.
    pub set: BTreeMap<String, String>,
    /// Header lines to add beside what is there.
    pub add: BTreeMap<String, String>,
    /// Headers to take away.
    pub remove: Vec<String>,
}

/// The compiled policy.
pub struct Headers {
    request: Changes,
    response: Changes,
}

#[derive(Default)]
struct Changes {
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl Policy for Headers {
    const PHASE: Phase = Phase::Transform;
    const STACKS: bool = true;
    const EXAMPLE: &'static str = "request:\n  set: {X-Api-Version: \"2\"}\nresponse:\n  add: {Strict-Transport-Security: max-age=63072000}\n  remove: [Server]\n";
    type Config = HeadersConfig;

    fn compile(config: &HeadersConfig, _env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let request = changes("/request", &config.request, &mut problems);
        let response = changes("/response", &config.response, &mut problems);
        if problems.is_empty() { Ok(Self { request, response }) } else { Err(problems) }
    }

    async fn request(&self, x: &mut Exchange<'_>) -> Flow {
        self.request.apply(&mut x.head.headers);
        Flow::Next
    }

    fn response(&self, _x: &Exchange<'_>, head: &mut response::Parts) {
        self.response.apply(&mut head.headers);
    }
}

impl Changes {
    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn changes(path: &str, config: &HeaderChanges, problems: &mut Vec<Problem>) -> Changes {
    let mut pairs = |field: &str, map: &BTreeMap<String, String>| {
        map.iter()
            .filter_map(|(name, value)| {
                let place = format!("{path}/{field}/{}", escape(name));
                let parsed = header_name(&place, name, problems);
                let Ok(value) = HeaderValue::from_str(value) else {
                    problems.push(
                        Problem::new(place, "not a header value", "text without control characters")
                            .found(value.as_str()),
                    );
                    return None;
                };
                Some((parsed?, value))
            })
            .collect::<Vec<_>>()
    };
    let set = pairs("set", &config.set);
    let add = pairs("add", &config.add);
    let remove = config
        .remove
        .iter()
        .enumerate()
        .filter_map(|(index, name)| header_name(&format!("{path}/remove/{index}"), name, problems))
        .collect();
    Changes { set, add, remove }
}

fn header_name(place: &str, name: &str, problems: &mut Vec<Problem>) -> Option<HeaderName> {
    let problem = match HeaderName::try_from(name) {
        Ok(name) if encode::is_own(&name) || name == header::HOST => {
            Problem::new(place, "this header belongs to the connection, and Portunus sets it", "another header")
        }
        Ok(name) => return Some(name),
        Err(_) => Problem::new(place, "not a header name", "a name such as X-Api-Version"),
    };
    problems.push(problem.found(name));
    None
}
