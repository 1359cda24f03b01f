//! The schemas of a kind, one for each of its uses, and those of the policy types.

use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::policy::TYPES;
use serde_json::{Map, Value, json};

use super::example;
use super::operation::schema;
use super::schema::{Schemas, component, component_name};
use crate::api::tokens::LAST_USED_AT;

/// What every resource has; only Portunus sets it, but for the name.
const META: [&str; 6] = ["id", "tenant_id", "name", "revision", "created_at", "updated_at"];

/// Adds what every resource has.
pub fn add_resource(schemas: &mut Schemas) {
    let resource = json!({
        "type": "object",
        "description": "What every resource has besides its kind's own fields.",
        "properties": meta(),
        "required": META,
    });
    schemas.add("Resource", resource);
}

/// Adds a kind: its fields (`{Kind}Spec`), a resource (`{Kind}`), what is sent (`{Kind}Input`, `{Kind}Patch`) and what
/// lists it (`{Kind}List`, `{Kind}History`).
pub fn add_kind(schemas: &mut Schemas, kind: &KindInfo) {
    let mut fields = schemas.adopt(kind.kind, &(kind.schema)().schema);
    if let Some(properties) = fields["properties"].as_object_mut() {
        properties.retain(|name, _| !kind.hidden.contains(&name.as_str()));
    }
    describe_policies(kind, &mut fields);
    let name = kind.kind;
    let whole = [schema("Resource"), schema(&format!("{name}Spec"))];
    schemas.add(name, json!({"description": fields["description"], "allOf": whole}));
    schemas.add(format!("{name}Spec"), shown(kind, &fields));
    let input = input(kind, &fields);
    schemas.add(format!("{name}Patch"), patch(schemas, &input));
    schemas.add(format!("{name}Input"), input);
    if let Some(secret) = example::secret(name) {
        let text = "Shown this once, when it was made and not chosen by the caller.";
        let extra = json!({"type": "object", "properties": {secret: {"type": "string", "description": text}}});
        let description = "A new resource with its secret.";
        schemas.add(format!("{name}Created"), json!({"description": description, "allOf": [schema(name), extra]}));
    }
    schemas.add(format!("{name}List"), list(name));
    schemas.add(format!("{name}History"), history(name));
}

/// Adds the configuration of each policy type as `PolicyConfig_{type}`.
pub fn add_policy_configs(schemas: &mut Schemas) {
    for known in TYPES {
        let name = config_name(known.name);
        let config = schemas.adopt(&name, &(known.schema)().schema);
        schemas.add(name, config);
    }
}

/// The name of the schema of a policy type's configuration.
fn config_name(policy_type: &str) -> String {
    format!("PolicyConfig_{policy_type}")
}

fn meta() -> Value {
    let mut meta = json!({
        "id": {"type": "string", "format": "uuid", "description": "UUIDv7: ids sort by age."},
        "tenant_id": {"type": "string", "format": "uuid", "description": "The tenant that it belongs to."},
        "name": {"type": "string", "minLength": 1, "maxLength": 128, "description": "Unique within tenant and kind."},
        "revision": {"type": "integer", "minimum": 1, "description": "Counts its changes."},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
    });
    for field in META.iter().filter(|field| **field != "name") {
        meta[*field]["readOnly"] = json!(true);
    }
    meta
}

/// Says in the kind Policy which types and configurations there are.
fn describe_policies(kind: &KindInfo, fields: &mut Value) {
    if kind.kind != "Policy" {
        return;
    }
    let names: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    let configs: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), component(&config_name(name)).into())).collect();
    let properties = &mut fields["properties"];
    properties["policy_type"]["enum"] = json!(names);
    let list = names.iter().map(|name| format!("`{}`", config_name(name))).collect::<Vec<_>>().join(", ");
    let text = format!("The rule's own settings, by `policy_type`: {list}.");
    properties["config"]["description"] = text.into();
    properties["config"]["x-discriminator"] = json!({"propertyName": "policy_type", "mapping": configs});
}

/// The fields as answers show them: complete with defaults, references as ids, no secrets.
fn shown(kind: &KindInfo, fields: &Value) -> Value {
    let mut shown = fields.clone();
    let Some(object) = shown.as_object_mut() else { return shown };
    // A client must not stumble over a field that a later version adds.
    object.shift_remove("additionalProperties");
    let mut required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return shown };
    properties.retain(|name, _| Some(name.as_str()) != example::secret(kind.kind));
    for (name, property) in properties.iter_mut() {
        if property.get("default").is_some() && !required.contains(&json!(name)) {
            required.push(json!(name));
        }
    }
    if kind.kind == "ApiToken" {
        properties.insert(LAST_USED_AT.into(), json!({"type": ["string", "null"], "format": "date-time", "readOnly": true,
            "description": "When a call was last made with it; known some seconds later after a crash, and null for never."}));
    }
    for reference in kind.references {
        let Some(property) = properties.get_mut(reference.field) else { continue };
        let id = json!({"type": "string", "format": "uuid"});
        let mut new = if reference.many { json!({"type": "array", "items": id}) } else { id };
        new["description"] = property.get("description").cloned().unwrap_or_default();
        new["x-refers-to"] = json!(reference.kind);
        *property = new;
    }
    object.insert("required".into(), required.into());
    shown
}

