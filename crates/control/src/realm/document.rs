//! The form of a document, and how it is told that it was altered.

use std::collections::BTreeMap;

use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::VERSION;
use super::sealed::Sealed;
use crate::token::key::StoredKey;

/// What the field `format` says.
pub const FORMAT: &str = "portunus-realm";

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Says what it is.
    pub format: String,
    /// The version of its form.
    pub version: u64,
    /// When it was written.
    pub exported_at: String,
    /// The resources without their secrets.
    pub resources: Vec<Resource>,
    /// The secrets; nothing when the document was written without a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Sealed>,
    /// SHA-256 over all of the above, to find what happened on the way.
    pub sha256: String,
}

/// A resource without its secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its kind.
    pub kind: String,
    /// Its id where it was written.
    pub id: Id,
    /// Its tenant's id where it was written.
    pub tenant_id: Id,
    /// Its name.
    pub name: String,
    /// Its fields; references are ids where it was written.
    pub spec: Map<String, Value>,
}

/// What is sealed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// What belongs to each resource, by its id.
    pub resources: BTreeMap<Id, OfResource>,
    /// The keys that tokens are signed with; `private_key` is not sealed here.
    pub signing_keys: Vec<StoredKey>,
    /// Rows beside the resources, by table.
    pub tables: BTreeMap<String, Vec<Map<String, Value>>>,
}

/// The secrets of one resource.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct OfResource {
    /// Fields that are never shown, such as hashes.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub hidden: Map<String, Value>,
    /// Secrets that are kept sealed, by their place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sealed: BTreeMap<String, String>,
}

/// Why a document is not taken.
#[derive(Debug, Error)]
pub enum Refused {
    /// It is something else.
    #[error("this is no export of a realm: {0}")]
    Form(String),
    /// A later version wrote it.
    #[error("a newer version of Portunus wrote this document (version {0}; this one reads up to {VERSION})")]
    Newer(u64),
    /// It is not what was written.
    #[error("the document was altered or damaged after it was written")]
    Altered,
    /// The passphrase does not open it.
    #[error("the passphrase is not the one that the document was written with")]
    Passphrase,
    /// It has secrets and needs a passphrase.
    #[error("the document has sealed secrets: send the passphrase that it was written with")]
    NeedsPassphrase,
}

impl Document {
    /// A document of these resources; `seal` makes the sealed part, bound to the rest.
    pub fn new(resources: Vec<Resource>, exported_at: String, seal: impl FnOnce(&[u8]) -> Option<Sealed>) -> Self {
        let format = FORMAT.to_owned();
        let mut document =
            Self { format, version: VERSION, exported_at, resources, secrets: None, sha256: String::new() };
        document.secrets = seal(&document.bound());
        document.sha256 = document.digest();
        document
    }

    /// The document in this JSON, if it is whole.
    pub fn read(value: Value) -> Result<Self, Refused> {
        let (format, version) = (value["format"].as_str(), value["version"].as_u64());
        match (format, version) {
            (Some(FORMAT), Some(version)) if version > VERSION => return Err(Refused::Newer(version)),
            (Some(FORMAT), Some(_)) => {}
            _ => return Err(Refused::Form(format!("`format` is {FORMAT} and `version` a number"))),
        }
        let document: Self = serde_json::from_value(value).map_err(|error| Refused::Form(error.to_string()))?;
        if document.digest() != document.sha256 {
            return Err(Refused::Altered);
        }
        Ok(document)
    }

    /// What the sealed part is bound to: everything else.
    pub fn bound(&self) -> Vec<u8> {
        let rest = Self { secrets: None, sha256: String::new(), ..self.clone() };
        canonical(&serde_json::to_value(rest).expect("a document serialises to JSON")).into_bytes()
    }

    fn digest(&self) -> String {
        let rest = Self { sha256: String::new(), ..self.clone() };
        let text = canonical(&serde_json::to_value(rest).expect("a document serialises to JSON"));
        api_key::to_hex(&api_key::hash(text.as_bytes()))
    }
}

/// The JSON text of a value, whatever the order of its fields.
fn canonical(value: &Value) -> String {
    let mut sorted = value.clone();
    sort(&mut sorted);
    sorted.to_string()
}

fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.sort_keys();
            fields.values_mut().for_each(sort);
        }
        Value::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        let document = Document::new(Vec::new(), "2026-01-01T00:00:00Z".to_owned(), |_| None);
        serde_json::to_value(document).unwrap()
    }

    #[test]
    fn what_is_altered_newer_or_something_else_is_told_apart() {
        assert!(Document::read(document()).is_ok());
        let mut altered = document();
        altered["exported_at"] = json!("2026-01-02T00:00:00Z");
        assert!(matches!(Document::read(altered), Err(Refused::Altered)));
        let mut newer = document();
        newer["version"] = json!(VERSION + 1);
        newer["a_new_field"] = json!(1);
        assert!(matches!(Document::read(newer), Err(Refused::Newer(_))));
        for other in [json!(null), json!([]), json!({"format": "x", "version": 1}), json!({"format": FORMAT})] {
            assert!(matches!(Document::read(other), Err(Refused::Form(_))));
        }
    }

    #[test]
    fn the_order_of_fields_does_not_matter() {
        assert_eq!(canonical(&json!({"b": [{"d": 1, "c": 2}], "a": 0})), r#"{"a":0,"b":[{"c":2,"d":1}]}"#);
    }
}
