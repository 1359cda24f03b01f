//! Where the store is.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::value::{Raw, Setting, not};

/// The store: the path of a `sqlite://` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub PathBuf);

impl Setting for DatabaseUrl {
    const EXPECTS: &'static str = "a URL of the form sqlite://PATH";

    fn parse(raw: &Raw) -> Result<Self, String> {
        // The value is never repeated: it may hold a password.
        let text = raw.text().map_err(|found| not::<Self>(&found))?;
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        match (scheme.to_ascii_lowercase().as_str(), rest.strip_prefix("//").unwrap_or(rest)) {
            ("sqlite", path) if !matches!(path, "" | ":memory:") && !path.contains('?') => {
                Ok(Self(PathBuf::from(path)))
            }
            ("sqlite", _) => Err(not::<Self>("the value")),
            ("postgres" | "postgresql", _) => {
                Err("this version keeps its store in SQLite only; give sqlite://PATH instead of a PostgreSQL URL"
                    .to_owned())
            }
            _ => Err(not::<Self>("the value")),
        }
    }

    fn json(&self) -> Value {
        format!("sqlite://{}", self.0.display()).into()
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^(sqlite|file):", "examples": ["sqlite:///var/lib/portunus/portunus.db"]})
    }
}
