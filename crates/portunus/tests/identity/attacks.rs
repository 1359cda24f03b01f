//! An attacker's hour: what somebody tries who has found the control plane, or has an account of little rights on it.

mod bodies;
mod tenants;
mod tokens;

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use portunus_testkit::{Call, Session};
use serde_json::json;

use crate::portunus;

#[test]
fn a_path_cannot_lead_around_the_permissions() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "beta"})).is(201);
    admin.post("/v1/tenants/beta/consumers", &json!({"name": "hidden-consumer"})).is(201);
    let theirs = admin.account("default", "reader", &["consumer:read"]);
    let token = theirs.token();
    for path in [
        "/v1/tenants/default/../beta/consumers",
        "/v1/tenants/default/%2e%2e/beta/consumers",
        "/v1/tenants/default%2f..%2fbeta/consumers",
        "//v1/tenants/beta/consumers",
        "/v1//tenants/beta/consumers",
        "/v1/tenants/beta/consumers/",
        "/v1/tenants/BETA/consumers",
        "/v1/tenants/beta%00/consumers",
        "/v1/tenants/default/consumers/..%2f..%2fbeta%2fconsumers",
        "/v1/tenants/beta;default/consumers",
        "/v1/tenants/beta/consumers?tenant=default",
        "/v1/tenants/default/consumers?tenant=beta",
        "/v1/tenants/default/consumers?tenant_id=beta",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        let answer = exchange(process.api_address(), request.as_bytes(), SOON);
        let status = answer.status();
        assert!(matches!(status, Some(400 | 403 | 404 | 405)), "{path}: {}", answer.text());
        assert!(!answer.text().contains("hidden-consumer"), "{path}");
    }
}

#[test]
fn a_header_does_not_make_another_call_of_it() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants/default/consumers", &json!({"name": "kept"})).is(201);
    let reader = admin.account("default", "reader", &["consumer:read"]);
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x-original-url", "/v1/tenants/platform/users"),
        ("x-rewrite-url", "/v1/tenants/platform/users"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "admin"),
        ("x-tenant-id", "platform"),
    ] {
        let path = "/v1/tenants/default/consumers/kept";
        let answer = reader.call("GET", path).header(name, value).send().expect(200);
        assert_eq!(answer.json["name"], "kept", "{name}");
        let answer = reader.call("POST", path).header(name, value).json(&json!({})).send();
        assert!(matches!(answer.status, 403..=405), "{name}: {}", answer.text());
    }
    admin.get("/v1/tenants/default/consumers/kept").is(200);
}

#[test]
fn nobody_gives_themselves_what_they_were_not_given() {
    let process = portunus().start();
    let admin = process.api();
    let people = admin.account("default", "people", &["user:*", "service_account:*"]);
    let users = "/v1/tenants/default/users";
    for (field, value) in [
        ("password_hash", json!("$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA")),
        ("tenant_id", json!("platform")),
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("revision", json!(7)),
        ("is_admin", json!(true)),
        ("permissions", json!(["*:*"])),
        ("generation", json!(0)),
    ] {
        let mut body = json!({"name": "mallory", "email": "m@example.com"});
        body[field] = value;
        let answer = people.post(users, &body);
        let is_kept_out = answer.status == 201 && field == "password_hash" && answer.json.get("password").is_some();
        assert!(answer.status == 422 || is_kept_out, "{field}: {}", answer.text());
        if answer.status == 201 {
            people.delete(&format!("{users}/mallory")).is(200);
        }
    }
    // A role of the platform has all rights; whoever may make users may not hand it out.
    let body = json!({"name": "mallory", "email": "m@example.com", "roles": ["platform-admin"]});
    assert!(matches!(people.post(users, &body).status, 403 | 422));
    people.post(users, &json!({"name": "mallory", "email": "m@example.com"})).is(201);
    let patch = json!({"roles": ["platform-admin"]});
    assert!(matches!(people.patch(&format!("{users}/mallory"), &patch).status, 403 | 422));
}

#[test]
fn a_role_that_is_taken_away_is_gone_from_sessions_and_tokens_at_once() {
    const PASSWORD: &str = "a password of ada, long enough";
    let process = portunus().start();
    let admin = process.api();
    admin.create_user("default", "ada", PASSWORD, &["consumer:read"]);
    let session = Session::log_in(&process.api_url(""), "ada", PASSWORD);
    let list = "/v1/tenants/default/consumers";
    session.get(list).is(200);
    session.bearer("GET", list).send().is(200);
    admin.patch("/v1/tenants/default/users/ada", &json!({"roles": []})).is(200);
    session.get(list).refused(403);
    session.bearer("GET", list).send().refused(403);
}

#[test]
fn a_kept_answer_is_for_its_caller_alone() {
    let process = portunus().start();
    let admin = process.api();
    let path = "/v1/tenants/default/service-accounts";
    let body = json!({"name": "robot"});
    let made = admin.call("POST", path).header("idempotency-key", "k-1").json(&body).send().expect(201);
    let secret = made.json["client_secret"].as_str().expect("the secret").to_owned();
    let other = admin.account("default", "other", &["service_account:*", "role:*"]);
    let stolen = other.call("POST", path).header("idempotency-key", "k-1").json(&body).send();
    assert!(!stolen.text().contains(&secret), "{}", stolen.text());
    let nobody = Call::post(&process.api_url(path)).header("idempotency-key", "k-1").json(&body).send().refused(401);
    assert!(!nobody.text().contains(&secret));
}
