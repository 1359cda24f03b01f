//! The schemas of the components by name, and how a schema with definitions of its own becomes part of them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::resource;

/// The schemas of the document, by name.
pub struct Schemas(Map<String, Value>);

impl Schemas {
    /// These schemas, to which others are added.
    pub fn new(first: Vec<(String, Value)>) -> Self {
        Self(first.into_iter().collect())
    }

    /// Adds a schema.
    pub fn add(&mut self, name: impl Into<String>, schema: Value) {
        self.0.insert(name.into(), schema);
    }

    /// The schema with this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All of them, ordered by name.
    pub fn into_map(self) -> Map<String, Value> {
        let mut all = self.0;
        all.sort_keys();
        all
    }

    /// The schema on its own; the definitions in it become components. A definition whose name is taken by something
    /// else gets its owner's name in front.
    pub fn adopt(&mut self, owner: &str, source: &Value) -> Value {
        let definitions = source.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut own_name: HashSet<&str> =
            definitions.keys().map(String::as_str).filter(|name| is_reserved(name)).collect();
        loop {
            let name_of = |name: &str| if own_name.contains(name) { format!("{owner}{name}") } else { name.to_owned() };
            let moved = |value: &Value| {
                let mut value = value.clone();
                rewrite_refs(&mut value, &|name| component(&name_of(name)));
                value
            };
            let is_other = |name: &str, value: &Value| self.0.get(name).is_some_and(|known| *known != moved(value));
            let clash =
                definitions.iter().find(|(name, value)| !own_name.contains(name.as_str()) && is_other(name, value));
            match clash {
                Some((name, _)) => own_name.insert(name),
                None => {
                    let root = moved(&plain(source));
                    let definitions: Vec<_> =
                        definitions.iter().map(|(name, value)| (name_of(name), moved(value))).collect();
                    self.0.extend(definitions);
                    return root;
                }
            };
        }
    }
}

/// Whether the document itself makes a schema of this name.
fn is_reserved(name: &str) -> bool {
    let suffixes = ["Spec", "Input", "Patch", "Created", "List", "History"];
    suffixes
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .chain([name])
        .any(|name| resource::by_kind(name).is_some())
}

const PLACE: &str = "#/components/schemas/";

/// Where a component's schema is.
pub fn component(name: &str) -> String {
    format!("{PLACE}{name}")
}

/// The name of the component that is there.
pub fn component_name(place: &str) -> Option<&str> {
    place.strip_prefix(PLACE)
}

/// A schema without what belongs to a document of its own.
pub fn plain(source: &Value) -> Value {
    let mut root = source.clone();
    if let Some(fields) = root.as_object_mut() {
        for field in ["$schema", "$defs", "title"] {
            fields.shift_remove(field);
        }
    }
    root
}

/// Points every `#/$defs/{name}` in a schema to where `place` says.
pub(crate) fn rewrite_refs(value: &mut Value, place: &dyn Fn(&str) -> String) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let definition =
                    value.as_str().filter(|_| name == "$ref").and_then(|text| text.strip_prefix("#/$defs/"));
                match definition {
                    Some(definition) => *value = Value::String(place(definition)),
                    None => rewrite_refs(value, place),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite_refs(item, place)),
        _ => {}
    }
}
