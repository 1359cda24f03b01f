//! The JSON Schema of manifests.

use serde_json::{Map, Value, json};

use super::{API_VERSION, DEFAULT_TENANT};
use crate::openapi::schema::rewrite_refs;
use crate::resource;

/// The JSON Schema of a manifest of any kind, for editors.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut cases = Vec::new();
    for kind in resource::all() {
        let mut spec = (kind.schema)().schema.clone();
        rewrite_refs(&mut spec, &|name| format!("#/$defs/{}/$defs/{name}", kind.kind));
        let mut then = json!({"properties": {"spec": {"$ref": format!("#/$defs/{}", kind.kind)}}});
        if spec.get("required").is_some() {
            then["required"] = json!(["spec"]);
        }
        cases.push(json!({"if": {"properties": {"kind": {"const": kind.kind}}}, "then": then}));
        definitions.insert(kind.kind.to_owned(), spec);
    }
    let kinds: Vec<&str> = resource::all().map(|kind| kind.kind).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Manifest",
        "description": "A resource as a file says it.",
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"enum": kinds},
            "metadata": {
                "type": "object",
                "properties": {
                    "tenant": {
                        "description": "The tenant that owns it, by id or name; a Tenant itself belongs to `platform`.",
                        "type": "string", "minLength": 1, "maxLength": 128, "default": DEFAULT_TENANT,
                    },
                    "name": {
                        "description": "Its name, unique within tenant and kind.",
                        "type": "string", "minLength": 1, "maxLength": 128,
                    },
                },
                "required": ["name"],
                "additionalProperties": false,
            },
            "spec": {"type": "object", "description": "The kind's own fields; references by id or name."},
        },
        "required": ["apiVersion", "kind", "metadata"],
        "additionalProperties": false,
        "allOf": cases,
        "$defs": definitions,
    })
}
