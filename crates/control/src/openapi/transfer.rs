//! The realm as a document.

use serde_json::{Map, Value, json};

use super::Operations;
use super::operation::{Operation, schema};
use super::realm::TAG;
use crate::access::Verb;
use crate::realm::{VERSION, document::FORMAT};

/// The operations.
pub fn operations() -> Operations {
    vec![
        ("/v1/realm/export".to_owned(), "get", show()),
        ("/v1/realm/export".to_owned(), "post", export()),
        ("/v1/realm/import".to_owned(), "post", import()),
    ]
}

/// The schemas that only these operations have.
pub fn schemas() -> Vec<(String, Value)> {
    let passphrase = json!({"type": "string", "writeOnly": true, "maxLength": 1000, "minLength": 12});
    let mut given = passphrase.clone();
    if let Some(fields) = given.as_object_mut() {
        fields.shift_remove("minLength");
    }
    let schemas = [
        (
            "RealmDocument",
            json!({
                "type": "object",
                "description": "Not to be changed: a document that was altered is refused.",
                "properties": {
                    "format": {"const": FORMAT},
                    "version": {"type": "integer", "minimum": 1, "maximum": VERSION},
                    "exported_at": {"type": "string", "format": "date-time"},
                    "resources": {"type": "array", "items": {"type": "object"}},
                    "secrets": {"type": "object", "description": "AES-256-GCM under a key that argon2id makes of the passphrase."},
                    "sha256": {"type": "string"},
                },
                "required": ["format", "version", "exported_at", "resources", "sha256"],
            }),
        ),
        (
            "RealmSealing",
            json!({"type": "object", "properties": {"passphrase": passphrase}, "required": ["passphrase"]}),
        ),
        (
            "RealmImport",
            json!({
                "type": "object",
                "properties": {
                    "document": schema("RealmDocument"),
                    "passphrase": given,
                    "mode": {"enum": ["merge", "replace"], "default": "merge",
                        "description": "Whether accounts, roles, tokens and providers that are not in the document stay or go."},
                    "dry_run": {"type": "boolean", "default": false},
                },
                "required": ["document"],
            }),
        ),
        (
            "RealmImported",
            json!({
                "type": "object",
                "properties": {
                    "dry_run": {"type": "boolean"},
                    "unchanged": {"type": "integer", "minimum": 0},
                    "changes": {"type": "array", "items": {"type": "object"}},
                },
                "required": ["dry_run", "unchanged", "changes"],
            }),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn show() -> Operation {
    Operation::new("showRealm", TAG.0, "Read the realm without its secrets").permission("realm", Verb::Read).answers(
        200,
        "Tenants, roles, accounts, tokens and providers.",
        schema("RealmDocument"),
    )
}

fn export() -> Operation {
    Operation::new("exportRealm", TAG.0, "Write the realm as a document, secrets sealed")
        .description(
            "Password hashes, second factors, client secrets and signing keys are sealed under the passphrase.",
        )
        .permission("realm", Verb::Write)
        .body(schema("RealmSealing"), Map::new())
        .answers(200, "The document.", schema("RealmDocument"))
        .refuses(&[422])
}

fn import() -> Operation {
    Operation::new("importRealm", TAG.0, "Read a document into the realm")
        .description("Needs every right everywhere: a document can hand them out.")
        .permission("realm", Verb::Write)
        .body(schema("RealmImport"), Map::new())
        .answers(200, "What was changed.", schema("RealmImported"))
        .refuses(&[409, 422])
}
