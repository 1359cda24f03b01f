//! Where Portunus is reached from outside.

use reqwest::Url;
use serde_json::{Value, json};

use super::value::{Raw, Setting, not};

/// A URL without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(pub String);

impl Setting for PublicUrl {
    const EXPECTS: &'static str = "a URL such as https://portunus.example.com";

    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().map_err(|found| not::<Self>(&found))?;
        let url = Url::parse(text).map_err(|_| not::<Self>(&format!("\"{text}\"")))?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match is_plain {
            true => Ok(Self(url.as_str().trim_end_matches('/').to_owned())),
            false => Err(not::<Self>(&format!("\"{text}\""))),
        }
    }

    fn json(&self) -> Value {
        self.0.as_str().into()
    }

    fn schema() -> Value {
        json!({"type": "string", "pattern": "^https?://", "examples": ["https://portunus.example.com"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_a_plain_one() {
        let parse = |text: &str| PublicUrl::parse(&Raw::Text(text.to_owned())).map(|url| url.0);
        assert_eq!(parse("https://x.example/"), Ok("https://x.example".to_owned()));
        assert_eq!(parse("http://x.example:81/portunus/"), Ok("http://x.example:81/portunus".to_owned()));
        for wrong in ["x.example", "ftp://x.example", "https://a:b@x.example", "https://x.example/?a", "https://x/#a"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
