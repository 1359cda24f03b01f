//! YAML with positions: what manifests and the settings file are read with.
//!
//! Whatever reads a file knows no YAML library: text becomes [`Node`]s, which become `serde_json::Value`s and still know
//! the line of each field; values become text by [`print`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line, counted from 1; 0 when it is not known.
    pub line: u64,
    /// What stands there.
    pub content: Content,
}

/// The three shapes of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Null, true, 1.5, text.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping; each key with its line.
    Map(Vec<(String, u64, Node)>),
}

impl Node {
    /// The value alone.
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Self::to_value).collect(),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|(key, _, node)| (key.clone(), node.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The field `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(name, ..)| name == key).map(|(.., node)| node),
            _ => None,
        }
    }

    /// Whether it is a mapping.
    pub fn is_mapping(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// Whether it is a sequence that begins with a mapping.
    pub fn holds_mappings(&self) -> bool {
        matches!(&self.content, Content::List(items) if items.first().is_some_and(Self::is_mapping))
    }

    /// The line of the field that a JSON Pointer names, or of the nearest thing around it that exists.
    pub fn line_of(&self, pointer: &str) -> u64 {
        let mut line = self.line;
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.content {
                Content::Map(entries) => {
                    entries.iter().find(|(name, ..)| *name == token).map(|(_, at, node)| (*at, node))
                }
                Content::List(items) => {
                    token.parse().ok().and_then(|index: usize| items.get(index)).map(|node| (node.line, node))
                }
                Content::Scalar(_) => None,
            };
            let Some((at, found)) = next else { break };
            (line, node) = (at, found);
        }
        line
    }
}

/// The documents of a YAML (or JSON) text; empty documents are left out. The error is one sentence that names the file,
/// the line and the column.
pub fn parse(text: &str, file: &str) -> Result<Vec<Node>, String> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // Files are named by the operator: a hundred thousand consumers are a large file, not an attack.
        budget: serde_saphyr::budget! {
            max_events: 100_000_000,
            max_nodes: 100_000_000,
            max_documents: 10_000_000,
            max_total_scalar_bytes: 4 << 30,
        },
    };
    let documents: Result<Vec<Node>, _> = serde_saphyr::from_multiple_with_options(text, options);
    match documents {
        Ok(documents) => {
            Ok(documents.into_iter().filter(|node| node.content != Content::Scalar(Value::Null)).collect())
        }
        Err(error) => Err(sentence(&error, file)),
    }
}

fn sentence(error: &serde_saphyr::Error, file: &str) -> String {
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = message.lines().next().unwrap_or("not valid YAML");
    let Some(at) = error.location().filter(|at| at.line() > 0) else {
        return format!("{file}: {}", message.trim_end_matches('.'));
    };
    let (line, column) = (at.line(), at.column());
    let message = message.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(message);
    format!("{file} line {line} column {column}: {}", message.trim_end_matches('.'))
}

/// Values as one YAML text, a document each.
pub fn print(documents: &[Value]) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    serde_saphyr::to_string_multiple_with_options(documents, options).expect("JSON values are valid YAML")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Content>::deserialize(deserializer)?;
        Ok(Self { line: line(&referenced), content: value })
    }
}

fn line(location: &Location) -> u64 {
    location.line()
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Content, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a number that can be kept"))?;
        Ok(Content::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Content, D::Error> {
        Content::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Content, A::Error> {
        let mut entries: Vec<(String, u64, Node)> = Vec::new();
        while let Some((key, node)) = access.next_entry::<Spanned<String>, Node>()? {
            entries.push((key.value, line(&key.referenced), node));
        }
        Ok(Content::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_keep_their_lines() {
        let text = "# first\nkind: Api\nspec:\n  base_path: /orders\n  routes:\n  - path: /a\n  - path: /b\n    methods: [GET]\n---\nkind: Plan\n";
        let documents = parse(text, "x.yaml").unwrap();
        assert_eq!(documents.len(), 2);
        let first = &documents[0];
        assert_eq!(
            first.to_value(),
            json!({"kind": "Api", "spec": {"base_path": "/orders", "routes": [{"path": "/a"}, {"path": "/b", "methods": ["GET"]}]}})
        );
        assert_eq!(first.line_of("/spec/base_path"), 4);
        assert_eq!(first.line_of("/spec/routes/1/methods/0"), 8);
        assert_eq!(first.line_of("/spec/routes/1/missing"), 7);
        assert_eq!(first.line_of("/spec/upstream"), 3);
        assert_eq!(documents[1].line_of("/kind"), 10);
    }

    #[test]
    fn scalars_have_the_types_of_yaml() {
        let text = "a: 1\nb: -1\nc: 1.5\nd: true\ne: null\nf: ~\ng: 'true'\nh: 0.0.0.0:8080\ni:\nj: \"\"\nk: 18446744073709551615\nl: yes\n";
        let value = parse(text, "x").unwrap()[0].to_value();
        assert_eq!(
            value,
            json!({"a": 1, "b": -1, "c": 1.5, "d": true, "e": null, "f": null, "g": "true", "h": "0.0.0.0:8080",
                   "i": null, "j": "", "k": u64::MAX, "l": true})
        );
    }

    #[test]
    fn json_is_yaml() {
        let text = "{\n\t\"a\": [1,2,\t3],\n\t\"b\": {\"c\": null, \"d\": \"\\u00e9\\n\"}\n}\n";
        assert_eq!(parse(text, "x").unwrap()[0].to_value(), json!({"a": [1, 2, 3], "b": {"c": null, "d": "é\n"}}));
    }

    #[test]
    fn broken_text_is_one_sentence_with_its_place() {
        for (text, start) in [
            ("a: 1\nb: [1, 2\nc: 3\n", "x.yaml line "),
            ("a: 1\na: 2\n", "x.yaml line 2 column 1: "),
            ("a: 1\n  b: 2\n", "x.yaml line 2 column "),
            ("a: \"open\n", "x.yaml line "),
            ("a: *none\n", "x.yaml line 1 column 4: "),
        ] {
            let error = parse(text, "x.yaml").unwrap_err();
            assert!(error.starts_with(start) && !error.contains('\n') && !error.ends_with('.'), "{text:?}: {error}");
        }
    }

    #[test]
    fn empty_documents_are_left_out() {
        assert_eq!(parse("", "x").unwrap(), Vec::new());
        assert_eq!(parse("---\n---\n# nothing\n---\na: 1\n", "x").unwrap().len(), 1);
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let long = "word ".repeat(60);
        let values = vec![
            json!({"a": "yes", "b": "1.0", "c": "null", "d": "", "e": " lead", "f": "trail ", "g": "two\nlines\n", "h": "x\n\n",
                   "i": "no\nend", "j": long, "k": "# no comment", "l": "a: b", "m": [], "n": {}, "o": [{"p": [1, [2]]}], "q": "2026-01-01",
                   "r": "\ttab", "s": "é\u{7}", "t": 1.0, "u": u64::MAX, "v": "- x", "w": "*", "x": "12:30", "y": "  \n  indented\n", "": 1, "a b": 2}),
            json!([1, "two"]),
        ];
        let text = print(&values);
        let back: Vec<Value> = parse(&text, "x").unwrap().iter().map(Node::to_value).collect();
        assert_eq!(back, values, "{text}");
    }
}
