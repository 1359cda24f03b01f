//! The layer of the settings file: a flat YAML mapping.

use std::path::Path;

use serde_json::Value;

use super::layers::{Source, plain};
use super::value::Raw;
use super::{VARIABLES, Variable, by_key};
use crate::fault::Faults;
use portunus_control::yaml::{self, Content, Node};

/// The settings of the file at `path`.
pub fn read(path: &Path, faults: &mut Faults) -> Vec<(&'static Variable, Source, Raw)> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &file, faults),
        Err(error) => {
            faults.push(format!("{file}: cannot be read: {}", plain(&error)));
            Vec::new()
        }
    }
}

/// The settings of a file's text.
pub fn parse(text: &str, file: &str, faults: &mut Faults) -> Vec<(&'static Variable, Source, Raw)> {
    let documents = match yaml::parse(text, file) {
        Ok(documents) => documents,
        Err(sentence) => {
            faults.push(sentence);
            return Vec::new();
        }
    };
    let entries = match documents.as_slice() {
        [] => return Vec::new(),
        [document] if document.get("apiVersion").is_some() => {
            faults.push(format!("{file}: is a manifest and not a settings file; give it with --manifests"));
            return Vec::new();
        }
        [Node { content: Content::Map(entries), .. }] => entries,
        _ => {
            faults.push(format!("{file}: is not one mapping of settings, such as `listen: 0.0.0.0:8080`"));
            return Vec::new();
        }
    };
    let mut values = Vec::new();
    for (key, line, node) in entries {
        let Some(variable) = by_key(key) else {
            faults.push(format!("{file} line {line}: {}", unknown(key)));
            continue;
        };
        match raw(node) {
            Some(raw) => values.push((variable, Source::File { file: file.to_owned(), line: *line }, raw)),
            None => faults.push(format!("{file} line {line}: {key}: is not {}", variable.expects)),
        }
    }
    values
}

fn unknown(key: &str) -> String {
    if let Some(variable) = super::by_name(key) {
        return format!("{key} is an environment variable; the key in a file is {}", variable.key);
    }
    let known: Vec<&str> = VARIABLES.iter().map(|variable| variable.key).collect();
    match similar::get_close_matches(key, &known, 1, 0.6).first() {
        Some(close) => format!("there is no setting {key}; did you mean {close}?"),
        None => format!("there is no setting {key}; `portunus config show` lists them all"),
    }
}

fn raw(node: &Node) -> Option<Raw> {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match &node.content {
        Content::Scalar(value) => Some(Raw::Text(text(value))),
        Content::List(items) => {
            let items = items.iter().map(|item| match &item.content {
                Content::Scalar(value) => Some(text(value)),
                _ => None,
            });
            items.collect::<Option<Vec<_>>>().map(Raw::List)
        }
        Content::Map(_) => None,
    }
}