/// What is sent to make or replace a resource.
fn input(kind: &KindInfo, fields: &Value) -> Value {
    let mut input = fields.clone();
    let has_default_name = (kind.default_name)(Id::nil()).is_some() || !kind.named_by.is_empty();
    let mut required = input["required"].as_array().cloned().unwrap_or_default();
    if !has_default_name {
        required.insert(0, json!("name"));
    }
    let mut properties = meta().as_object().cloned().unwrap_or_default();
    properties.extend(input["properties"].as_object().cloned().unwrap_or_default());
    if !kind.named_by.is_empty() {
        properties["name"]["description"] = format!("`{}`; can be left out.", kind.named_by.join(":")).into();
    } else if has_default_name {
        properties["name"]["description"] = json!("Unique within tenant and kind; left out, one is made up.");
    }
    if let Some(property) = example::secret(kind.kind).and_then(|secret| properties.get_mut(secret)) {
        property["writeOnly"] = json!(true);
    }
    for reference in kind.references {
        if let Some(property) = properties.get_mut(reference.field) {
            property["x-refers-to"] = json!(reference.kind);
        }
    }
    input["properties"] = properties.into();
    input["required"] = required.into();
    input
}

/// A JSON merge patch of what can be sent.
fn patch(schemas: &Schemas, input: &Value) -> Value {
    let required = input["required"].as_array().cloned().unwrap_or_default();
    let mut patch = input.clone();
    patch["description"] =
        json!("The fields to change (JSON merge patch, RFC 7396): null takes a field away, objects are merged.");
    let Some(fields) = patch.as_object_mut() else { return patch };
    fields.shift_remove("required");
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, property) in properties {
        if property.get("readOnly").is_some() {
            continue;
        }
        let description = property.get("description").cloned().unwrap_or_default();
        if is_object(schemas, property) {
            *property = json!({"type": ["object", "null"], "description": description});
        } else if !required.contains(&json!(name)) && name != "name" && !takes_null(property) {
            let mut kept = property.take();
            if let Some(kept) = kept.as_object_mut() {
                kept.retain(|field, _| !matches!(field.as_str(), "description" | "default"));
            }
            *property = json!({"description": description, "anyOf": [kept, {"type": "null"}]});
        } else if let Some(kept) = property.as_object_mut() {
            kept.shift_remove("default");
        }
    }
    patch
}

fn is_object(schemas: &Schemas, property: &Value) -> bool {
    let target = property["$ref"].as_str().and_then(|place| schemas.get(component_name(place)?));
    property["type"] == "object"
        || target.is_some_and(|target| is_object(schemas, target))
        || property["anyOf"].as_array().is_some_and(|cases| cases.iter().any(|case| is_object(schemas, case)))
}

fn takes_null(property: &Value) -> bool {
    let is_null = |value: &Value| value["type"] == "null";
    property["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
        || property["anyOf"].as_array().is_some_and(|cases| cases.iter().any(is_null))
}

fn list(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": schema(name), "description": "The oldest first."},
            "total": {"type": "integer", "minimum": 0, "description": "How many there are on all pages."},
            "page": {"type": "integer", "minimum": 1},
            "page_size": {"type": "integer", "minimum": 1},
            "next_cursor": {"type": ["string", "null"], "description": "For `cursor`; null on the last page."},
        },
        "required": ["items", "total", "page", "page_size", "next_cursor"],
    })
}

fn history(name: &str) -> Value {
    json!({
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "description": "The latest first, at most 100.",
                "items": {
                    "type": "object",
                    "properties": {
                        "revision": {"type": "integer", "minimum": 1, "description": "The resource's revision."},
                        "store_revision": {"type": "integer", "minimum": 1, "description": "The commit that the change was part of."},
                        "action": {"enum": ["created", "updated", "deleted"]},
                        "actor": {"type": "string", "description": "Who did it, such as `user:admin`."},
                        "changed_at": {"type": "string", "format": "date-time"},
                        "name": {"type": "string", "description": "The name that it had."},
                        "resource": schema(&format!("{name}Spec")),
                    },
                    "required": ["revision", "store_revision", "action", "actor", "changed_at", "name", "resource"],
                },
            },
            "total": {"type": "integer", "minimum": 0},
        },
        "required": ["items", "total"],
    })
}
