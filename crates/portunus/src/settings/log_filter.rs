//! What of the log is written.

use serde_json::{Value, json};

use super::choice::LogLevel;
use super::value::{Raw, Setting, scalar};

/// A filter of the log that the log understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl Setting for LogFilter {
    const EXPECTS: &'static str = "a log filter, such as info,gateway=debug";

    fn parse(raw: &Raw) -> Result<Self, String> {
        // A filter that is one word names a module; here it is far more likely a misspelt level.
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        scalar(raw, |text| {
            let misspelt = is_word(text) && LogLevel::parse(raw).is_err();
            let understood = tracing_subscriber::EnvFilter::builder().parse(text).is_ok();
            (understood && !misspelt).then(|| Self(text.to_owned()))
        })
    }

    fn json(&self) -> Value {
        self.0.as_str().into()
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}
