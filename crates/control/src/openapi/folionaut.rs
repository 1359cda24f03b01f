//! The paths of Folionaut's content API, which are other names for content pages.

use serde_json::{Value, json};

use super::Operations;
use super::operation::{Operation, example, schema};
use crate::access::Verb;
use crate::api::error::CODES;

/// The tag of these operations.
pub const TAG: (&str, &str) =
    ("folionaut", "Folionaut's content API, for pages that were written for it. `X-Admin-Key` takes every API token.");

/// The operations.
pub fn operations() -> Operations {
    let (list, one) = ("/api/v1/admin/content", "/api/v1/admin/content/{id}");
    [
        ("/api/v1/content", "get", public("folionautList", "List published content", "FolionautItems", true)),
        (
            "/api/v1/content/bundle",
            "get",
            public("folionautBundle", "Read all published content by type", "FolionautBundle", false),
        ),
        ("/api/v1/content/{type}/{slug}", "get", read_published()),
        (list, "get", list_all()),
        (list, "post", create()),
        (
            one,
            "get",
            operation("folionautRead", "Read content", Verb::Read).parameter(id()).answers(
                200,
                "As it is now.",
                schema("FolionautItem"),
            ),
        ),
        (one, "put", update()),
        (
            one,
            "delete",
            operation("folionautDelete", "Delete content", Verb::Delete)
                .parameter(id())
                .answers_empty(204, "It is gone; its history stays."),
        ),
    ]
    .into_iter()
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect()
}

/// Every refusal has Folionaut's shape.
fn failing(operation: Operation, statuses: &[u16]) -> Operation {
    statuses.iter().fold(operation, |operation, status| {
        let (_, _, title) = CODES.iter().find(|(known, ..)| known == status).expect("the status is in the table");
        operation.answers(*status, title, schema("FolionautError"))
    })
}

fn operation(id: &str, summary: &str, verb: Verb) -> Operation {
    let operation = Operation::new(id, TAG.0, summary).permission("content", verb);
    failing(operation, &[400, 401, 403, 404, 409, 429, 500, 503])
}

fn id() -> Value {
    json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
}

fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn public(id: &str, summary: &str, answer: &str, has_type: bool) -> Operation {
    let mut operation = Operation::new(id, TAG.0, summary)
        .public()
        .parameter(query("tenant", "Whose, by id or name; `default` without it.", &json!({"type": "string"})))
        .parameters(&["IfNoneMatch"])
        .answers(200, "What is published.", schema(answer))
        .answers_empty(304, "It is as it was read before.")
        .headers(&["ETag"]);
    operation = failing(operation, &[404, 500, 503]);
    if has_type {
        operation = operation.parameter(query("type", "Only this type.", &json!({"type": "string"})));
    }
    operation
}

fn read_published() -> Operation {
    let path = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}});
    public("folionautReadPublished", "Read published content", "FolionautItem", false)
        .parameter(path("type"))
        .parameter(path("slug"))
}

fn list_all() -> Operation {
    operation("folionautListAll", "List content, drafts too", Verb::Read)
        .parameter(query("type", "Only this type.", &json!({"type": "string"})))
        .parameter(query("status", "Only with this status.", &status()))
        .parameter(query(
            "limit",
            "How many.",
            &json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
        ))
        .parameter(query("offset", "How many to pass over.", &json!({"type": "integer", "minimum": 0, "default": 0})))
        .answers(200, "A part of the list.", schema("FolionautItems"))
}

fn create() -> Operation {
    let body = json!({"type": "project", "data": {"title": "Portunus"}, "status": "published"});
    operation("folionautCreate", "Create content", Verb::Write)
        .description("Without `slug`, one is made of `data.title`.")
        .parameters(&["IdempotencyKey"])
        .body_as(&["application/json"], schema("FolionautInput"), example("project", &body))
        .answers(201, "It is made.", schema("FolionautItem"))
}

fn update() -> Operation {
    operation("folionautUpdate", "Change content", Verb::Write)
        .description("Each field that is sent replaces the one that is there; `data` is replaced whole.")
        .parameter(id())
        .body_as(&["application/json"], schema("FolionautPatch"), example("publish", &json!({"status": "published"})))
        .answers(200, "As it is now.", schema("FolionautItem"))
}

fn status() -> Value {
    json!({"enum": ["draft", "published", "archived"]})
}

/// The schemas with their names.
pub fn schemas() -> Vec<(String, Value)> {
    let fields = json!({
        "slug": {"type": "string"},
        "data": {"type": "object"},
        "status": status(),
        "sortOrder": {"type": "integer", "format": "int32"},
    });
    let mut input = json!({"type": "object", "properties": fields, "required": ["type", "data"]});
    input["properties"]["type"] = json!({"type": "string"});
    let item = json!({
        "id": {"type": "string", "format": "uuid"},
        "type": {"type": "string"},
        "slug": {"type": "string"},
        "data": {"type": "object"},
        "status": status(),
        "sortOrder": {"type": "integer"},
        "version": {"type": "integer", "minimum": 1},
        "createdAt": {"type": "string", "format": "date-time"},
        "updatedAt": {"type": "string", "format": "date-time"},
    });
    let required: Vec<&str> = item.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let content = json!({"type": "object", "properties": item, "required": required});
    let data = |of: Value| {
        let mut schema = json!({"type": "object", "required": ["data"]});
        schema["properties"]["data"] = of;
        schema
    };
    let list = json!({"type": "array", "items": schema("FolionautContent")});
    let inner = json!({
        "type": "object",
        "required": ["code", "message", "requestId"],
        "properties": {
            "code": {"type": "string", "description": "Such as `UNAUTHORIZED`."},
            "message": {"type": "string"},
            "requestId": {"type": "string"},
            "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "retryAfter": {"type": "integer"},
        },
    });
    [
        ("FolionautContent", content),
        ("FolionautItem", data(schema("FolionautContent"))),
        ("FolionautItems", data(list.clone())),
        ("FolionautBundle", data(json!({"type": "object", "additionalProperties": list}))),
        ("FolionautInput", input),
        ("FolionautPatch", json!({"type": "object", "properties": fields, "additionalProperties": false})),
        ("FolionautError", json!({"type": "object", "required": ["error"], "properties": {"error": inner}})),
    ]
    .into_iter()
    .map(|(name, schema)| (name.to_owned(), schema))
    .collect()
}
