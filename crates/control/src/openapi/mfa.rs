//! Second factors, and what they are asked for.

use portunus_gateway::schema::of;
use serde_json::{Value, json};

use super::Operations;
use super::bodies::{array, complete, id, object, text};
use super::operation::{Operation, example, schema};
use super::schema::plain;
use crate::access::Verb;
use crate::api::mfa::forms::{Assertion, Code, Factor, NewCredential, NewFactor, SecondHalf, Waiting};

/// The tags of these operations.
pub const TAGS: [(&str, &str); 1] = [("second factors", "Authenticator apps, WebAuthn, backup codes.")];

const TAG: &str = TAGS[0].0;

/// The operations.
pub fn operations() -> Operations {
    [
        ("/v1/me/mfa", "get", list()),
        ("/v1/me/mfa/totp", "post", add_totp()),
        ("/v1/me/mfa/totp/{id}/confirm", "post", confirm_totp()),
        ("/v1/me/mfa/webauthn", "post", add_webauthn()),
        ("/v1/me/mfa/webauthn/{challenge}/confirm", "post", confirm_webauthn()),
        ("/v1/me/mfa/backup-codes", "post", backup_codes()),
        ("/v1/me/mfa/{id}", "delete", remove()),
        ("/v1/me/step-up", "post", step_up()),
        ("/v1/me/step-up/webauthn-options", "post", step_up_options()),
        ("/v1/login/mfa", "post", login()),
        ("/v1/login/mfa/webauthn-options", "post", login_options()),
        ("/v1/tenants/{tenant}/users/{id}/reset-mfa", "post", reset()),
    ]
    .into_iter()
    .map(|(path, method, operation)| (path.to_owned(), method, operation))
    .collect()
}

