//! How Portunus proves to an upstream who it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http1::encode;
use crate::problem::Problem;
use crate::secret::text::SecretText;
use crate::secret::{Keyring, SecretError};

/// What its secrets are sealed for.
pub const PURPOSE: &str = "upstream authentication";

/// A credential of Portunus's own that goes with every request, in the place of what the client sent in that field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Authentication {
    /// A header field of any name, such as `X-API-Key`.
    Header {
        /// The field's name.
        #[schemars(length(min = 1, max = 256))]
        name: String,
        /// Its value.
        value: SecretText,
    },
    /// User name and password (RFC 7617), in `Authorization`.
    Basic {
        /// The user's name.
        #[schemars(length(min = 1, max = 256))]
        username: String,
        /// The password.
        password: SecretText,
    },
    /// A token (RFC 6750), in `Authorization`.
    Bearer {
        /// The token.
        token: SecretText,
    },
}

/// Why there is no header field.
pub enum Fault {
    /// The secret cannot be had.
    Secret(SecretError),
    /// It cannot be sent.
    Value(Problem),
}

impl Authentication {
    /// Its secret.
    pub fn secret(&self) -> &SecretText {
        match self {
            Self::Header { value, .. } => value,
            Self::Basic { password, .. } => password,
            Self::Bearer { token } => token,
        }
    }

    /// The header field that it goes into.
    pub fn field(&self) -> Result<HeaderName, Problem> {
        let Self::Header { name, .. } = self else { return Ok(header::AUTHORIZATION) };
        let wrong =
            |message: &str, expected: &str| Problem::new("/header/name", message, expected).found(name.as_str());
        let field = HeaderName::try_from(name.as_str())
            .map_err(|_| wrong("not the name of a header field", "letters, digits and -, such as X-API-Key"))?;
        match is_taken(&field) {
            true => Err(wrong("Portunus sets this field itself", "another field, such as X-API-Key")),
            false => Ok(field),
        }
    }

    /// The whole header field. The paths of faults are relative to the authentication.
    pub fn header(&self, keys: &Keyring) -> Result<(HeaderName, HeaderValue), Fault> {
        let field = self.field().map_err(Fault::Value)?;
        let secret = keys.reveal(self.secret(), PURPOSE).map_err(Fault::Secret)?;
        let (path, value) = match self {
            Self::Header { .. } => ("/header/value", HeaderValue::from_str(&secret)),
            Self::Basic { username, .. } => {
                let pair = STANDARD.encode(format!("{username}:{}", &*secret));
                ("/basic/password", HeaderValue::try_from(format!("Basic {pair}")))
            }
            Self::Bearer { .. } => ("/bearer/token", HeaderValue::try_from(format!("Bearer {}", &*secret))),
        };
        let value = value.ok().filter(|value| value.to_str().is_ok());
        let mut value = value.ok_or_else(|| {
            let expected = "printable ASCII characters without line breaks";
            Fault::Value(Problem::new(path, "this cannot be sent in a header field", expected))
        })?;
        value.set_sensitive(true);
        Ok((field, value))
    }

    /// Faults of form.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.field().err().into_iter().collect();
        if let Self::Basic { username, .. } = self
            && (username.contains(':') || username.chars().any(char::is_control))
        {
            let expected = "a name without a colon and without control characters (RFC 7617)";
            problems.push(Problem::new("/basic/username", "not a user name", expected).found(username.as_str()));
        }
        problems
    }

    /// Faults of a secret as it was sent: whether it can go into a header field. What cannot be had is told elsewhere.
    pub fn check_secret(&self, keys: &Keyring) -> Vec<Problem> {
        match self.header(keys) {
            Err(Fault::Value(problem)) => vec![problem],
            _ => Vec::new(),
        }
    }
}

/// Fields that are made for each request, or say how it is framed.
fn is_taken(name: &HeaderName) -> bool {
    let text = name.as_str();
    encode::is_own(name)
        || text.starts_with("x-forwarded-")
        || matches!(text, "host" | "content-length" | "expect" | "via" | "forwarded" | "x-real-ip" | "x-request-id")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Authentication {
        serde_json::from_value(value.clone()).expect("it is of the form")
    }

    fn sent(value: &Value) -> Option<(HeaderName, HeaderValue)> {
        read(value).header(&Keyring::ephemeral()).ok()
    }

    #[test]
    fn each_way_is_one_header_field_that_never_prints() {
        let cases = [
            (json!({"header": {"name": "X-Key", "value": "k 1"}}), "x-key", "k 1"),
            (
                json!({"basic": {"username": "ada", "password": "pass:word"}}),
                "authorization",
                "Basic YWRhOnBhc3M6d29yZA==",
            ),
            (json!({"bearer": {"token": "abc"}}), "authorization", "Bearer abc"),
        ];
        for (config, name, value) in cases {
            let (field, made) = sent(&config).expect("it can be sent");
            assert_eq!((field.as_str(), made.to_str().unwrap()), (name, value));
            assert!(made.is_sensitive() && !format!("{made:?}").contains(value));
            assert!(!format!("{:?}", read(&config)).contains("abc"));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for name in ["host", "Content-Length", "connection", "X-Forwarded-For", "x-request-id", "a b", "te", "via"] {
            let config = read(&json!({"header": {"name": name, "value": "x"}}));
            assert_eq!(config.check().len(), 1, "{name}");
        }
        assert_eq!(read(&json!({"basic": {"username": "a:b", "password": "x"}})).check().len(), 1);
        for secret in ["a\r\nX-Evil: 1", "a\nb", "naïve", "a\0"] {
            let config = read(&json!({"bearer": {"token": secret}}));
            assert_eq!(config.check_secret(&Keyring::ephemeral()).len(), 1, "{secret:?}");
        }
    }
}
