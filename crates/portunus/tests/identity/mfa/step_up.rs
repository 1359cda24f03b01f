//! Dangerous actions want a second factor that was shown lately.

use serde_json::{Value, json};

use super::{Person, Session, events, let_factors_grow_old};
use crate::portunus;

fn new_user(name: &str) -> Value {
    json!({"name": name, "email": format!("{name}@example.org")})
}

fn manifest(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"manifests": [{
        "apiVersion": "portunus.dev/v1",
        "kind": kind,
        "metadata": {"tenant": "default", "name": name},
        "spec": spec,
    }]})
}

#[track_caller]
fn asked(session: &Session, method: &str, path: &str, body: &Value) {
    let answer = session.call(method, path).json(body).send().problem(401, "step_up_required");
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(challenge.contains("max_age=600"), "{challenge}");
}

#[test]
fn r13_dangerous_actions_ask_for_a_factor_that_was_shown_lately() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:*"]);
    let (session, mut app) = ada.enrol();
    let codes = session.backup_codes();
    let users = "/v1/tenants/default/users";
    session.post(users, &new_user("one")).is(201);

    let_factors_grow_old(&process);
    asked(&session, "POST", users, &new_user("two"));
    asked(&session, "PATCH", &format!("{users}/one"), &json!({"status": "locked"}));
    asked(&session, "DELETE", &format!("{users}/one"), &json!({}));
    asked(&session, "POST", &format!("{users}/one/reset-mfa"), &json!({}));
    asked(&session, "POST", &format!("{users}/one/rollback"), &json!({"revision": 1}));
    asked(&session, "POST", "/v1/tenants/default/roles", &json!({"name": "r", "permissions": []}));
    asked(&session, "POST", "/v1/tenants/default/service-accounts", &json!({"name": "s"}));
    asked(&session, "POST", "/v1/apply", &manifest("Role", "r", &json!({"permissions": []})));
    asked(&session, "POST", "/v1/apply?dry_run=true", &manifest("User", "two", &json!({"email": "two@example.org"})));
    asked(&session, "DELETE", "/v1/tenants/default", &json!({}));
    let own = session.get("/v1/me/mfa").expect(200).json;
    let factor = format!("/v1/me/mfa/{}", own["items"][0]["id"].as_str().expect("an id"));
    asked(&session, "DELETE", &factor, &json!({}));
    asked(&session, "POST", "/v1/me/mfa/totp", &json!({}));
    asked(&session, "POST", "/v1/me/mfa/webauthn", &json!({}));
    asked(&session, "POST", "/v1/me/mfa/backup-codes", &json!({}));
    // What is not dangerous goes on.
    session.get(users).is(200);
    session.post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    session.post("/v1/apply", &manifest("Consumer", "acme-two", &json!({}))).is(200);

    session.step_up(&json!({"code": "000000"})).problem(401, "second_factor_refused");
    asked(&session, "POST", users, &new_user("two"));
    let stepped = session.step_up(&json!({"code": app.code()})).expect(200).json;
    assert!(stepped["stepped_up_at"].is_string() && stepped["fresh_until"].is_string(), "{stepped}");
    session.post(users, &new_user("two")).is(201);
    session.post("/v1/apply", &manifest("Role", "r", &json!({"permissions": []}))).is(200);
    // One session's factor is not another's.
    let other = ada.second_half(&ada.half_way(), &json!({"backup_code": codes[0]})).expect(200);
    let other = Session::of(&process, &other);
    let_factors_grow_old(&process);
    other.step_up(&json!({"backup_code": codes[1]})).is(200);
    other.post(users, &new_user("three")).is(201);
    asked(&session, "POST", users, &new_user("four"));

    session.step_up(&json!({"backup_code": codes[2]})).is(200);
    session.delete(&factor).is(204);
    assert_eq!(session.get("/v1/me/mfa").expect(200).json["backup_codes_left"], 0);
    ada.password().is(200);
    assert_eq!(events(&process, "session.stepped_up"), 3);
    assert_eq!(events(&process, "mfa.removed"), 1);
}

#[test]
fn r13_machines_and_people_without_a_factor_are_not_asked() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:*"]);
    ada.log_in().post("/v1/tenants/default/users", &new_user("one")).is(201);
    process.api().post("/v1/tenants/default/users", &new_user("two")).is(201);
}

#[test]
fn r13_a_body_shows_one_factor() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, _) = ada.enrol();
    for body in [json!({}), json!({"code": "000000", "backup_code": "x"}), json!({"pin": "0000"}), json!({"code": 1})] {
        session.step_up(&body).refused(422);
    }
    session.post("/v1/me/step-up/webauthn-options", &json!({})).refused(409);
}
