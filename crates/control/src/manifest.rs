//! Manifests: resources as they stand in files, in an export and in `POST /v1/apply`.
//!
//! A manifest wraps a resource's own fields and refers to others by name. Reading one needs no store, so that
//! `portunus config check` and the control plane find the same faults.

pub mod document;
mod schema;

use std::collections::HashMap;

use portunus_gateway::kind::{Id, KindInfo, PLATFORM_TENANT, check_name};
use portunus_gateway::problem::Problem;
use portunus_gateway::schema::escape;
use serde_json::{Map, Value, json};

use crate::resource;
use crate::store::row::Row;

pub use schema::schema;

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
        return Err(vec![
            Problem::new("", "wrong type", "an object with apiVersion, kind, metadata and spec").found(value.clone()),
        ]);
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
            problems
                .push(Problem::new("/metadata", "wrong type", "an object with tenant and name").found(other.clone()));
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
        problems
            .push(Problem::new("/metadata/tenant", "not an id or name", "the id or name of a tenant").found(tenant));
    }
    Some((tenant.to_owned(), name?.to_owned()))
}

fn unknown_fields(fields: &Map<String, Value>, known: &[&str], place: &str) -> Vec<Problem> {
    let unknown = fields.iter().filter(|(field, _)| !known.contains(&field.as_str()));
    unknown
        .map(|(field, value)| {
            let message = format!("unknown field `{field}`");
            Problem::new(format!("{place}/{}", escape(field)), message, format!("only {}", known.join(", ")))
                .found(value.clone())
        })
        .collect()
}

fn text<'a>(
    fields: &'a Map<String, Value>,
    field: &str,
    place: &str,
    expected: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'a str> {
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

/// How secrets stand in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// As marks, which say that the secret stays as it is.
    Marked,
    /// As they are kept: sealed.
    Sealed,
}

/// The manifest of a stored resource, without hidden fields. A reference is written as the name that `name_of` knows for
/// the id, or else as the id.
pub fn render(row: &Row, tenant_name: &str, secrets: Secrets, name_of: &dyn Fn(Id) -> Option<String>) -> Value {
    let mut spec = Value::Object(match secrets {
        Secrets::Marked => row.visible(),
        Secrets::Sealed => row.kind.show_sealed(&row.spec),
    });
    each_reference(row.kind, &mut spec, |_, _, id| name_of(id.parse().ok()?));
    json!({
        "apiVersion": API_VERSION,
        "kind": row.kind.kind,
        "metadata": {"tenant": tenant_name, "name": row.name},
        "spec": spec,
    })
}

#[cfg(test)]
mod tests;
