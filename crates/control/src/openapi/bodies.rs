//! The schemas of bodies and answers that no kind brings along.

use portunus_gateway::policy::TYPES;
use portunus_gateway::problem::Problem;
use portunus_gateway::schema::of;
use serde_json::{Value, json};

use super::operation::schema;
use super::schema::plain;
use crate::api::error::CODES;
use crate::{manifest, resource};

/// The schemas with their names.
pub fn schemas() -> Vec<(String, Value)> {
    let schemas = [
        ("Problem", problem()),
        ("Fault", plain(&of::<Problem>().schema)),
        ("Deleted", deleted()),
        ("Rollback", complete(json!({"revision": counter("A revision of the resource's history.")}))),
        ("Manifest", manifest()),
        ("Manifests", complete(json!({"manifests": array(schema("Manifest"))}))),
        ("Applied", applied()),
        ("Change", change()),
        ("Rotation", rotation()),
        ("TokenRotation", token_rotation()),
        ("OwnToken", own_token()),
        ("AccessReview", access_review()),
        ("TokenRequest", token_request()),
        ("Token", token()),
        ("TokenError", token_error()),
        ("Health", health()),
        ("Readiness", complete(json!({"status": {"enum": ["UP", "DOWN"]}}))),
        ("KindDescriptions", kinds()),
        ("PolicyTypes", policy_types()),
    ];
    let schemas = schemas.into_iter().chain(super::approvals::schemas());
    schemas.map(|(name, schema)| (name.to_owned(), schema)).collect()
}

pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "required": required});
    schema["properties"] = properties;
    schema
}

/// An object that has all its properties.
pub(super) fn complete(properties: Value) -> Value {
    let required: Vec<String> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    object(properties, &required.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn array(items: Value) -> Value {
    let mut schema = json!({"type": "array"});
    schema["items"] = items;
    schema
}

/// A text.
pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn counter(description: &str) -> Value {
    json!({"type": "integer", "minimum": 1, "description": description})
}

pub(super) fn id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn kind() -> Value {
    json!({"enum": resource::all().map(|kind| kind.kind).collect::<Vec<_>>()})
}

fn json_schema() -> Value {
    json!({"type": "object", "description": "JSON Schema 2020-12."})
}

fn problem() -> Value {
    let codes: Vec<&str> = CODES.iter().map(|(_, code, _)| *code).collect();
    let mut errors = array(schema("Fault"));
    errors["description"] = "Every fault of what was sent.".into();
    let properties = json!({
        "type": {"type": "string", "format": "uri", "description": "Identifies the sort of problem; ends with the code."},
        "title": text("The short text for people."),
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": text("What happened in this case."),
        "code": {"type": "string", "enum": codes, "description": "Stable; branch on it and not on the texts."},
        "request_id": text("The id under which the log has the call; also in `X-Request-ID`."),
        "errors": errors,
        "mfa_token": text("With `second_factor_required`: what completes the login."),
        "methods": json!({"type": "array", "items": {"enum": ["totp", "webauthn", "backup_code"]},
            "description": "With `second_factor_required`: what the account has."}),
    });
    let mut problem = object(properties, &["type", "title", "status", "detail", "code", "request_id"]);
    problem["description"] = "Why a call was refused (RFC 9457).".into();
    problem
}

fn deleted() -> Value {
    let mut gone = array(complete(json!({"kind": kind(), "id": id(), "name": {"type": "string"}})));
    gone["description"] = "The resource and what went along with it.".into();
    complete(json!({"deleted": gone}))
}

/// The frame of a manifest; what its `spec` may have is said by the kinds' own schemas.
fn manifest() -> Value {
    let mut schema = manifest::schema();
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|field, _| !matches!(field.as_str(), "$schema" | "title" | "allOf" | "$defs"));
    }
    schema["properties"]["spec"]["description"] =
        "The fields of `{Kind}Input` without the name; references by id or name.".into();
    schema
}

fn applied() -> Value {
    let revision = json!({"type": "integer", "minimum": 0, "description": "The store's revision after the change."});
    complete(json!({"changes": array(schema("Change")), "revision": revision}))
}

fn change() -> Value {
    let fields = |description: &str| json!({"type": ["object", "null"], "description": description});
    let properties = json!({
        "action": {"enum": ["created", "updated", "unchanged", "deleted"]},
        "kind": kind(),
        "tenant": text("The name of its tenant."),
        "name": text("Its name."),
        "id": id(),
        "before": fields("The fields before; null for a new resource."),
        "after": fields("The fields after; null for a deleted one."),
        "secret": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "A secret by its field, such as `api_key`; shown this once.",
        },
    });
    object(properties, &["action", "kind", "tenant", "name", "id", "before", "after"])
}

