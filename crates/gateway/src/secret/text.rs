//! The text of a secret in a resource: what may be sent, what is kept, what is shown.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::reference::{self, Reference};
use super::{SEALED, is_sealed};
use crate::api_key;

/// What the text begins with that is shown in the place of a sealed secret.
const MARK: &str = "sealed:";

/// Characters of a mark.
const MARK_LENGTH: usize = 12;

/// The longest secret, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// A secret of a resource. Name the field in [`Kind::SECRETS`](crate::kind::Kind::SECRETS), and it is sealed when it is
/// stored and shown as a mark; [`Keyring::reveal`](super::Keyring::reveal) gives the secret itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// What kind of text it is.
    pub fn form(&self) -> Form<'_> {
        Form::of(&self.0)
    }

    /// The secret, as long as it is the text that was sent.
    pub fn plain(&self) -> Option<&str> {
        match self.form() {
            Form::Plain(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it lies in a file, which can change.
    pub fn is_file(&self) -> bool {
        matches!(self.form(), Form::Reference(Reference::File(_)))
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form() {
            Form::Reference(_) => f.write_str(&self.0),
            _ => f.write_str("SecretText(***)"),
        }
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string", "minLength": 1, "maxLength": LONGEST, "format": "password",
            "description": "A secret: the text itself, or where it is, `file:/path` or `env:NAME`. It is kept sealed and shown as a mark, `sealed:…`, which means \"unchanged\" when it is sent back.",
        })
    }
}

/// A secret that was opened or read. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

impl Revealed {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Deref for Revealed {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(***)")
    }
}

/// What the text of a secret can be.
#[derive(Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// The secret itself.
    Plain(&'a str),
    /// Where it is.
    Reference(Reference<'a>),
    /// A sealed value, and the mark that stands for it.
    Sealed {
        /// What a keyring opens.
        sealed: &'a str,
        /// What is shown of it.
        mark: &'a str,
    },
    /// What is shown of a sealed secret.
    Mark(&'a str),
    /// It begins like one of the others and is none; with what would be right.
    Unknown(&'static str),
}

impl<'a> Form<'a> {
    /// The form of a text.
    pub fn of(text: &'a str) -> Self {
        if is_sealed(text) {
            return match split(text) {
                (sealed, Some(mark)) => Self::Sealed { sealed, mark },
                _ => Self::Unknown("a sealed value as `portunus export --secrets sealed` writes it"),
            };
        }
        if let Some(mark) = text.strip_prefix(MARK) {
            return Self::Mark(mark);
        }
        match reference::parse(text) {
            Some(Ok(reference)) => Self::Reference(reference),
            Some(Err(expected)) => Self::Unknown(expected),
            None => Self::Plain(text),
        }
    }
}

/// The sealed value and the mark behind it.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    // enc:1:<key>:<data>:<mark>
    match text.rsplit_once(':') {
        Some((sealed, mark)) if sealed.matches(':').count() > SEALED.matches(':').count() => (sealed, Some(mark)),
        _ => (text, None),
    }
}

/// A sealed value with a new mark. The mark is random: it tells nothing of the secret, not even where else it is used.
pub(super) fn marked(sealed: &str) -> String {
    format!("{sealed}:{}", api_key::random_text(MARK_LENGTH))
}

/// What is shown of a stored text.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match Form::of(text) {
        Form::Sealed { mark, .. } => format!("{MARK}{mark}").into(),
        Form::Reference(_) => text.into(),
        Form::Plain(_) | Form::Mark(_) | Form::Unknown(_) => MARK.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_is() {
        let text = |text: &str| SecretText(text.to_owned());
        assert_eq!(text("hunter2").plain(), Some("hunter2"));
        assert_eq!(text("sealed:abc").form(), Form::Mark("abc"));
        assert_eq!(text("enc:1:k:d:m").form(), Form::Sealed { sealed: "enc:1:k:d", mark: "m" });
        assert!(matches!(text("enc:1:k:d").form(), Form::Unknown(_)));
        assert!(text("file:/run/secrets/x").is_file() && !text("env:X").is_file());
        assert!(matches!(text("file:x").form(), Form::Unknown(_)));
    }

    #[test]
    fn nothing_prints_a_secret() {
        for text in ["hunter2", "enc:1:k:hunter2:m"] {
            assert!(!format!("{:?}", SecretText(text.to_owned())).contains("hunter2"));
        }
        assert!(!format!("{:?}", Revealed::new("hunter2")).contains("hunter2"));
        assert_eq!(shown("hunter2"), "sealed:");
        assert_eq!(shown("enc:1:k:hunter2:m"), "sealed:m");
    }
}
