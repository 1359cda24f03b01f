//! The calls of the record.

use serde_json::{Value, json};

use super::Operations;
use super::operation::{Operation, example, schema};
use crate::access::Verb;
use crate::api::audit::list::{MOST, USUAL};

/// The tag of these operations.
pub fn tag() -> Value {
    json!({"name": "audit", "description": "The record of what happened, which cannot be altered unseen."})
}

/// The operations.
pub fn operations() -> Operations {
    [
        ("/v1/audit", "get", list("listEvents", "List events of all tenants")),
        ("/v1/audit/{tenant}", "get", list("listEventsOfTenant", "List events of a tenant").at(&["Tenant"])),
        ("/v1/audit/verify", "get", verify()),
        ("/v1/audit/export", "get", export()),
        ("/v1/audit/evidence", "get", evidence()),
        ("/v1/audit/seal", "post", seal()),
        ("/v1/audit/erase", "post", erase()),
    ]
    .into_iter()
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect()
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    let mut parameter = json!({"name": name, "in": "query", "description": description});
    parameter["schema"] = schema;
    parameter
}

/// The filters that lists and exports have.
fn filtered(operation: Operation) -> Operation {
    let text = || json!({"type": "string"});
    let time = "RFC 3339, a day, or how long ago such as `7d`.";
    operation
        .parameter(query("user", "Only events by this actor: a name or an id.", text()))
        .parameter(query("action", "Only events with this action; `login.*` means all that begin so.", text()))
        .parameter(query("event_type", "The same as `action`.", text()))
        .parameter(query("resource", "Only events about this kind, id, name, or `Kind name`.", text()))
        .parameter(query("status", "Only events that ended so.", json!({"enum": ["success", "denied", "failed"]})))
        .parameter(query("since", &format!("Only events at this time or later: {time}"), text()))
        .parameter(query("until", &format!("Only events before this time: {time}"), text()))
        .parameter(query("hours", "Only events of the last so many hours.", json!({"type": "integer", "minimum": 0})))
}

fn list(id: &str, summary: &str) -> Operation {
    let operation = Operation::new(id, "audit", summary)
        .description(
            "The newest first. Names of people that were erased read `erased person`. Reading is an event itself.",
        )
        .permission("audit", Verb::Read);
    filtered(operation)
        .parameter(query(
            "limit",
            "How many events a page has.",
            json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}),
        ))
        .parameters(&["Page", "Cursor"])
        .answers(200, "A page of events.", schema("Events"))
        .refuses(&[400, 503])
}

fn verify() -> Operation {
    Operation::new("verifyAudit", "audit", "Check the whole record")
        .description(
            "Walks sealed segments and rows, and compares them with the checkpoints. Names the first row that is wrong. \
             Needs `audit:read` in every tenant.",
        )
        .permission("audit", Verb::Read)
        .answers(200, "What was found.", schema("AuditReport"))
        .refuses(&[400, 503])
}

fn export() -> Operation {
    let operation = Operation::new("exportEvents", "audit", "Write the record to a file")
        .description("The oldest first, streamed, with hashes and seals: JSON lines, or CSV with `format=csv`.")
        .permission("audit", Verb::Read);
    filtered(operation)
        .parameter(query("format", "The form of the file.", json!({"enum": ["jsonl", "csv"], "default": "jsonl"})))
        .parameter(query("tenant", "Only this tenant, by id or name; without it, all.", json!({"type": "string"})))
        .answers_as(200, "The file.", "application/jsonl", json!({"type": "string"}))
        .refuses(&[400, 404, 503])
}

fn evidence() -> Operation {
    let time = "RFC 3339, a day, or how long ago such as `7d`.";
    let since = json!({"name": "since", "in": "query", "required": true, "description": format!("From when: {time}"),
        "schema": {"type": "string"}, "example": "7d"});
    Operation::new("exportEvidence", "audit", "Write signed evidence for an investigation")
        .description(
            "A `tar.gz` with the rows of the record and their proofs, the history of the configuration, sessions and API \
             tokens, without secrets, and an Ed25519 signature over the SHA-256 of each file. Needs `audit:read` and \
             `session:read` in every tenant.",
        )
        .permission("audit", Verb::Read)
        .parameter(since)
        .parameter(query("until", &format!("Up to when: {time}"), json!({"type": "string"})))
        .answers_as(200, "The file.", "application/gzip", json!({"type": "string", "format": "binary"}))
        .refuses(&[400, 503])
}

