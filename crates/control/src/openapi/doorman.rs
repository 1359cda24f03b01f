//! Doorman's paths.

use serde_json::{Value, json};

use super::Operations;
use super::bodies::{complete, object, text};
use super::operation::{Operation, example, schema};
use crate::access::Verb;

/// The tag of these operations.
pub const TAG: (&str, &str) = ("doorman", "Doorman's paths and shapes for logins and users, over the native ones.");

/// The schemas of their bodies and answers.
pub fn schemas() -> Vec<(String, Value)> {
    let flag = json!({"type": "boolean"});
    let login =
        json!({"email": text("The user's address or name."), "password": {"type": "string", "writeOnly": true}});
    let user = json!({
        "username": {"type": "string"},
        "email": {"type": "string"},
        "role": {"type": ["string", "null"], "description": "The first of the user's roles."},
        "active": flag,
        "force_password_reset": flag,
    });
    let change = json!({
        "email": {"type": "string"},
        "active": {"type": "boolean", "description": "`false` locks the user."},
        "force_password_reset": {"const": true, "description": "The next login must set a new password first."},
    });
    let schemas = [
        ("DoormanLogin", complete(login)),
        ("DoormanToken", complete(json!({"access_token": {"type": "string"}}))),
        ("DoormanRefresh", object(json!({"refresh_token": text("Instead of the cookie.")}), &[])),
        ("DoormanTokens", complete(json!({"access_token": {"type": "string"}, "refresh_token": {"type": "string"}}))),
        ("DoormanInvalidate", object(json!({"username": text("Whose; without it the own session ends.")}), &[])),
        ("DoormanMessage", complete(json!({"message": {"type": "string"}}))),
        ("DoormanUser", complete(user)),
        ("DoormanUserChange", object(change, &[])),
        ("DoormanError", complete(json!({"error_code": {"type": "string"}, "error_message": {"type": "string"}}))),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The operations.
pub fn operations() -> Operations {
    [
        ("/platform/authorization", "post", log_in()),
        ("/platform/authorization/refresh", "post", renew()),
        ("/platform/authorization/status", "get", status()),
        ("/platform/authorization/invalidate", "post", invalidate()),
        ("/platform/user/me", "get", me()),
        ("/platform/user/{username}", "get", get_user()),
        ("/platform/user/{username}", "put", put_user()),
    ]
    .into_iter()
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect()
}

fn doorman(id: &str, summary: &str) -> Operation {
    Operation::new(id, TAG.0, summary)
}

/// Every refusal has Doorman's form.
fn refusing(mut operation: Operation, statuses: &[(u16, &str)]) -> Operation {
    for (status, description) in statuses {
        operation = operation.answers(*status, description, schema("DoormanError"));
    }
    operation
}

fn log_in() -> Operation {
    let operation = doorman("doormanLogIn", "Log in")
        .description("Sets the cookies of a session; see `POST /v1/login`.")
        .public()
        .body_as(
            &["application/json"],
            schema("DoormanLogin"),
            example("one", &json!({"email": "ada@example.com", "password": "correct horse battery"})),
        )
        .answers(200, "A session.", schema("DoormanToken"));
    let refusals = [
        (400, "The email or the password is not right."),
        (403, "A new password must be set first."),
        (429, "Too many."),
    ];
    refusing(operation, &refusals)
}

fn renew() -> Operation {
    let operation = doorman("doormanRefresh", "Get the next access token")
        .public()
        .body_as(&["application/json"], schema("DoormanRefresh"), serde_json::Map::new())
        .optional_body()
        .answers(200, "The next access token and refresh token.", schema("DoormanTokens"));
    refusing(operation, &[(401, "The refresh token is not valid.")])
}

fn own(operation: Operation) -> Operation {
    refusing(operation.account(), &[(401, "The session has ended."), (403, "The CSRF token is missing or wrong.")])
}

fn status() -> Operation {
    own(doorman("doormanStatus", "Say whether the token is valid")).answers(200, "It is.", schema("DoormanMessage"))
}

fn invalidate() -> Operation {
    let operation = own(doorman("doormanInvalidate", "End the own session, or everything of a user"))
        .description("With `username` it needs `session:delete`.")
        .body_as(
            &["application/json"],
            schema("DoormanInvalidate"),
            example("of_a_user", &json!({"username": "affected-user"})),
        )
        .optional_body()
        .answers(200, "It has ended.", schema("DoormanMessage"));
    refusing(operation, &[(404, "There is no such user that the caller may do this to.")])
}

fn me() -> Operation {
    own(doorman("doormanMe", "Say who calls")).answers(200, "The user.", schema("DoormanUser"))
}

fn of_user(operation: Operation, verb: Verb) -> Operation {
    let username = json!({"name": "username", "in": "path", "required": true, "description": "The user's name.",
        "schema": {"type": "string"}});
    let refusals = [(401, "The session has ended."), (403, "The caller may not."), (404, "There is no such user.")];
    refusing(operation.permission("user", verb).parameter(username), &refusals)
}

fn get_user() -> Operation {
    of_user(doorman("doormanGetUser", "Read a user"), Verb::Read).answers(200, "The user.", schema("DoormanUser"))
}

fn put_user() -> Operation {
    let operation = of_user(doorman("doormanPutUser", "Change a user"), Verb::Write)
        .body_as(
            &["application/json"],
            schema("DoormanUserChange"),
            example("reset", &json!({"force_password_reset": true})),
        )
        .answers(200, "It is changed.", schema("DoormanMessage"));
    refusing(operation, &[(422, "A field is wrong, or cannot be set here.")])
}
