//! The page of the kinds of resources.

use portunus_gateway::kind::{Id, KindInfo, OnDelete, PLATFORM_TENANT};
use serde_json::{Value, json};

use super::{fields, link, paragraphs};
use crate::manifest::{API_VERSION, DEFAULT_TENANT};
use crate::openapi::example;
use crate::resource;

/// The page.
pub fn page() -> String {
    let rows: String =
        resource::all().map(|kind| format!("| {} | `{}` | `{}` |\n", link(kind.kind), path(kind), kind.noun)).collect();
    let mut page = format!(
        "# Kinds\n\n\
         Everything that can be configured is a resource of one of these kinds. Besides its kind's fields each has `id`,\n\
         `tenant_id`, `name`, `revision`, `created_at` and `updated_at`. The name is unique within tenant and kind: 1 to 128\n\
         printable characters without `/ ? # \\`. References are sent as id or name, and kept and shown as ids.\n\n\
         | kind | path | noun of its permissions |\n|---|---|---|\n{rows}"
    );
    for kind in resource::all() {
        page.push_str(&section(kind));
    }
    page
}

fn path(kind: &KindInfo) -> String {
    match kind.kind {
        "Tenant" => "/v1/tenants".to_owned(),
        _ => format!("/v1/tenants/{{tenant}}/{}", kind.plural),
    }
}

fn section(kind: &KindInfo) -> String {
    let checked = (kind.schema)();
    let refers_to =
        |path: &str| kind.references.iter().find(|reference| reference.field == path).map(|reference| reference.kind);
    let mut text = format!(
        "\n## {}\n\n{}\n\n{}",
        kind.kind,
        paragraphs(&kind.description()),
        fields::table(&checked.schema, &refers_to)
    );
    if !kind.named_by.is_empty() {
        text.push_str(&format!("\nIts name is `{}`, and can be left out.\n", kind.named_by.join(":")));
    }
    if (kind.default_name)(Id::nil()).is_some() {
        text.push_str("\nWithout a name it gets one that is made up.\n");
    }
    if let Some(secret) = example::secret(kind.kind) {
        text.push_str(&format!("\nWhen Portunus makes its secret, the answer has it in `{secret}`, this once.\n"));
    }
    let lines: Vec<String> = deletion(kind).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{}\n", lines.join("\n")));
    }
    if let Some(example) = manifest(kind) {
        text.push_str(&format!("\n```yaml\n{}\n```\n", example.trim_end()));
    }
    text
}

/// What happens to a resource of this kind, and to those that refer to one.
fn deletion(kind: &KindInfo) -> impl Iterator<Item = String> {
    let own = kind.references.iter().map(|reference| {
        let shared = if reference.platform {
            format!(" It may belong to the tenant `{PLATFORM_TENANT}`.")
        } else {
            String::new()
        };
        let what = match reference.on_delete {
            OnDelete::Refuse => "it cannot be deleted as long as this one refers to it, unless with `cascade=true`",
            OnDelete::Follow => "when it is deleted, this one goes with it",
        };
        format!("- `{}` refers to {}: {what}.{shared}", reference.field, link(reference.kind))
    });
    let others = resource::all().flat_map(move |other| {
        other.references.iter().filter(|reference| reference.kind == kind.kind).map(|reference| {
            let what = match reference.on_delete {
                OnDelete::Refuse => "keeps it from being deleted, unless with `cascade=true`",
                OnDelete::Follow => "goes with it when it is deleted",
            };
            format!("- {} refers to it with `{}` and {what}.", link(other.kind), reference.field)
        })
    });
    let tenant = format!(
        "- What belongs to it keeps it from being deleted, unless with `cascade=true`; `{PLATFORM_TENANT}` always stays."
    );
    own.chain(others).chain((kind.kind == "Tenant").then_some(tenant))
}

/// An example as a manifest in YAML.
fn manifest(kind: &KindInfo) -> Option<String> {
    let bodies = example::bodies(kind.kind);
    let body = bodies.get("rate_limit").or_else(|| bodies.values().next())?;
    let mut spec = body["value"].as_object()?.clone();
    let name = spec.shift_remove("name").unwrap_or_else(|| format!("my-{}", kind.kind.to_lowercase()).into());
    let tenant = if kind.kind == "Tenant" { PLATFORM_TENANT } else { DEFAULT_TENANT };
    let manifest = json!({
        "apiVersion": API_VERSION,
        "kind": kind.kind,
        "metadata": {"tenant": tenant, "name": name},
        "spec": Value::Object(spec),
    });
    serde_saphyr::to_string(&manifest).ok()
}
