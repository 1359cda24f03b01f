//! Authenticator apps.

use portunus_testkit::authenticator::App;
use portunus_testkit::{Call, client};
use serde_json::{Value, json};

use super::{PASSWORD, Person, at_once, events, sql};
use crate::portunus;

#[test]
fn r13_an_authenticator_app_is_asked_for_at_the_login() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let session = ada.log_in();
    assert_eq!(session.get("/v1/me/mfa").expect(200).json["items"], json!([]));
    let made = session.post("/v1/me/mfa/totp", &json!({"label": "phone"})).expect(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = made.json["secret"].as_str().expect("a secret");
    let url = made.json["otpauth_url"].as_str().expect("an address");
    assert!(url.starts_with("otpauth://totp/Portunus:ada?secret=") && url.contains(secret), "{url}");
    // What is not confirmed counts for nothing.
    ada.password().is(200);
    let mut app = App::new(secret);
    let confirm = format!("/v1/me/mfa/totp/{}/confirm", made.json["id"].as_str().expect("an id"));
    session.post(&confirm, &json!({"code": "000000"})).problem(401, "second_factor_refused");
    session.post(&confirm, &json!({"code": app.code()})).is(200);
    session.post(&confirm, &json!({"code": "000000"})).refused(404);
    let listed = session.get("/v1/me/mfa").expect(200).json;
    assert_eq!((&listed["items"][0]["type"], &listed["items"][0]["confirmed"]), (&json!("totp"), &json!(true)));
    assert_eq!(listed["items"][0]["label"], "phone");
    assert!(!sql(&process, "SELECT data FROM mfa_method").contains(secret), "the secret is sealed");

    let asked = ada.password().problem(401, "second_factor_required");
    assert_eq!(asked.json["methods"], json!(["totp"]));
    assert!(asked.header("set-cookie").is_empty() && asked.json["access_token"].is_null());
    let token = asked.json["mfa_token"].as_str().expect("a token");
    assert_eq!(sql(&process, &format!("SELECT COUNT(*) FROM mfa_challenge WHERE id = '{token}'")).trim(), "0");
    ada.second_half(token, &json!({"code": "000000"})).problem(401, "second_factor_refused");
    let code = app.code();
    let done = ada.second_half(token, &json!({"code": code})).expect(200);
    assert!(done.header_list("set-cookie").contains("portunus_session="), "{done:?}");
    let session = super::Session::of(&process, &done);
    let own = session.get("/v1/me").expect(200).json;
    assert_eq!(own["session"]["methods"], json!(["password", "totp"]));
    assert!(own["session"]["stepped_up_at"].is_string(), "{own}");
    // The token was for one login.
    ada.second_half(token, &json!({"code": "000000"})).problem(401, "unauthorized");
    assert_eq!(events(&process, "mfa.totp_enrolled"), 1);
    assert_eq!(events(&process, "mfa.failed"), 2);
}

#[test]
fn r13_of_twenty_who_show_one_code_at_once_one_gets_in() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (_, mut app) = ada.enrol();
    let (token, code) = (ada.half_way(), app.code());
    let statuses = at_once(20, || ada.second_half(&token, &json!({"code": code})));
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 401 | 429)), "{statuses:?}");
    assert_eq!(events(&process, "login.succeeded"), 2, "that of the enrolment and one more");
}

#[test]
fn r13_one_code_steps_one_of_twenty_sessions_up() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, mut app) = ada.enrol();
    let code = app.code();
    let statuses = at_once(20, || session.step_up(&json!({"code": code})));
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(events(&process, "session.stepped_up"), 1);
}

#[test]
fn r13_the_code_of_the_step_before_is_taken_once_and_an_older_one_never() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let session = ada.log_in();
    let made = session.post("/v1/me/mfa/totp", &json!({})).expect(201).json;
    let app = App::new(made["secret"].as_str().expect("a secret"));
    let confirm = format!("/v1/me/mfa/totp/{}/confirm", made["id"].as_str().expect("an id"));
    session.post(&confirm, &json!({"code": app.code_at(-2)})).problem(401, "second_factor_refused");
    session.post(&confirm, &json!({"code": app.code_at(2)})).problem(401, "second_factor_refused");
    let before = app.code_at(-1);
    session.post(&confirm, &json!({"code": before})).is(200);
    session.step_up(&json!({"code": before})).problem(401, "second_factor_refused");
    let now = app.code_at(0);
    session.step_up(&json!({"code": now})).is(200);
    session.step_up(&json!({"code": now})).problem(401, "second_factor_refused");
}

#[test]
fn r13_the_password_grant_is_no_way_around() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (_, mut app) = ada.enrol();
    let refused = client::password(&process.api_url(""), "ada", PASSWORD).expect(400);
    assert_eq!(refused.json["error"], "invalid_grant");
    assert!(refused.json["error_description"].as_str().is_some_and(|text| text.contains("otp")), "{}", refused.text());
    let grant = |otp: &str| {
        Call::post(&process.api_url("/realms/portunus/protocol/openid-connect/token"))
            .form(&[
                ("client_id", "portunus-cli"),
                ("grant_type", "password"),
                ("username", "ada"),
                ("password", PASSWORD),
                ("otp", otp),
            ])
            .send()
    };
    assert_eq!(grant("000000").expect(400).json["error"], "invalid_grant");
    let code = app.code();
    let token = grant(&code).expect(200).json["access_token"].as_str().expect("a token").to_owned();
    Call::get(&process.api_url("/v1/me")).bearer(&token).send().is(200);
    assert_eq!(grant(&code).expect(400).json["error"], "invalid_grant");
}

#[test]
fn r13_a_waiting_login_ends_with_the_tokens_of_its_account() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (_, mut app) = ada.enrol();
    let token = ada.half_way();
    let path = format!("/v1/tenants/default/users/{}", ada.id);
    process.api().patch(&path, &json!({"status": "locked"})).is(200);
    ada.second_half(&token, &json!({"code": app.code()})).problem(401, "unauthorized");
    ada.second_half("ptn_mfa_none", &json!({"code": "000000"})).problem(401, "unauthorized");
}

#[test]
fn r13_the_keys_of_secrets_change_under_a_waiting_login() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (_, mut app) = ada.enrol();
    let token = ada.half_way();
    let before = sql(&process, "SELECT data FROM mfa_method UNION SELECT state FROM mfa_challenge");
    let rotated = process.api().post("/v1/secrets/rotate", &json!({})).expect(200).json;
    assert_eq!(rotated["left"], json!([]));
    let after = sql(&process, "SELECT data FROM mfa_method UNION SELECT state FROM mfa_challenge");
    let key = format!("enc:1:{}:", rotated["key"].as_str().expect("a key"));
    assert_eq!((before.matches(&key).count(), after.matches(&key).count()), (0, 2));
    ada.second_half(&token, &json!({"code": app.code()})).is(200);
}

#[test]
fn r13_machines_have_no_second_factors() {
    let process = portunus().start();
    process.api().get("/v1/me/mfa").refused(403);
    process.api().post("/v1/me/mfa/totp", &Value::Object(serde_json::Map::new())).refused(403);
    process.api().post("/v1/me/step-up", &json!({"code": "000000"})).refused(403);
}