fn seal() -> Operation {
    Operation::new("sealEvents", "audit", "Move old rows into sealed files")
        .description("They stay part of the record: `verify` reads the files too. Needs `audit:write` in every tenant.")
        .permission("audit", Verb::Write)
        .parameters(&["IdempotencyKey"])
        .body(schema("SealEvents"), example("a_quarter", &json!({"before": "90d"})))
        .answers(200, "What was sealed.", schema("SealedEvents"))
        .refuses(&[409, 422, 503])
}

fn erase() -> Operation {
    Operation::new("erasePerson", "audit", "Erase a person's name or address from the record")
        .description(
            "A pseudonym stays in its place, so the record still verifies. The account or consumer must be deleted first. \
             Needs `audit:write` in every tenant.",
        )
        .permission("audit", Verb::Write)
        .parameters(&["IdempotencyKey"])
        .body(schema("ErasePerson"), example("a_person", &json!({"person": "jane@example.com"})))
        .answers(200, "What stays.", schema("ErasedPerson"))
        .refuses(&[404, 409, 422, 503])
}

/// The schemas with their names.
pub fn schemas() -> Vec<(String, Value)> {
    [
        ("Event", event()),
        ("Events", events()),
        ("AuditReport", report()),
        ("AuditFault", fault()),
        (
            "SealEvents",
            closed(
                json!({"before": text("Rows from before this time: RFC 3339, a day, or how long ago such as `90d`.")}),
            ),
        ),
        (
            "SealedEvents",
            complete(json!({"rows": count("Rows that were moved."), "segments": count("Files that were written.")})),
        ),
        ("ErasePerson", closed(json!({"person": text("A login name, a consumer's name, or a client's address.")}))),
        (
            "ErasedPerson",
            complete(json!({
                "pseudonym": {"type": ["string", "null"], "description": "What stands in the record from now on."},
                "history": count("Lines of resources' histories that named the person."),
            })),
        ),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn count(description: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": description})
}

/// An object that has all its properties.
fn complete(properties: Value) -> Value {
    let required: Vec<String> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let mut schema = json!({"type": "object", "required": required});
    schema["properties"] = properties;
    schema
}

/// An object that takes nothing but its properties.
fn closed(properties: Value) -> Value {
    let mut schema = complete(properties);
    schema["additionalProperties"] = false.into();
    schema
}

fn event() -> Value {
    complete(json!({
        "sequence": count("Counts the rows of the record from 1, without gaps."),
        "created_at": {"type": "string", "format": "date-time"},
        "action": text("What was done, such as `policy.updated` or `rate_limit_exceeded`."),
        "resource": text("What it was done to: kind and name."),
        "user": text("Who did it."),
        "outcome": {"enum": ["success", "denied", "failed", ""]},
        "reason": text("The code of a refusal or fault."),
        "count": count("How often; more than 1 when events are rolled up, with `from` and `to` in the details."),
        "tenant_id": text("The tenant's id; the platform's for what belongs to no tenant."),
        "actor_kind": text("What the actor is: user, service-account, consumer, system, anonymous."),
        "actor_id": text("The account's id."),
        "via": text("What proved who it was, such as `session:<id>`."),
        "client_address": text("Where the call came from."),
        "request_id": text("The id of the call."),
        "kind": text("The kind of the resource."),
        "resource_id": text("Its id."),
        "resource_name": text("The name that it had."),
        "details": {"description": "What else is worth knowing."},
        "store_revision": count("The store's revision after it; 0 when it changed no resource."),
        "hash": text("SHA-256 over all fields and the hash of the row before."),
    }))
}

fn events() -> Value {
    let list = json!({"type": "array", "items": schema("Event")});
    complete(json!({
        "logs": list,
        "items": list,
        "total": count("How many rows match."),
        "total_events": count("The sum of their counts."),
        "next_cursor": {"type": ["string", "null"], "description": "For the next page."},
    }))
}

fn report() -> Value {
    complete(json!({
        "intact": {"type": "boolean", "description": "Whether nothing is wrong."},
        "first_fault": {"anyOf": [schema("AuditFault"), {"type": "null"}]},
        "rows": count("How many rows were found right."),
        "last_sequence": count("The last row that was found right."),
        "last_hash": text("Its hash."),
        "segments": count("How many segment files were read."),
        "checkpoints": count("How many checkpoints were compared."),
        "last_checkpoint_at": {"type": ["string", "null"], "format": "date-time"},
        "public_key": text("The key that checkpoints are signed with, in PEM."),
    }))
}

fn fault() -> Value {
    complete(json!({
        "sequence": {"type": ["integer", "null"], "description": "The first row that is wrong."},
        "fault": {"enum": ["edited", "missing", "moved", "forged", "head", "person", "segment", "checkpoint"]},
        "message": text("What is wrong."),
    }))
}
