//! A fault in something that somebody configured: where it is, what was found, what would be right.
//!
//! Used by the control plane's problem documents (RFC 9457, member `errors`), by `portunus config check`
//! and by the start-up of a process that reads manifests.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// JSON Pointer (RFC 6901) to the field, relative to the document that was sent.
    pub path: String,
    /// The value that was found there; absent when the field is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Value>,
    /// What is wrong, lowercase, without a full stop.
    pub message: String,
    /// What would be right.
    pub expected: String,
}

impl Problem {
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: path.into(), found: None, message: message.into(), expected: expected.into() }
    }

    /// The same with the value that was found, shortened if it is large.
    #[must_use]
    pub fn found(mut self, value: impl Into<Value>) -> Self {
        self.found = Some(shorten(value.into()));
        self
    }

    /// The same under a longer path.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }
}

/// A fault must not echo a megabyte back to its sender.
fn shorten(value: Value) -> Value {
    const LONGEST: usize = 200;
    match value {
        Value::String(text) if text.chars().count() > LONGEST => {
            Value::String(text.chars().take(LONGEST).chain("…".chars()).collect())
        }
        Value::Array(items) if items.len() > 20 => Value::String(format!("an array of {} items", items.len())),
        Value::Object(fields) if fields.len() > 20 => Value::String(format!("an object of {} fields", fields.len())),
        other => other,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(found) = &self.found {
            write!(f, " (found {found})")?;
        }
        write!(f, "; expected {}", self.expected)
    }
}
