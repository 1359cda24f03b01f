//! What the value of a setting can be, and how text becomes one.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::layers::contents;

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A scalar of the file, a variable, a flag. Where a list is wanted, its items are separated by commas.
    Text(String),
    /// A sequence of the file, or a flag that was given several times.
    List(Vec<String>),
}

impl Raw {
    /// The text of a scalar; the error says what stands there instead.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text.trim()),
            Self::List(_) => Err("a list".to_owned()),
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            Self::List(items) => items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).collect(),
        }
    }
}

/// A type that a setting can have.
pub trait Setting: Sized {
    /// What a value looks like, with its article.
    const EXPECTS: &'static str;

    /// The value, or what is wrong with it: the end of a sentence that begins with where it stands.
    fn parse(raw: &Raw) -> Result<Self, String>;

    /// The value as JSON.
    fn json(&self) -> Value;

    /// The JSON Schema of the value in the settings file.
    fn schema() -> Value;
}

/// The end of the sentence that refuses `found`.
pub fn not<T: Setting>(found: &str) -> String {
    format!("{found} is not {}", T::EXPECTS)
}

/// The text of a scalar setting, read by `read`.
pub fn scalar<T: Setting>(raw: &Raw, read: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
    let text = raw.text().map_err(|found| not::<T>(&found))?;
    read(text).ok_or_else(|| not::<T>(&format!("\"{text}\"")))
}

impl<T: Setting> Setting for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) if text.is_empty() => Ok(None),
            _ => T::parse(raw).map(Some),
        }
    }

    fn json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::json)
    }

    fn schema() -> Value {
        T::schema()
    }
}

impl Setting for String {
    const EXPECTS: &'static str = "a text";

    fn parse(raw: &Raw) -> Result<Self, String> {
        // No trimming: a password may begin with a space.
        match raw {
            Raw::Text(text) => Ok(text.clone()),
            Raw::List(_) => Err(not::<Self>("a list")),
        }
    }

    fn json(&self) -> Value {
        self.as_str().into()
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl Setting for bool {
    const EXPECTS: &'static str = "true or false";

    fn parse(raw: &Raw) -> Result<Self, String> {
        scalar(raw, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    fn json(&self) -> Value {
        (*self).into()
    }

    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

impl Setting for PathBuf {
    const EXPECTS: &'static str = "a path";

    fn parse(raw: &Raw) -> Result<Self, String> {
        scalar(raw, |text| Some(Self::from(text)))
    }

    fn json(&self) -> Value {
        self.to_string_lossy().into()
    }

    fn schema() -> Value {
        json!({"type": "string"})
    }
}

impl Setting for Vec<PathBuf> {
    const EXPECTS: &'static str = "a list of paths";

    fn parse(raw: &Raw) -> Result<Self, String> {
        Ok(raw.items().into_iter().map(PathBuf::from).collect())
    }

    fn json(&self) -> Value {
        self.iter().map(PathBuf::json).collect()
    }

    fn schema() -> Value {
        list_of(&json!({"type": "string"}))
    }
}

/// A secret among others in a list.
#[derive(Clone)]
pub struct Passphrase(pub String);

impl Setting for Vec<Passphrase> {
    const EXPECTS: &'static str = "a list of keys";

    fn parse(raw: &Raw) -> Result<Self, String> {
        raw.items().into_iter().map(|item| contents(item).map(Passphrase)).collect()
    }

    fn json(&self) -> Value {
        match self.is_empty() {
            true => Value::Null,
            false => self.iter().map(|key| Value::from(key.0.as_str())).collect(),
        }
    }

    fn schema() -> Value {
        list_of(&json!({"type": "string"}))
    }
}

impl Setting for SocketAddr {
    const EXPECTS: &'static str = "an address with a port, such as 127.0.0.1:8080 or [::1]:8080";

    fn parse(raw: &Raw) -> Result<Self, String> {
        scalar(raw, |text| text.parse().ok())
    }

    fn json(&self) -> Value {
        self.to_string().into()
    }

    fn schema() -> Value {
        json!({"type": "string", "examples": ["127.0.0.1:8080"]})
    }
}

impl Setting for Vec<IpNet> {
    const EXPECTS: &'static str = "a list of addresses and networks, such as 10.0.0.0/8,192.168.1.7";

    fn parse(raw: &Raw) -> Result<Self, String> {
        let read = |item: &str| item.parse().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from));
        let wrong: Vec<&str> = raw.items().into_iter().filter(|item| read(item).is_none()).collect();
        if wrong.is_empty() {
            return Ok(raw.items().into_iter().filter_map(read).collect());
        }
        Err(wrong
            .iter()
            .map(|item| format!("\"{item}\" is not an address or a network such as 10.0.0.0/8"))
            .collect::<Vec<_>>()
            .join(", "))
    }

    fn json(&self) -> Value {
        self.iter().map(ToString::to_string).collect()
    }

    fn schema() -> Value {
        list_of(&json!({"type": "string", "examples": ["10.0.0.0/8"]}))
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => { $(
        impl Setting for $number {
            const EXPECTS: &'static str = "a whole number";

            fn parse(raw: &Raw) -> Result<Self, String> {
                scalar(raw, |text| text.parse().ok())
            }

            fn json(&self) -> Value {
                (*self).into()
            }

            fn schema() -> Value {
                json!({"type": "integer", "minimum": 0})
            }
        }
    )* };
}

whole_numbers!(u32, u64, usize);

/// In the file a list can also be one text, its items separated by commas.
pub fn list_of(item: &Value) -> Value {
    json!({"anyOf": [{"type": "array", "items": item}, {"type": "string"}]})
}
