//! Logging in and out, and sessions.

use portunus_gateway::schema::of;
use serde_json::{Value, json};

use super::Operations;
use super::bodies::{array, complete, id, object, text};
use super::operation::{Operation, example, schema};
use super::schema::plain;
use crate::access::Verb;
use crate::api::login::password::{Forgotten, PasswordChange, PasswordReset};
use crate::api::login::{Credentials, Refresh};

/// The tags of these operations.
pub const TAGS: [(&str, &str); 2] =
    [("login", "Logging in and out, and the own account."), ("sessions", "Who is logged in.")];

/// The operations.
pub fn operations() -> Operations {
    [
        ("/v1/login", "post", log_in()),
        ("/v1/login/refresh", "post", renew()),
        ("/v1/login/reset", "post", reset()),
        ("/v1/login/forgot", "post", forgot()),
        ("/login/reset", "get", page()),
        ("/v1/logout", "post", log_out()),
        ("/v1/me/password", "post", change_password()),
        ("/v1/sessions", "delete", end_all()),
        ("/v1/me", "get", me()),
        ("/v1/me/sessions", "get", own_sessions()),
        ("/v1/me/sessions/{id}", "delete", end_own()),
        ("/v1/sessions", "get", list()),
        ("/v1/sessions/{id}", "delete", end()),
    ]
    .into_iter()
    .chain(user_actions())
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect()
}

