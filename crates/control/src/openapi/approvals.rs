//! Requests for approval.

use serde_json::{Value, json};

use super::Operations;
use super::bodies::{complete, text};
use super::operation::{Operation, example, schema};
use crate::access::Verb;
use crate::approval::life::Status;

/// The tag of these operations.
pub const TAG: (&str, &str) = ("approvals", "Requests to approve a call before it is let through, once.");

/// The operations.
pub fn operations() -> Operations {
    let path = |path: &str| path.to_owned();
    vec![
        (path("/v1/approvals"), "get", list()),
        (path("/v1/me/approvals"), "get", own()),
        (path("/v1/approvals/{id}"), "get", get()),
        (path("/v1/approvals/{id}/approve"), "post", decide("approve", "Approve a call")),
        (path("/v1/approvals/{id}/reject"), "post", decide("reject", "Refuse to approve a call")),
        (path("/v1/approvals/{id}/cancel"), "post", cancel()),
    ]
}

/// The schemas that they use.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![("Approval", approval()), ("ApprovalList", approval_list()), ("Decision", decision())]
}

fn id() -> Value {
    json!({"name": "id", "in": "path", "required": true, "description": "Id of the request.",
        "schema": {"type": "string", "format": "uuid"}})
}

fn filtered(operation: Operation) -> Operation {
    let words: Vec<String> = Status::words().split(", ").map(str::to_owned).collect();
    operation
        .parameter(json!({"name": "status", "in": "query", "description": "Only those that stand there.", "schema": {"enum": words}}))
        .parameter(json!({"name": "before", "in": "query", "description": "`next_before` of the page before.",
            "schema": {"type": "string", "format": "uuid"}}))
        .parameter(json!({"name": "limit", "in": "query", "description": "How many, at most.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}}))
        .answers(200, "The latest first.", schema("ApprovalList"))
        .refuses(&[400, 503])
}

fn list() -> Operation {
    let operation = Operation::new("listApprovals", TAG.0, "List requests for approval")
        .description("Those of every tenant in which the account has `approval:read`, or of one.")
        .permission("approval", Verb::Read)
        .parameter(json!({"name": "tenant", "in": "query", "description": "Id or name of a tenant.", "schema": {"type": "string"}}));
    filtered(operation)
}

fn own() -> Operation {
    filtered(Operation::new("listOwnApprovals", TAG.0, "List one's own requests for approval").account())
}

fn get() -> Operation {
    Operation::new("getApproval", TAG.0, "Read a request for approval")
        .description("One's own, or one of a tenant in which the account has `approval:read`.")
        .account()
        .parameter(id())
        .answers(200, "As it is now.", schema("Approval"))
        .refuses(&[404, 503])
}

fn decide(word: &str, summary: &str) -> Operation {
    Operation::new(format!("{word}Approval"), TAG.0, summary)
        .description("Each account decides once, and nobody about a request of their own.")
        .permission("approval", Verb::Write)
        .parameter(id())
        .parameters(&["IdempotencyKey"])
        .body(schema("Decision"), example("with_a_word", &json!({"comment": "seen the change, fine"})))
        .optional_body()
        .answers(200, "As it is now.", schema("Approval"))
        .refuses(&[404, 409, 422, 503])
}

fn cancel() -> Operation {
    Operation::new("cancelApproval", TAG.0, "Take a request for approval back")
        .account()
        .parameter(id())
        .parameters(&["IdempotencyKey"])
        .answers(200, "As it is now.", schema("Approval"))
        .refuses(&[404, 409, 503])
}

fn time(description: &str) -> Value {
    json!({"type": ["string", "null"], "format": "date-time", "description": description})
}

fn approval() -> Value {
    let uuid = json!({"type": "string", "format": "uuid"});
    let words: Vec<String> = Status::words().split(", ").map(str::to_owned).collect();
    let decisions = complete(json!({
        "account_id": uuid,
        "account": text("Who decided."),
        "decision": {"enum": ["approve", "reject"]},
        "comment": text("What they said with it."),
        "at": {"type": "string", "format": "date-time"},
    }));
    let mut schema = complete(json!({
        "id": uuid,
        "tenant_id": uuid,
        "status": {"enum": words},
        "requester_id": uuid,
        "requester": text("Who asks, such as `user:ada`."),
        "via": text("What proved it, such as `session:…`."),
        "door": {"enum": ["control", "gateway"], "description": "The control plane's API, or a proxied route."},
        "permission": text("The permissions that the call uses; empty on a proxied route."),
        "api": text("The API on a proxied route."),
        "method": text("The call's method."),
        "path": text("The call's path."),
        "query": text("The call's query."),
        "body_sha256": text("SHA-256 of the call's body."),
        "reason": text("What the requester said in `X-Approval-Reason`."),
        "rules": {"type": "array", "items": uuid, "description": "The approval rules that ask for it."},
        "approver_roles": {"type": "array", "items": {"type": "array", "items": uuid},
            "description": "An approver has a role of each of these lists."},
        "needed": {"type": "integer", "minimum": 1, "description": "How many must approve."},
        "approvals": {"type": "integer", "minimum": 0, "description": "How many have."},
        "decisions": {"type": "array", "items": decisions},
        "created_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": "string", "format": "date-time", "description": "Until when it waits."},
        "approved_until": time("Until when the call may be made."),
        "ended_at": time("When it ended."),
    }));
    schema["description"] = "A request to approve a call before it is let through, once.".into();
    schema
}

fn approval_list() -> Value {
    complete(json!({
        "items": {"type": "array", "items": schema("Approval")},
        "next_before": {"type": ["string", "null"], "format": "uuid", "description": "Send it as `before` for the next page."},
    }))
}

fn decision() -> Value {
    json!({"type": "object", "additionalProperties": false,
        "properties": {"comment": {"type": "string", "maxLength": 2000, "description": "Shown with the decision."}}})
}
