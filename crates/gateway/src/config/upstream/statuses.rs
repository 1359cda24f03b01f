//! HTTP statuses as somebody writes them: one, or a range.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// One status such as `503`, or a range such as `"500-599"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Statuses {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(u16),
    Range(String),
}

impl Statuses {
    /// One status.
    pub const fn one(status: u16) -> Self {
        Self { first: status, last: status }
    }

    /// All from `first` to `last`.
    pub const fn range(first: u16, last: u16) -> Self {
        Self { first, last }
    }

    /// Whether this status is one of them.
    pub fn has(&self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl TryFrom<Written> for Statuses {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let text = match written {
            Written::One(status) => return Ok(Self::one(status)),
            Written::Range(text) => text,
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => Ok(Self { first, last }),
            _ => Err("a status is a number such as 503 or a range such as \"500-599\""),
        }
    }
}

impl From<Statuses> for Written {
    fn from(statuses: Statuses) -> Self {
        match statuses.first == statuses.last {
            true => Self::One(statuses.first),
            false => Self::Range(format!("{}-{}", statuses.first, statuses.last)),
        }
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$",
            "description": "A status such as 503, or a range such as \"500-599\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_a_range_is_read_and_written_back() {
        let text = r#"[503,"500-599"]"#;
        let read: Vec<Statuses> = serde_json::from_str(text).expect("the form is right");
        assert_eq!(read, [Statuses::one(503), Statuses::range(500, 599)]);
        assert!(read[1].has(500) && read[1].has(599) && !read[1].has(600) && !read[0].has(502));
        assert_eq!(serde_json::to_string(&read).expect("it serialises"), text);
        assert!(serde_json::from_str::<Statuses>(r#""5xx""#).is_err());
    }
}