/// The schemas of their bodies and answers.
pub fn schemas() -> Vec<(String, Value)> {
    let schemas = [
        ("Credentials", plain(&of::<Credentials>().schema)),
        ("Refresh", plain(&of::<Refresh>().schema)),
        ("PasswordChange", plain(&of::<PasswordChange>().schema)),
        ("PasswordReset", plain(&of::<PasswordReset>().schema)),
        ("Forgotten", plain(&of::<Forgotten>().schema)),
        ("Lock", object(json!({"reason": {"type": "string", "maxLength": 200, "description": "Why."}}), &[])),
        ("Revoked", revoked()),
        ("Link", handed_out()),
        ("LoggedIn", logged_in()),
        ("Me", whoami()),
        ("Session", session()),
        (
            "SessionList",
            complete(json!({"items": array(schema("Session")), "total": {"type": "integer", "minimum": 0}})),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn time(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn logged_in() -> Value {
    let user = complete(json!({"id": id(), "name": {"type": "string"}, "tenant_id": id()}));
    let properties = json!({
        "access_token": {"type": "string"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "In seconds."},
        "refresh_token": text("For the next access token; good for one use."),
        "session_id": id(),
        "session_expires_at": time("When the session ends, whatever happens."),
        "user": user,
        "csrf_token": text("With a new session: what `X-CSRF-Token` must say beside the session's cookie."),
    });
    let required =
        ["access_token", "token_type", "expires_in", "refresh_token", "session_id", "session_expires_at", "user"];
    object(properties, &required)
}

fn session() -> Value {
    let properties = json!({
        "id": id(),
        "user_id": id(),
        "tenant_id": id(),
        "user": {"type": ["string", "null"], "description": "The user's name; null when the user is locked."},
        "created_at": time("When it began."),
        "last_seen_at": time("When it was last used, to half a minute."),
        "expires_at": time("When it ends, whatever happens."),
        "address": text("Where it began."),
        "user_agent": text("What the client said it was."),
        "methods": {"type": "array", "items": {"type": "string"}, "description": "How the user showed who they are."},
        "stepped_up_at": {"type": ["string", "null"], "format": "date-time",
            "description": "When a second factor was last shown."},
        "current": {"type": "boolean", "description": "Whether it is the caller's own."},
    });
    let required = ["id", "user_id", "tenant_id", "created_at", "last_seen_at", "expires_at", "address", "methods"];
    object(properties, &required)
}

fn whoami() -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let mut scopes = texts.clone();
    scopes["type"] = json!(["array", "null"]);
    scopes["description"] = "The only permissions that the credential carries; null for all of the account's.".into();
    complete(json!({
        "id": id(),
        "kind": {"enum": ["User", "ServiceAccount"]},
        "name": {"type": "string"},
        "email": {"type": ["string", "null"]},
        "tenant": complete(json!({"id": id(), "name": {"type": ["string", "null"]}})),
        "permissions": texts,
        "everywhere": {"type": "boolean", "description": "Whether they hold in every tenant, or in the account's own."},
        "scopes": scopes,
        "session": {"anyOf": [schema("Session"), {"type": "null"}]},
    }))
}

fn log_in() -> Operation {
    Operation::new("logIn", "login", "Log in with a password")
        .description(
            "Begins a session. A browser keeps it in the cookie `portunus_session`, and sends the value of the cookie \
             `csrf_token` in `X-CSRF-Token` with every call that changes something; other clients send the access token.",
        )
        .public()
        .body(schema("Credentials"), example("name", &json!({"username": "ada", "password": "correct horse battery"})))
        .answers(200, "A session.", schema("LoggedIn"))
        .refuses_as(&["login_failed", "password_reset_required", "invalid", "rate_limited", "store_unavailable"])
}

fn revoked() -> Value {
    complete(json!({"revoked": {"type": "integer", "minimum": 0, "description": "How many sessions were live."}}))
}

fn handed_out() -> Value {
    let properties = json!({
        "user_id": id(),
        "purpose": {"enum": ["invitation", "reset"]},
        "expires_at": time("When the link ends."),
        "mailed": {"type": "boolean", "description": "Whether it is on its way by mail."},
        "link": text("Only when it cannot be mailed: where the user sets a password, once."),
    });
    object(properties, &["user_id", "purpose", "expires_at", "mailed"])
}

fn reset() -> Operation {
    Operation::new("resetPassword", "login", "Set a password with a link or token")
        .description("The token is good for one use. All sessions of the user end.")
        .public()
        .body(
            schema("PasswordReset"),
            example("one", &json!({"token": "ptn_once_...", "new_password": "correct horse battery"})),
        )
        .answers_empty(204, "The password is set.")
        .refuses(&[422, 503])
}

fn forgot() -> Operation {
    Operation::new("forgotPassword", "login", "Ask for a link to set a new password")
        .description("It is mailed, if there is a user with this address. The answer is the same in any case.")
        .public()
        .body(schema("Forgotten"), example("one", &json!({"email": "ada@example.com"})))
        .answers_empty(202, "Heard.")
        .refuses(&[422, 429])
}

fn page() -> Operation {
    Operation::new("getResetPage", "login", "Show the page that sets a password").public().answers_as(
        200,
        "A page for browsers.",
        "text/html",
        json!({"type": "string"}),
    )
}

fn change_password() -> Operation {
    Operation::new("changeOwnPassword", "login", "Change the own password")
        .description("All other sessions end.")
        .account()
        .body(
            schema("PasswordChange"),
            example(
                "one",
                &json!({"current_password": "correct horse battery", "new_password": "battery staple horse"}),
            ),
        )
        .answers_empty(204, "It is changed.")
        .refuses(&[422, 503])
}

fn end_all() -> Operation {
    Operation::new("endSessions", "sessions", "End all sessions and tokens of a user")
        .permission("session", Verb::Delete)
        .parameter(json!({"name": "user", "in": "query", "required": true,
            "description": "The user, by id or login name.", "schema": {"type": "string"}}))
        .answers(200, "They have ended.", schema("Revoked"))
        .refuses(&[400, 404, 503])
}

/// What is done with the logins of a user.
fn user_actions() -> Vec<(&'static str, &'static str, Operation)> {
    let action = |id: &str, summary: &str, description: &str| {
        Operation::new(id, "users", summary)
            .description(description)
            .permission("user", Verb::Write)
            .at(&["Tenant", "Id"])
            .parameters(&["IdempotencyKey"])
    };
    let lock = action("lockUser", "Lock user", "They cannot log in, and their sessions and tokens end.")
        .body(schema("Lock"), example("one", &json!({"reason": "left the company"})))
        .optional_body()
        .answers(200, "As it is now.", schema("User"))
        .refuses(&[409, 422, 503]);
    let unlock = action("unlockUser", "Unlock user", "They can log in again.")
        .answers(200, "As it is now.", schema("User"))
        .refuses(&[409, 422, 503]);
    let revoke = action("revokeUserSessions", "End all sessions and tokens of a user", "They may log in again.")
        .answers(200, "They have ended.", schema("Revoked"))
        .refuses(&[409, 422, 503]);
    let force = action(
        "forcePasswordReset",
        "Have a user set a new password",
        "Their sessions and tokens end. The next login with the right password answers 403 `password_reset_required`, with \
         a token that sets a new one.",
    )
    .answers(200, "They must.", schema("Revoked"))
    .refuses(&[409, 422, 503]);
    let invite = action("inviteUser", "Invite user", "Makes a link for the first password, good for a week.")
        .answers(200, "The link, or where it went.", schema("Link"))
        .refuses(&[409, 422, 503]);
    let reset =
        action("resetUserPassword", "Send a user a link to set a new password", "The link is good for an hour.")
            .answers(200, "The link, or where it went.", schema("Link"))
            .refuses(&[409, 422, 503]);
    vec![
        ("/v1/tenants/{tenant}/users/{id}/lock", "post", lock),
        ("/v1/tenants/{tenant}/users/{id}/unlock", "post", unlock),
        ("/v1/tenants/{tenant}/users/{id}/revoke-sessions", "post", revoke),
        ("/v1/tenants/{tenant}/users/{id}/force-password-reset", "post", force),
        ("/v1/tenants/{tenant}/users/{id}/invite", "post", invite),
        ("/v1/tenants/{tenant}/users/{id}/reset-password", "post", reset),
    ]
}

fn renew() -> Operation {
    Operation::new("refreshLogin", "login", "Get the next access token")
        .description("A refresh token is good for one use. Sent again, it ends the session, because then two have it.")
        .public()
        .body(schema("Refresh"), example("one", &json!({"refresh_token": "ptn_refresh_..."})))
        .answers(200, "The next access token and refresh token.", schema("LoggedIn"))
        .refuses(&[401, 422, 503])
}

fn log_out() -> Operation {
    Operation::new("logOut", "login", "Log out")
        .description("Ends the session, its cookie and all its tokens.")
        .account()
        .answers_empty(204, "The session has ended.")
        .refuses(&[400, 503])
}

fn me() -> Operation {
    Operation::new("whoAmI", "login", "Say who calls").account().answers(200, "The account.", schema("Me"))
}

fn own_sessions() -> Operation {
    Operation::new("listOwnSessions", "login", "List the own sessions")
        .account()
        .answers(200, "The live sessions, the latest used first.", schema("SessionList"))
        .refuses(&[503])
}

fn end_own() -> Operation {
    Operation::new("endOwnSession", "login", "End one of the own sessions")
        .account()
        .at(&["Id"])
        .answers_empty(204, "It has ended.")
        .refuses(&[503])
}

fn list() -> Operation {
    Operation::new("listSessions", "sessions", "List sessions")
        .description("Those of all users that the caller may see.")
        .permission("session", Verb::Read)
        .parameter(
            json!({"name": "user", "in": "query", "description": "Only those of this user, by id or login name.",
            "schema": {"type": "string"}}),
        )
        .answers(200, "The live sessions, the latest used first.", schema("SessionList"))
        .refuses(&[400, 503])
}

fn end() -> Operation {
    Operation::new("endSession", "sessions", "End a session")
        .description("The next call with its cookie or one of its tokens is refused with 401.")
        .permission("session", Verb::Delete)
        .at(&["Id"])
        .answers_empty(204, "It has ended.")
        .refuses(&[503])
}
