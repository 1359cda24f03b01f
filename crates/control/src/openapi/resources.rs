//! The routes that every kind has.

use portunus_gateway::kind::KindInfo;
use serde_json::{Map, Value, json};

use super::operation::{Operation, example, schema};
use super::{Operations, example as examples};
use crate::access::Verb;

/// The operations on resources of one kind.
pub fn operations(kind: &KindInfo) -> Operations {
    let is_tenant = kind.kind == "Tenant";
    let (list, id): (String, &[&str]) = match is_tenant {
        true => ("/v1/tenants".to_owned(), &["Tenant"]),
        false => (format!("/v1/tenants/{{tenant}}/{}", kind.plural), &["Tenant", "Id"]),
    };
    let one = format!("{list}/{{{}}}", if is_tenant { "tenant" } else { "id" });
    let on_list = if is_tenant { &[] } else { &id[..1] };
    let (history, rollback) = (format!("{one}/history"), format!("{one}/rollback"));
    vec![
        (list.clone(), "get", list_all(kind).at(on_list)),
        (list, "post", create(kind).at(on_list)),
        (one.clone(), "get", read(kind).at(id)),
        (one.clone(), "put", replace(kind).at(id)),
        (one.clone(), "patch", change(kind).at(id)),
        (one, "delete", remove(kind).at(id)),
        (history, "get", past(kind).at(id)),
        (rollback, "post", roll_back(kind).at(id)),
    ]
}

fn operation(kind: &KindInfo, id: String, summary: String, verb: Verb) -> Operation {
    Operation::new(id, kind.plural, summary).permission(kind.noun, verb).refuses(&[503])
}

/// `service-accounts` as `ServiceAccounts`.
fn plural_name(kind: &KindInfo) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    kind.plural.split('-').map(capital).collect()
}

/// `ServiceAccount` as `service account`.
fn noun(kind: &KindInfo) -> String {
    let mut text = String::new();
    for c in kind.kind.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
    }
    text.replace("api", "API")
}

fn list_all(kind: &KindInfo) -> Operation {
    let plural = kind.plural.replace('-', " ").replace("apis", "APIs");
    let mut operation = operation(kind, format!("list{}", plural_name(kind)), format!("List {plural}"), Verb::Read)
        .answers(200, "A page of the list.", schema(&format!("{}List", kind.kind)))
        .refuses(&[400])
        .parameters(&["Page", "PageSize", "Cursor", "Search"]);
    for parameter in filters(kind) {
        operation = operation.parameter(parameter);
    }
    operation
}

/// A parameter for each field that is not a structure.
fn filters(kind: &KindInfo) -> Vec<Value> {
    let source = (kind.schema)();
    let filter = |field: &str| {
        let text = format!("Only those with this `{field}`.");
        json!({"name": field, "in": "query", "description": text, "schema": {"type": "string"}})
    };
    let is_secret = |field: &str| Some(field) == examples::secret(kind.kind) || kind.hidden.contains(&field);
    let properties = source.schema["properties"].as_object().into_iter().flatten();
    let simple = properties.filter(|(field, property)| !is_secret(field) && !is_structure(&source.schema, property));
    ["id", "name"].into_iter().map(filter).chain(simple.map(|(field, _)| filter(field))).collect()
}

fn is_structure(root: &Value, property: &Value) -> bool {
    if let Some(target) = property["$ref"].as_str().and_then(|place| root.pointer(place.strip_prefix('#')?)) {
        return is_structure(root, target);
    }
    let cases = property["anyOf"].as_array().into_iter().flatten();
    matches!(property["type"].as_str(), Some("array" | "object"))
        || cases.into_iter().any(|case| is_structure(root, case))
}

fn create(kind: &KindInfo) -> Operation {
    let made = match examples::secret(kind.kind) {
        Some(_) => format!("{}Created", kind.kind),
        None => kind.kind.to_owned(),
    };
    operation(kind, format!("create{}", kind.kind), format!("Create {}", noun(kind)), Verb::Write)
        .body(schema(&format!("{}Input", kind.kind)), examples::bodies(kind.kind))
        .parameters(&["IdempotencyKey"])
        .answers(201, "It is made.", schema(&made))
        .headers(&["Location", "ETag"])
        .refuses(&[409, 422])
}

fn read(kind: &KindInfo) -> Operation {
    operation(kind, format!("get{}", kind.kind), format!("Read {}", noun(kind)), Verb::Read)
        .parameters(&["IfNoneMatch"])
        .answers(200, "As it is now.", schema(kind.kind))
        .answers_empty(304, "It is as it was read before.")
        .headers(&["ETag"])
}

fn changes(operation: Operation, kind: &KindInfo) -> Operation {
    operation
        .parameters(&["IfMatch"])
        .answers(200, "As it is now.", schema(kind.kind))
        .headers(&["ETag"])
        .refuses(&[409, 412, 422])
}

fn replace(kind: &KindInfo) -> Operation {
    let operation = operation(kind, format!("replace{}", kind.kind), format!("Replace {}", noun(kind)), Verb::Write)
        .description(
            "What is left out gets its default; the name stays if it is left out. What was read can be sent back.",
        )
        .body(schema(&format!("{}Input", kind.kind)), examples::bodies(kind.kind));
    changes(operation, kind)
}

fn change(kind: &KindInfo) -> Operation {
    let media_types = ["application/merge-patch+json", "application/json"];
    let operation = operation(kind, format!("update{}", kind.kind), format!("Change {}", noun(kind)), Verb::Write)
        .body_as(&media_types, schema(&format!("{}Patch", kind.kind)), Map::new())
        .refuses(&[400, 413, 415]);
    changes(operation, kind)
}

fn remove(kind: &KindInfo) -> Operation {
    operation(kind, format!("delete{}", kind.kind), format!("Delete {}", noun(kind)), Verb::Delete)
        .description("Refused with 409 while something refers to it, unless `cascade` is set.")
        .parameters(&["Cascade", "IfMatch"])
        .answers(200, "It is gone.", schema("Deleted"))
        .refuses(&[400, 409, 412])
}

fn past(kind: &KindInfo) -> Operation {
    operation(kind, format!("get{}History", kind.kind), format!("Read {} history", noun(kind)), Verb::Read)
        .description("Also of a resource that was deleted, by its id.")
        .answers(200, "Its revisions.", schema(&format!("{}History", kind.kind)))
}

fn roll_back(kind: &KindInfo) -> Operation {
    operation(kind, format!("rollBack{}", kind.kind), format!("Roll back {}", noun(kind)), Verb::Write)
        .description("Makes a new revision with the fields of an old one.")
        .body(schema("Rollback"), example("first", &json!({"revision": 1})))
        .parameters(&["IdempotencyKey"])
        .answers(200, "As it is now.", schema(kind.kind))
        .headers(&["ETag"])
        .refuses(&[409, 422])
}