fn rotation() -> Value {
    let hours = json!({
        "type": "integer",
        "minimum": 0,
        "maximum": 720,
        "default": 0,
        "description": "How many hours the old key goes on working beside the new one.",
    });
    object(json!({"grace_period_hours": hours}), &[])
}

fn token_rotation() -> Value {
    let mut schema = rotation();
    schema["properties"]["expires_at"] = end("When the new text ends; left out, when the token would have.");
    schema
}

fn end(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

/// Everybody with what they may do.
fn access_review() -> Value {
    let texts = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    let time =
        |description: &str| json!({"type": ["string", "null"], "format": "date-time", "description": description});
    let subject = object(
        json!({
            "kind": {"enum": ["user", "service_account", "api_token"]},
            "id": id(),
            "name": {"type": "string"},
            "tenant": text("The name of its tenant."),
            "holds_in": text("The tenant in which it may do all that; `*` for every one."),
            "roles": texts("The names of the roles; of a token, those of its owner."),
            "permissions": texts("All that it may do now."),
            "status": {"enum": ["active", "locked", "expired", "revoked"]},
            "created_at": {"type": "string", "format": "date-time"},
            "last_used_at": time("When a call was last made with it."),
            "last_address": {"type": ["string", "null"], "description": "From where."},
            "second_factor": {"type": ["boolean", "null"], "description": "Of a user: whether there is one; null while locked."},
            "owner": {"type": "object", "description": "Of a token: for whom it acts."},
            "scopes": {"type": ["array", "null"], "items": {"type": "string"}, "description": "Of a token: all that it carries."},
            "expires_at": time("Of a token: when it ends."),
            "prefix": {"type": ["string", "null"], "description": "Of a token: its first characters."},
            "warnings": texts("What is worth a question."),
        }),
        &[
            "kind",
            "id",
            "name",
            "tenant",
            "holds_in",
            "roles",
            "permissions",
            "status",
            "created_at",
            "last_used_at",
            "warnings",
        ],
    );
    let count = || json!({"type": "integer", "minimum": 0});
    complete(json!({"items": array(subject), "total": count(), "with_warnings": count()}))
}

/// What somebody sends to make a token for themselves.
fn own_token() -> Value {
    let mut scopes = array(json!({"type": "string"}));
    scopes["maxItems"] = 200.into();
    scopes["description"] =
        "The only permissions it carries; left out, all that the caller's own credentials carry.".into();
    let properties = json!({
        "name": {"type": "string", "minLength": 1, "maxLength": 128, "description": "Left out, one is made up."},
        "description": {"type": "string", "maxLength": 2000},
        "scopes": scopes,
        "expires_at": end("When it ends. What is made with a token ends no later than that."),
    });
    let mut schema = object(properties, &[]);
    schema["additionalProperties"] = false.into();
    schema
}

fn token_request() -> Value {
    let secret = json!({"type": "string", "writeOnly": true});
    let properties = json!({
        "grant_type": {"enum": ["client_credentials", "password", "refresh_token"]},
        "client_id": text("The service account's name; `portunus-cli` for people."),
        "client_secret": secret,
        "username": text("A user's name."),
        "password": secret,
        "refresh_token": secret,
        "otp": text("The code of an app or a backup code, for a user with a second factor."),
    });
    object(properties, &["grant_type"])
}

fn token() -> Value {
    let mut schema = complete(json!({
        "access_token": {"type": "string"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "In seconds."},
    }));
    schema["properties"]["refresh_token"] = text("For a person: what gets the next access token; good for one use.");
    schema
}

fn token_error() -> Value {
    complete(json!({"error": text("A code of RFC 6749 section 5.2."), "error_description": {"type": "string"}}))
}

fn health() -> Value {
    complete(json!({
        "status": {"const": "ok"},
        "version": {"type": "string"},
        "uptime_seconds": {"type": "integer", "minimum": 0},
    }))
}

fn list(of: Value) -> Value {
    complete(json!({"items": array(of), "total": {"type": "integer", "minimum": 0}}))
}

fn kinds() -> Value {
    list(complete(json!({
        "kind": kind(),
        "plural": text("As in paths."),
        "noun": text("As in permissions."),
        "description": {"type": "string"},
        "references": array(complete(json!({"field": {"type": "string"}, "kind": kind()}))),
        "schema": json_schema(),
    })))
}

fn policy_types() -> Value {
    let types: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    list(complete(json!({
        "policy_type": {"enum": types},
        "phase": text("When in the walk of a request it is asked."),
        "stacks": {"type": "boolean", "description": "Whether all policies of this type apply to a call, or the one that wins."},
        "example": text("A configuration in YAML."),
        "schema": json_schema(),
    })))
}
