//! A table of fields from a JSON Schema: name, type, default, constraints, description.

use serde_json::Value;

use super::cell;

/// One line of the table.
struct Field<'a> {
    /// Where it stands, such as `upstream.targets[].url`.
    path: String,
    schema: &'a Value,
    is_required: bool,
}

/// The table of a schema's fields, those of nested structures under their path. `refers_to` gives the kind that a field
/// refers to.
pub fn table(root: &Value, refers_to: &dyn Fn(&str) -> Option<&'static str>) -> String {
    let mut fields = Vec::new();
    collect(root, root, "", &mut fields);
    if fields.is_empty() {
        return "It has no fields of its own.\n".to_owned();
    }
    let mut table = String::from("| field | type | default | must be | meaning |\n|---|---|---|---|---|\n");
    for field in fields {
        let target = resolve(root, field.schema);
        let kind = refers_to(&field.path);
        let default = match field.schema.get("default") {
            // The fields in it have defaults of their own.
            Some(_) if target.get("properties").is_some() => "–".to_owned(),
            Some(default) => format!("`{default}`"),
            None if field.is_required => "required".to_owned(),
            None => "–".to_owned(),
        };
        let type_name = match kind {
            Some(kind) if is_type(target, "array") => format!("array of {kind}, each by id or name"),
            Some(kind) => format!("{kind}, by id or name"),
            None => type_name(root, target),
        };
        let constraints = if kind.is_some() && !is_type(target, "array") { String::new() } else { constraints(target) };
        let meaning = [text(field.schema, "description"), variants(target)].concat();
        table.push_str(&format!(
            "| `{}` | {type_name} | {} | {} | {} |\n",
            field.path,
            cell(&default),
            cell(&constraints),
            cell(&meaning)
        ));
    }
    table
}

fn collect<'a>(root: &'a Value, schema: &'a Value, prefix: &str, fields: &mut Vec<Field<'a>>) {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        fields.push(Field {
            path: path.clone(),
            schema: field,
            is_required: required.contains(&Value::from(name.as_str())),
        });
        let target = resolve(root, field);
        collect(root, target, &format!("{path}."), fields);
        if let Some(items) = target.get("items") {
            collect(root, resolve(root, items), &format!("{path}[]."), fields);
        }
    }
}

/// The schema itself, behind `$ref` and behind "or null".
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(target) = schema["$ref"].as_str().and_then(|place| root.pointer(place.strip_prefix('#')?)) {
        return resolve(root, target);
    }
    let cases = schema["anyOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    match cases.iter().find(|case| case["type"] != "null") {
        Some(case) => resolve(root, case),
        None => schema,
    }
}

fn is_type(schema: &Value, name: &str) -> bool {
    schema["type"] == name || schema["type"].as_array().is_some_and(|types| types.iter().any(|known| known == name))
}

fn type_name(root: &Value, schema: &Value) -> String {
    if !values(schema).is_empty() {
        return "one of a list".to_owned();
    }
    if schema["format"] == "date-time" {
        return "time (RFC 3339)".to_owned();
    }
    let known = ["string", "integer", "number", "boolean", "array", "object"];
    let name = known.into_iter().find(|name| is_type(schema, name)).unwrap_or("anything");
    let nested = |field: &str| {
        schema.get(field).filter(|value| value.is_object()).map(|value| type_name(root, resolve(root, value)))
    };
    match name {
        "array" => nested("items").map_or_else(|| name.to_owned(), |of| format!("array of {of}s")),
        "object" => nested("additionalProperties").map_or_else(|| name.to_owned(), |of| format!("object of {of}s")),
        name => name.to_owned(),
    }
}

/// The values of an enumeration with what each means.
fn values(schema: &Value) -> Vec<(String, &str)> {
    let listed = schema["enum"].as_array().into_iter().flatten().map(|value| (value.to_string(), ""));
    let described = schema["oneOf"].as_array().into_iter().flatten().filter_map(|case| {
        let description = case["description"].as_str().unwrap_or_default();
        Some((case.get("const")?.to_string(), description))
    });
    listed.chain(described).map(|(value, description)| (value.trim_matches('"').to_owned(), description)).collect()
}

fn variants(schema: &Value) -> String {
    values(schema)
        .iter()
        .map(|(value, description)| match description.trim_end_matches('.') {
            "" => format!(" `{value}`."),
            description => format!(" `{value}`: {description}."),
        })
        .collect()
}

fn constraints(schema: &Value) -> String {
    let bound = |field: &str| schema.get(field).and_then(Value::as_f64).map(number);
    let range = |least: &str, most: &str, unit: &str| match (bound(least), bound(most)) {
        (Some(least), None) if least == "0" => None,
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (None, None) => None,
    };
    let pattern = schema["pattern"].as_str().map(|pattern| format!("`{pattern}`"));
    [
        range("minimum", "maximum", ""),
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " items"),
        pattern,
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// A whole number in groups of three digits.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn text(schema: &Value, field: &str) -> String {
    schema[field].as_str().unwrap_or_default().to_owned()
}
