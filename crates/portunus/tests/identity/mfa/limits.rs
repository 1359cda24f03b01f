//! What guessing and hoarding come to.

use portunus_testkit::Call;
use serde_json::json;

use super::{Person, events, sql};
use crate::portunus;

#[test]
fn r13_guessing_ends_after_five_tries_whatever_else_is_done() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, mut app) = ada.enrol();
    let codes = session.backup_codes();
    let token = ada.half_way();
    for guess in ["000000", "000001"] {
        ada.second_half(&token, &json!({"code": guess})).problem(401, "second_factor_refused");
    }
    // Neither a right factor nor another login nor another kind of factor begins a new count.
    session.step_up(&json!({"backup_code": codes[0]})).is(200);
    let token = ada.half_way();
    ada.second_half(&token, &json!({"code": "000002"})).problem(401, "second_factor_refused");
    ada.second_half(&token, &json!({"backup_code": "aaaa-bbbb-cccc-dddd"})).problem(401, "second_factor_refused");
    session.step_up(&json!({"code": "000003"})).problem(401, "second_factor_refused");
    let code = app.code();
    for _ in 0..3 {
        let refused = ada.second_half(&ada.half_way(), &json!({"code": code})).problem(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").parse().expect("seconds");
        assert!((1..=301).contains(&wait), "{wait}");
        session.step_up(&json!({"backup_code": codes[1]})).problem(429, "rate_limited");
    }
    assert_eq!(events(&process, "mfa.failed"), 5);
    assert_eq!(events(&process, "mfa.throttled"), 1);

    // A restart does not either.
    let data = process.kill9();
    let process = portunus().data(&data).start();
    let login = Call::post(&process.api_url("/v1/login"))
        .json(&json!({"username": "ada", "password": super::PASSWORD}))
        .send()
        .problem(401, "second_factor_required");
    let body = json!({"mfa_token": login.json["mfa_token"], "code": code});
    Call::post(&process.api_url("/v1/login/mfa")).json(&body).send().problem(429, "rate_limited");

    // Time does, and nothing was used up meanwhile.
    sql(&process, "UPDATE mfa_failure SET at = at - 301000000");
    let body = json!({"mfa_token": login.json["mfa_token"], "backup_code": codes[1]});
    Call::post(&process.api_url("/v1/login/mfa")).json(&body).send().is(200);
}

#[test]
fn r13_a_person_has_at_most_twenty_factors() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, _) = ada.enrol();
    for _ in 1..20 {
        session.post("/v1/me/mfa/totp", &json!({})).is(201);
    }
    session.post("/v1/me/mfa/totp", &json!({})).refused(409);
    assert_eq!(session.get("/v1/me/mfa").expect(200).json["total"], 20);
    session.post("/v1/me/mfa/totp", &json!({"label": ""})).refused(422);
    session.post("/v1/me/mfa/totp", &json!({"label": "x".repeat(101)})).refused(422);
}

#[test]
fn r13_logins_that_wait_do_not_pile_up() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, _) = ada.enrol();
    let codes = session.backup_codes();
    let first = ada.half_way();
    for _ in 0..10 {
        ada.half_way();
    }
    assert_eq!(sql(&process, "SELECT COUNT(*) FROM mfa_challenge").trim(), "10");
    ada.second_half(&first, &json!({"backup_code": codes[0]})).problem(401, "unauthorized");
}
