//! Manifests: resources as they stand in files, in an export and in `POST /v1/apply`.
//!
//! A manifest wraps a resource's own fields and refers to others by name. Reading one needs no store, so that
//! `portunus config check` and the control plane find the same faults.

use std::collections::HashMap;

use portunus_gateway::kind::{Id, KindInfo, PLATFORM_TENANT, check_name};
use portunus_gateway::problem::Problem;
use portunus_gateway::schema::escape;
use serde_json::{Map, Value, json};

use crate::openapi::schema::rewrite_refs;
use crate::resource;
use crate::store::row::Row;

/// The one version of the form of manifests.
pub const API_VERSION: &str = "portunus.dev/v1";

/// The tenant of a manifest that names none.
pub const DEFAULT_TENANT: &str = "default";

const FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
const METADATA_FIELDS: [&str; 2] = ["tenant", "name"];

/// A resource as a file says it.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The form that it is written in.
    pub api_version: &'static str,
    /// Its kind.
    pub kind: &'static KindInfo,
    /// The tenant that owns it, by id or name.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Its fields; references by id or name.
    pub spec: Value,
}

/// A manifest, or everything that is wrong with its frame. Paths are relative to the manifest; what is in `spec` is not
/// looked at.
pub fn parse(value: &Value) -> Result<Manifest, Vec<Problem>> {
    let Some(fields) = value.as_object() else {
        return Err(vec![Problem::new("", "wrong type", "an object with apiVersion, kind, metadata and spec").found(value.clone())]);
    };
    let mut problems = unknown_fields(fields, &FIELDS, "");
    let version = text(fields, "apiVersion", "", API_VERSION, &mut problems);
    if let Some(version) = version.filter(|version| *version != API_VERSION) {
        problems.push(Problem::new("/apiVersion", "unknown version", API_VERSION).found(version));
    }
    let kinds = || format!("one of {}", resource::all().map(|kind| kind.kind).collect::<Vec<_>>().join(", "));
    let kind = text(fields, "kind", "", &kinds(), &mut problems).and_then(|name| {
        let known = resource::by_kind(name);
        if known.is_none() {
            problems.push(Problem::new("/kind", "unknown kind", kinds()).found(name));
        }
        known
    });
    let owner = metadata(fields.get("metadata"), kind, &mut problems);
    let spec = fields.get("spec").cloned().unwrap_or_else(|| json!({}));
    if !spec.is_object() {
        problems.push(Problem::new("/spec", "wrong type", "an object with the kind's fields").found(spec.clone()));
    }
    match (kind, owner) {
        (Some(kind), Some((tenant, name))) if problems.is_empty() => {
            Ok(Manifest { api_version: API_VERSION, kind, tenant, name, spec })
        }
        _ => Err(problems),
    }
}

/// Tenant and name.
fn metadata(value: Option<&Value>, kind: Option<&KindInfo>, problems: &mut Vec<Problem>) -> Option<(String, String)> {
    let empty = Map::new();
    let fields = match value {
        None => &empty,
        Some(Value::Object(fields)) => fields,
        Some(other) => {
            problems.push(Problem::new("/metadata", "wrong type", "an object with tenant and name").found(other.clone()));
            return None;
        }
    };
    problems.extend(unknown_fields(fields, &METADATA_FIELDS, "/metadata"));
    let name = text(fields, "name", "/metadata", "a name, unique among its kind in the tenant", problems);
    if let Some(problem) = name.and_then(check_name) {
        problems.push(problem.under("/metadata"));
    }
    let is_tenant = kind.is_some_and(|kind| kind.kind == "Tenant");
    let default = if is_tenant { PLATFORM_TENANT } else { DEFAULT_TENANT };
    let tenant = match fields.contains_key("tenant") {
        true => text(fields, "tenant", "/metadata", "the id or name of a tenant", problems)?,
        false => default,
    };
    if is_tenant && tenant != PLATFORM_TENANT {
        let expected = format!("`{PLATFORM_TENANT}`, or no `tenant`");
        problems.push(Problem::new("/metadata/tenant", "every tenant belongs to the platform", expected).found(tenant));
    } else if check_name(tenant).is_some() {
        problems.push(Problem::new("/metadata/tenant", "not an id or name", "the id or name of a tenant").found(tenant));
    }
    Some((tenant.to_owned(), name?.to_owned()))
}

