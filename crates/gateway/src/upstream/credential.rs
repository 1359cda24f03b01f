//! What Portunus proves its identity to an upstream with, ready to be sent.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::config::upstream::authentication::{Authentication, Fault};
use crate::secret::Keyring;

/// A header field that takes the place of the client's.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    name: HeaderName,
    /// None when the secret cannot be had: such an upstream is not called at all.
    value: Option<HeaderValue>,
}

impl Credential {
    /// Makes it ready. A secret that cannot be had leaves the value that was there before, if there was one; why comes
    /// with it.
    pub fn compile(config: &Authentication, keys: &Keyring, before: Option<&Self>) -> (Option<Self>, Option<String>) {
        let why = match config.header(keys) {
            Ok((name, value)) => return (Some(Self { name, value: Some(value) }), None),
            Err(Fault::Secret(error)) => error.to_string(),
            Err(Fault::Value(problem)) => problem.message,
        };
        // What has no name was refused when it was sent.
        let Ok(name) = config.field() else { return (None, Some(why)) };
        let value = before.filter(|before| before.name == name).and_then(|before| before.value.clone());
        (Some(Self { name, value }), Some(why))
    }

    /// Puts it into the head of a request; whether there was anything to put.
    pub fn put(&self, headers: &mut HeaderMap) -> bool {
        let Some(value) = &self.value else { return false };
        headers.insert(self.name.clone(), value.clone());
        true
    }
}
