//! Approvals: calls that others must agree to before they are let through, once.
//!
//! A call that needs it becomes a request, bound to who calls, method, path, query and body. [`life`] says what can
//! become of a request, [`requests`] keeps it, [`rules`] says which calls of the control plane need one. The routes are
//! in [`crate::api::approvals`]; calls are stopped in [`crate::api::approve`] and, for changes of resources, in the
//! writer of the store, which alone knows all that a change touches.

pub mod expiry;
pub mod life;
pub mod list;
pub mod notice;
pub mod requests;
pub mod row;
pub mod rules;
pub mod webhook;

use portunus_gateway::api_key;
use portunus_gateway::kind::Id;

/// Where a call that needs approval comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The control plane's API.
    Control,
    /// A proxied route.
    Gateway,
}

impl Door {
    /// Its word in the store and in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Gateway => "gateway",
        }
    }
}

/// A call as an approval is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Where it comes in.
    pub door: Door,
    /// The API, by id, on a proxied route; empty elsewhere.
    pub api_id: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// SHA-256 of the body, in hexadecimal.
    pub body_sha256: String,
    /// The rules that an approval has satisfied for this one call.
    pub cleared: Vec<Id>,
}

impl Call {
    /// What two calls have in common exactly when they are the same.
    pub fn digest(&self) -> String {
        let mut text = Vec::new();
        for part in [self.door.word(), &self.api_id, &self.method, &self.path, &self.query, &self.body_sha256] {
            text.extend_from_slice(&(part.len() as u64).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        api_key::to_hex(&api_key::hash(&text))
    }
}

/// SHA-256 of a body, in hexadecimal.
pub fn body_sha256(body: &[u8]) -> String {
    api_key::to_hex(&api_key::hash(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_differ_have_different_digests() {
        let call = |path: &str, query: &str, body: &str| Call {
            door: Door::Control,
            api_id: String::new(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            body_sha256: body_sha256(body.as_bytes()),
            cleared: Vec::new(),
        };
        let one = call("/v1/x", "a=1", "{}");
        assert_eq!(one.digest(), call("/v1/x", "a=1", "{}").digest());
        let door = Call { door: Door::Gateway, ..one.clone() };
        let method = Call { method: "PUT".to_owned(), ..one.clone() };
        for other in [call("/v1/xa", "=1", "{}"), call("/v1/x", "a=2", "{}"), call("/v1/x", "a=1", "{} "), door, method]
        {
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
    }
}