fn unknown_fields(fields: &Map<String, Value>, known: &[&str], place: &str) -> Vec<Problem> {
    let unknown = fields.iter().filter(|(field, _)| !known.contains(&field.as_str()));
    unknown
        .map(|(field, value)| {
            let message = format!("unknown field `{field}`");
            Problem::new(format!("{place}/{}", escape(field)), message, format!("only {}", known.join(", "))).found(value.clone())
        })
        .collect()
}

fn text<'a>(fields: &'a Map<String, Value>, field: &str, place: &str, expected: &str, problems: &mut Vec<Problem>) -> Option<&'a str> {
    let path = format!("{place}/{field}");
    match fields.get(field) {
        Some(Value::String(text)) => return Some(text),
        Some(other) => problems.push(Problem::new(path, "wrong type", expected).found(other.clone())),
        None => problems.push(Problem::new(path, format!("`{field}` is missing"), expected)),
    }
    None
}

/// The manifests of a list by their index, and the faults of their frames and of saying the same thing twice.
/// Paths begin with `/manifests/{index}`.
pub fn parse_all(manifests: &[Value]) -> (Vec<(usize, Manifest)>, Vec<Problem>) {
    let mut parsed = Vec::with_capacity(manifests.len());
    let mut problems = Vec::new();
    let mut first: HashMap<(&str, String, String), usize> = HashMap::with_capacity(manifests.len());
    for (index, value) in manifests.iter().enumerate() {
        let manifest = match parse(value) {
            Ok(manifest) => manifest,
            Err(faults) => {
                problems.extend(faults.into_iter().map(|problem| problem.under(&place(index))));
                continue;
            }
        };
        let key = (manifest.kind.kind, manifest.tenant.clone(), manifest.name.clone());
        let earlier = *first.entry(key).or_insert(index);
        if earlier != index {
            let message = format!("manifest {earlier} is the same {} already", manifest.kind.kind);
            let path = format!("{}/metadata/name", place(index));
            problems.push(Problem::new(path, message, "one manifest for each resource").found(manifest.name.as_str()));
        }
        parsed.push((index, manifest));
    }
    (parsed, problems)
}

fn place(index: usize) -> String {
    format!("/manifests/{index}")
}

/// Everything that can be found wrong with manifests without a store. Whether what they refer to exists is not asked.
pub fn check(manifests: &[Value]) -> Vec<Problem> {
    let (parsed, mut problems) = parse_all(manifests);
    for (index, manifest) in parsed {
        let faults = check_spec(&manifest).into_iter().map(|problem| problem.under("/spec").under(&place(index)));
        problems.extend(faults);
    }
    problems
}

fn check_spec(manifest: &Manifest) -> Vec<Problem> {
    let mut spec = manifest.spec.clone();
    let mut problems = Vec::new();
    each_reference(manifest.kind, &mut spec, |path, kind, text| {
        if text.parse::<Id>().is_err() && check_name(text).is_some() {
            problems.push(Problem::new(path, "not an id or name", format!("the id or name of a {kind}")).found(text));
        }
        Some(Id::nil().to_string())
    });
    problems.extend((manifest.kind.check)(&spec));
    problems
}

/// Calls `change` with the path, the kind and the text of each reference, and puts its answer in the reference's place.
fn each_reference(kind: &KindInfo, spec: &mut Value, mut change: impl FnMut(String, &str, &str) -> Option<String>) {
    for reference in kind.references {
        let path = format!("/{}", reference.field.replace('.', "/"));
        let mut set = |path: String, item: &mut Value| {
            if let Some(text) = item.as_str().and_then(|text| change(path, reference.kind, text)) {
                *item = Value::String(text);
            }
        };
        match spec.pointer_mut(&path) {
            Some(Value::Array(items)) if reference.many => {
                items.iter_mut().enumerate().for_each(|(index, item)| set(format!("{path}/{index}"), item));
            }
            Some(item) => set(path, item),
            None => {}
        }
    }
}

