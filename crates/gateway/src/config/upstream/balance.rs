//! How a server is chosen for a request.

use http::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Upstream;
use crate::problem::Problem;

/// How a server is chosen for a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// One after the other, as often as their weights say.
    #[default]
    RoundRobin,
    /// Of two that are drawn by weight, the one with fewer requests under way for its weight.
    LeastLoaded,
    /// Always the same for the same value of `hash_on`. When a target leaves or comes, only its own share moves.
    ConsistentHash,
}

/// What `consistent_hash` goes by. A request without it goes by the client's address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HashOn {
    /// The client's address.
    #[default]
    Address,
    /// The consumer.
    Consumer,
    /// The header that `hash_header` names.
    Header,
    /// The cookie that `hash_cookie` names.
    Cookie,
    /// The path, without the query.
    Path,
}

/// The faults of an upstream's fields about balancing.
pub fn check(upstream: &Upstream) -> Vec<Problem> {
    let mut problems = Vec::new();
    if upstream.balance != Balance::ConsistentHash && upstream.hash_on.is_some() {
        problems.push(no_effect("hash_on", "`balance: consistent_hash` beside it"));
    }
    let hash_on = (upstream.balance == Balance::ConsistentHash).then(|| upstream.hash_on.unwrap_or_default());
    let names = [
        ("header", HashOn::Header, &upstream.hash_header, "X-Session"),
        ("cookie", HashOn::Cookie, &upstream.hash_cookie, "session"),
    ];
    for (what, needs_it, name, example) in names {
        let field = format!("hash_{what}");
        match name {
            None if hash_on == Some(needs_it) => problems.push(Problem::new(
                format!("/{field}"),
                format!("`{field}` is missing"),
                format!("the {what} to go by, because `hash_on` is `{what}`"),
            )),
            Some(_) if hash_on != Some(needs_it) => {
                problems.push(no_effect(&field, &format!("`hash_on: {what}` beside it")));
            }
            // The name of a cookie is a token (RFC 6265 section 4.1.1), as that of a header is.
            Some(name) if HeaderName::try_from(name.as_str()).is_err() => {
                let message = format!("not the name of a {what}");
                problems.push(
                    Problem::new(format!("/{field}"), message, format!("a name such as {example}"))
                        .found(name.as_str()),
                );
            }
            _ => {}
        }
    }
    problems
}

/// A field that another one leaves without a meaning.
pub(super) fn no_effect(field: &str, expected: &str) -> Problem {
    Problem::new(format!("/{field}"), format!("`{field}` has no effect here"), expected)
}