/// The schemas of their bodies and answers.
pub fn schemas() -> Vec<(String, Value)> {
    let schemas = [
        ("NewFactor", plain(&of::<NewFactor>().schema)),
        ("FactorCode", plain(&of::<Code>().schema)),
        ("NewCredential", plain(&of::<NewCredential>().schema)),
        ("Assertion", plain(&of::<Assertion>().schema)),
        ("Factor", with_assertion(plain(&of::<Factor>().schema))),
        ("SecondHalf", with_assertion(plain(&of::<SecondHalf>().schema))),
        ("WaitingLogin", plain(&of::<Waiting>().schema)),
        ("FactorList", factors()),
        ("OwnFactor", factor()),
        ("NewTotp", new_totp()),
        ("WebauthnQuestion", question()),
        ("BackupCodes", complete(json!({"codes": array(text("Good for one use; shown this once."))}))),
        ("SteppedUp", complete(json!({"stepped_up_at": time(), "fresh_until": time()}))),
        (
            "MfaReset",
            complete(json!({
                "removed": {"type": "integer", "minimum": 0, "description": "How many second factors are gone."},
                "sessions": {"type": "integer", "minimum": 0, "description": "How many sessions have ended."},
            })),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// The assertion inside a body, as the component that it is.
fn with_assertion(mut body: Value) -> Value {
    body["properties"]["webauthn"] = json!({"anyOf": [schema("Assertion"), {"type": "null"}],
        "description": "The answer of an authenticator."});
    body
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn factor() -> Value {
    complete(json!({
        "id": id(),
        "type": {"enum": ["totp", "webauthn"]},
        "label": text("What its owner calls it."),
        "confirmed": {"type": "boolean", "description": "Whether it has been shown to work; until then it counts for nothing."},
        "created_at": time(),
        "last_used_at": {"type": ["string", "null"], "format": "date-time"},
    }))
}

fn factors() -> Value {
    complete(json!({
        "items": array(schema("OwnFactor")),
        "total": {"type": "integer", "minimum": 0},
        "backup_codes_left": {"type": "integer", "minimum": 0},
        "must_have_one": {"type": "boolean", "description": "Whether the login policy asks this account for one."},
    }))
}

fn new_totp() -> Value {
    complete(json!({
        "id": id(),
        "secret": text("In base32, to be typed into the app; shown this once."),
        "otpauth_url": text("The same as an address, to be shown as a QR code."),
    }))
}

fn question() -> Value {
    let properties = json!({
        "challenge": text("What to send back with the authenticator's answer; good for one use and five minutes."),
        "options": {"type": "object", "description": "For `navigator.credentials.create` or `.get`."},
    });
    object(properties, &["challenge", "options"])
}

fn challenge() -> Value {
    json!({"name": "challenge", "in": "path", "required": true, "description": "The challenge that is answered.",
        "schema": {"type": "string"}})
}

fn of_a_session(id: &str, summary: &str) -> Operation {
    Operation::new(id, TAG, summary).account().refuses(&[503])
}

fn list() -> Operation {
    of_a_session("listOwnFactors", "List the own second factors").answers(
        200,
        "The second factors.",
        schema("FactorList"),
    )
}

fn add_totp() -> Operation {
    of_a_session("addTotp", "Set an authenticator app up")
        .description("It counts for nothing until a code shows that the app has the secret.")
        .body(schema("NewFactor"), example("phone", &json!({"label": "My phone"})))
        .optional_body()
        .answers(201, "The secret for the app.", schema("NewTotp"))
        .refuses(&[409, 422])
        .refuses_as(&["step_up_required"])
}

fn confirm_totp() -> Operation {
    of_a_session("confirmTotp", "Show that an authenticator app works")
        .at(&["Id"])
        .body(schema("FactorCode"), example("code", &json!({"code": "123456"})))
        .answers(200, "It is a second factor from now on.", schema("OwnFactor"))
        .refuses(&[422])
        .refuses_as(&["second_factor_refused"])
}

fn add_webauthn() -> Operation {
    of_a_session("addWebauthn", "Ask for a WebAuthn credential")
        .body(schema("NewFactor"), example("key", &json!({"label": "The blue key"})))
        .optional_body()
        .answers(201, "What to ask the authenticator.", schema("WebauthnQuestion"))
        .refuses(&[409, 422])
        .refuses_as(&["step_up_required"])
}

fn confirm_webauthn() -> Operation {
    of_a_session("confirmWebauthn", "Register a WebAuthn credential")
        .parameter(challenge())
        .body(schema("NewCredential"), example("one", &json!({"credential": {"id": "...", "type": "public-key"}})))
        .answers(201, "It is a second factor from now on.", schema("OwnFactor"))
        .refuses(&[404, 409, 422])
}

fn backup_codes() -> Operation {
    of_a_session("makeBackupCodes", "Make ten new backup codes")
        .description("Those of before are good no more.")
        .answers(201, "The codes.", schema("BackupCodes"))
        .refuses(&[409])
        .refuses_as(&["step_up_required"])
}

fn remove() -> Operation {
    of_a_session("removeFactor", "Remove one of the own second factors")
        .at(&["Id"])
        .answers_empty(204, "It is gone.")
        .refuses(&[409])
        .refuses_as(&["step_up_required"])
}

fn step_up() -> Operation {
    of_a_session("stepUp", "Show a second factor again")
        .description(
            "Calls that hand out rights or let secrets out want one that was shown in the last minutes (RFC 9470).",
        )
        .body(schema("Factor"), example("code", &json!({"code": "123456"})))
        .answers(200, "The session is stepped up.", schema("SteppedUp"))
        .refuses(&[422])
        .refuses_as(&["second_factor_refused"])
}

fn step_up_options() -> Operation {
    of_a_session("askForStepUp", "Ask for a WebAuthn assertion to step up with")
        .answers(200, "What to ask the authenticator.", schema("WebauthnQuestion"))
        .refuses(&[409])
}

fn login() -> Operation {
    Operation::new("logInWithSecondFactor", TAG, "Complete a login with a second factor")
        .description("For a login that was answered with `second_factor_required`.")
        .public()
        .body(schema("SecondHalf"), example("code", &json!({"mfa_token": "ptn_mfa_...", "code": "123456"})))
        .answers(200, "A session.", schema("LoggedIn"))
        .refuses_as(&["second_factor_refused", "invalid", "rate_limited", "store_unavailable"])
}

fn login_options() -> Operation {
    Operation::new("askForSecondFactor", TAG, "Ask for a WebAuthn assertion to complete a login with")
        .public()
        .body(schema("WaitingLogin"), example("one", &json!({"mfa_token": "ptn_mfa_..."})))
        .answers(200, "What to ask the authenticator.", schema("WebauthnQuestion"))
        .refuses(&[401, 409, 422, 503])
}

fn reset() -> Operation {
    Operation::new("resetUserMfa", "users", "Remove the second factors of a user")
        .description("For somebody who has lost them. Their sessions and tokens end.")
        .permission("user", Verb::Write)
        .at(&["Tenant", "Id"])
        .parameters(&["IdempotencyKey"])
        .answers(200, "They are gone.", schema("MfaReset"))
        .refuses(&[503])
        .refuses_as(&["step_up_required"])
}