/// The manifest of a stored resource, without hidden fields. A reference is written as the name that `name_of` knows for
/// the id, or else as the id.
pub fn render(row: &Row, tenant_name: &str, name_of: &dyn Fn(Id) -> Option<String>) -> Value {
    let mut spec = Value::Object(row.visible());
    each_reference(row.kind, &mut spec, |_, _, id| name_of(id.parse().ok()?));
    json!({
        "apiVersion": API_VERSION,
        "kind": row.kind.kind,
        "metadata": {"tenant": tenant_name, "name": row.name},
        "spec": spec,
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.path.as_str()).collect()
    }

    fn manifest(kind: &str, name: &str, spec: Value) -> Value {
        json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let short = parse(&json!({"apiVersion": API_VERSION, "kind": "Consumer", "metadata": {"name": "acme"}})).unwrap();
        assert_eq!((short.tenant.as_str(), short.name.as_str(), short.spec), ("default", "acme", json!({})));
        assert_eq!(parse(&manifest("Tenant", "acme", json!({}))).unwrap().tenant, "platform");
    }

    #[test]
    fn every_fault_of_the_frame_is_found_at_once() {
        let wrong = json!({
            "apiVersion": "v9", "kind": "Gizmo", "metadata": {"tenant": "a/b", "name": " x", "labels": {}}, "spec": [], "extra": 1,
        });
        let problems = parse(&wrong).unwrap_err();
        let expected =
            ["/extra", "/apiVersion", "/kind", "/metadata/labels", "/metadata/name", "/metadata/tenant", "/spec"];
        assert_eq!(paths(&problems), expected);
        assert!(problems[2].expected.contains("Api, Upstream"), "{}", problems[2]);
        assert_eq!(paths(&parse(&json!({})).unwrap_err()), ["/apiVersion", "/kind", "/metadata/name"]);
        assert_eq!(paths(&parse(&json!("text")).unwrap_err()), [""]);
        let wrong = json!({"apiVersion": 1, "kind": null, "metadata": 3});
        assert_eq!(paths(&parse(&wrong).unwrap_err()), ["/apiVersion", "/kind", "/metadata"]);
        let tenant = json!({"apiVersion": API_VERSION, "kind": "Tenant", "metadata": {"tenant": "default", "name": "x"}});
        assert_eq!(paths(&parse(&tenant).unwrap_err()), ["/metadata/tenant"]);
    }

    #[test]
    fn the_offline_check_takes_references_by_name() {
        let roles = json!({"email": "ada@example.com", "roles": ["reader", "writer"]});
        let good = [
            manifest("Subscription", "a", json!({"consumer_id": "acme", "api_id": "orders"})),
            manifest("User", "ada", roles),
        ];
        assert_eq!(check(&good), []);
        let bad = [
            manifest("Subscription", "a", json!({"consumer_id": "a/b", "colour": "red"})),
            manifest("Policy", "p", json!({"policy_type": "rate_limit", "config": {"burst": 0}})),
            manifest("User", "ada", json!({"email": "ada@example.com", "roles": ["ok", "", 7]})),
        ];
        let expected = [
            "/manifests/0/spec/consumer_id",
            "/manifests/0/spec/api_id",
            "/manifests/0/spec/colour",
            "/manifests/1/spec/config/burst",
            "/manifests/2/spec/roles/1",
            "/manifests/2/spec/roles/2",
        ];
        let found = check(&bad);
        let mut found = paths(&found);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_same_resource_twice_is_a_fault() {
        let twice = [
            manifest("Consumer", "acme", json!({})),
            manifest("Plan", "acme", json!({})),
            manifest("Consumer", "acme", json!({"company": "Acme"})),
        ];
        assert_eq!(paths(&check(&twice)), ["/manifests/2/metadata/name"]);
    }

    #[test]
    fn a_rendered_resource_is_a_manifest_again() {
        let (role, unknown) = (Id::from_u128(1), Id::from_u128(2));
        let row = Row {
            id: Id::from_u128(3),
            kind: resource::by_kind("User").unwrap(),
            tenant_id: Id::from_u128(4),
            name: "ada".to_owned(),
            revision: 1,
            spec: json!({"email": "ada@example.com", "roles": [role, unknown], "password_hash": "$argon2id$"}),
            created_at: 0,
            updated_at: 0,
        };
        let rendered = render(&row, "default", &|id| (id == role).then(|| "reader".to_owned()));
        let expected = format!(
            "{{\"apiVersion\":\"portunus.dev/v1\",\"kind\":\"User\",\"metadata\":{{\"tenant\":\"default\",\"name\":\"ada\"}},\
             \"spec\":{{\"email\":\"ada@example.com\",\"roles\":[\"reader\",\"{unknown}\"]}}}}"
        );
        assert_eq!(rendered.to_string(), expected);
        assert_eq!(check(&[rendered]), []);
    }

    #[test]
    fn the_schema_knows_every_kind_and_all_its_references_lead_somewhere() {
        let schema = schema();
        for kind in resource::all() {
            assert!(schema["$defs"][kind.kind]["properties"].is_object(), "{kind:?}");
        }
        let text = schema.to_string();
        for found in text.split("\"$ref\":\"#").skip(1) {
            let pointer = found.split('"').next().unwrap();
            assert!(schema.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
    }
}
