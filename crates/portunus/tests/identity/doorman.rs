//! Doorman's platform API: runbooks 2 and 5 of its operations guide.

use portunus_testkit::command::Run;
use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::session::{log_in, set_cookie};
use portunus_testkit::{Answer, Call, Portunus, Session};
use serde_json::{Value, json};

use crate::portunus;

const PASSWORD: &str = "a password of the affected user";

fn with_user() -> Portunus {
    let process = portunus().start();
    process.api().create_user("default", "affected-user", PASSWORD, &["api:read"]);
    process
}

fn doorman_login(process: &Portunus, email: &str, password: &str) -> Answer {
    Call::post(&process.api_url("/platform/authorization")).json(&json!({"email": email, "password": password})).send()
}

/// Insists on a refusal in Doorman's form.
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.json["error_code"], code, "{}", answer.text());
    assert!(answer.json["error_message"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.text());
    answer
}

#[test]
fn d21_every_token_of_a_user_is_dead() {
    let process = with_user();
    let base = process.api_url("");
    let sessions =
        [Session::log_in(&base, "affected-user", PASSWORD), Session::log_in(&base, "affected-user", PASSWORD)];
    let grant = portunus_testkit::client::password(&base, "affected-user", PASSWORD).expect(200).json;
    let through_doorman = doorman_login(&process, "affected-user@example.com", PASSWORD).expect(200).json;
    let tokens = [&grant, &through_doorman].map(|answer| answer["access_token"].as_str().expect("a token").to_owned());
    let me = |token: &str| Call::get(&process.api_url("/platform/user/me")).bearer(token).send();
    tokens.iter().for_each(|token| me(token).is(200));
    let made = sessions[0].post("/v1/me/tokens", &json!({"name": "script"})).expect(201).json;
    let of_a_script = made["token"].as_str().expect("an API token");
    let who = |token: &str| Call::get(&process.api_url("/v1/me")).bearer(token).send();
    who(of_a_script).is(200);
    let invalidate = |token: &str| {
        let body = json!({"username": "affected-user"});
        Call::post(&process.api_url("/platform/authorization/invalidate")).bearer(token).json(&body).send()
    };
    refused(invalidate(&tokens[0]), 404, "USR002");
    let admin = doorman_login(&process, "admin@localhost", ADMIN_PASSWORD).expect(200).json;
    invalidate(admin["access_token"].as_str().expect("a token")).is(200);
    for token in &tokens {
        refused(me(token), 401, "AUTH005");
    }
    who(of_a_script).problem(401, "unauthorized");
    for session in &sessions {
        session.get("/v1/me").problem(401, "unauthorized");
        session.refresh().problem(401, "unauthorized");
    }
    log_in(&base, "affected-user", PASSWORD).is(200);
}

#[test]
fn d22_the_next_login_must_set_a_new_password() {
    let process = with_user();
    let before = Session::log_in(&process.api_url(""), "affected-user", PASSWORD);
    let admin = process.api();
    let user = "/platform/user/affected-user";
    admin.put(user, &json!({"force_password_reset": true})).is(200);
    assert_eq!(admin.get(user).expect(200).json["force_password_reset"], true);
    before.get("/v1/me").problem(401, "unauthorized");
    let answer = refused(doorman_login(&process, "affected-user", PASSWORD), 403, "AUTH008");
    let token = answer.json["reset_token"].as_str().expect("a token");
    log_in(&process.api_url(""), "affected-user", PASSWORD).problem(403, "password_reset_required");
    let next = "the next password of the user";
    let newest = log_in(&process.api_url(""), "affected-user", PASSWORD).json["reset_token"].clone();
    let reset = |token: &Value| {
        let body = json!({"token": token, "new_password": next});
        Call::post(&process.api_url("/v1/login/reset")).json(&body).send()
    };
    reset(&json!(token)).problem(400, "bad_request");
    reset(&newest).is(204);
    doorman_login(&process, "affected-user", next).is(200);
    refused(doorman_login(&process, "affected-user", PASSWORD), 400, "AUTH002");
    assert_eq!(admin.get(user).expect(200).json["force_password_reset"], false);
}

#[test]
fn d25_the_csrf_check_of_the_runbook_with_curl() {
    let process = with_user();
    let script = r#"
        set -eu
        curl -c cookies.txt -s -f \
          -H 'Content-Type: application/json' \
          -d "{\"email\":\"admin@localhost\",\"password\":\"$PASSWORD\"}" \
          $BASE/platform/authorization >login.json
        CSRF_TOKEN=$(grep csrf_token cookies.txt | awk '{print $7}')
        call() {
          curl -b cookies.txt -s -o answer.json -w '%{http_code} ' "$@" \
            -H 'Content-Type: application/json' \
            -X PUT $BASE/platform/user/affected-user -d '{"email":"new@example.com"}'
        }
        call -H "X-CSRF-Token: $CSRF_TOKEN"
        call
        cat answer.json
        call -H "X-CSRF-Token: wrong"
        curl -b cookies.txt -s -o answer.json -w '%{http_code} ' $BASE/platform/authorization/status
        curl -b cookies.txt -c cookies.txt -s -o answer.json -w '%{http_code} ' -X POST $BASE/platform/authorization/refresh
        curl -b cookies.txt -s -o answer.json -w '%{http_code} ' -H "X-CSRF-Token: $CSRF_TOKEN" -X POST $BASE/platform/authorization/invalidate
        curl -b cookies.txt -s -o answer.json -w '%{http_code}' $BASE/platform/authorization/status
    "#;
    let run = Run::new("sh").args(["-c", script]).folder(process.home().path());
    let output = run.env("BASE", process.api_url("")).env("PASSWORD", ADMIN_PASSWORD).output().expect(0);
    let (statuses, rest) = output.stdout.split_once('{').expect("the refusal is printed");
    assert_eq!(statuses, "200 403 ", "{}", output.stdout);
    let (refusal, after) = rest.split_once('}').expect("a whole refusal");
    assert!(refusal.contains("\"error_code\":\"CSRF001\""), "{refusal}");
    assert_eq!(after, "403 200 200 200 401", "wrong value, status, refresh, invalidate, status");
    let user = process.api().get("/platform/user/affected-user").expect(200).json;
    assert_eq!(user["email"], "new@example.com");
}

#[test]
fn d34_refreshing_by_cookie_rotates_too() {
    let process = with_user();
    let login = doorman_login(&process, "affected-user", PASSWORD).expect(200);
    let first = set_cookie(&login, "portunus_refresh").expect("a refresh cookie");
    let refresh = |token: &str| {
        let call = Call::post(&process.api_url("/platform/authorization/refresh"));
        call.header("Cookie", &format!("portunus_refresh={token}")).send()
    };
    let second = refresh(&first).expect(200);
    assert_eq!(second.json["refresh_token"].as_str(), set_cookie(&second, "portunus_refresh").as_deref());
    let token = second.json["access_token"].as_str().expect("a token");
    Call::get(&process.api_url("/platform/authorization/status")).bearer(token).send().is(200);
    refused(refresh(&first), 401, "AUTH003");
    refused(refresh(second.json["refresh_token"].as_str().expect("a token")), 401, "AUTH003");
    refused(Call::get(&process.api_url("/platform/authorization/status")).bearer(token).send(), 401, "AUTH005");
}

#[test]
fn refusals_have_doormans_form() {
    let process = with_user();
    let login = |body: &Value| Call::post(&process.api_url("/platform/authorization")).json(body).send();
    refused(login(&json!({"email": "affected-user"})), 400, "AUTH001");
    refused(login(&json!({"email": "affected-user", "password": "wrong"})), 400, "AUTH002");
    refused(login(&json!({"email": "nobody", "password": "wrong"})), 400, "AUTH002");
    let broken = Call::post(&process.api_url("/platform/authorization")).header("Content-Type", "application/json");
    refused(broken.body("{").send(), 400, "AUTH004");
    refused(Call::get(&process.api_url("/platform/user/me")).send(), 401, "AUTH005");
    let admin = process.api();
    refused(admin.get("/platform/user/nobody"), 404, "USR002");
    for (field, value) in [
        ("role", json!("admin")),
        ("password_hash", json!("x")),
        ("username", json!("root")),
        ("tenant_id", json!("x")),
    ] {
        let answer = admin.put("/platform/user/affected-user", &json!({field: value, "active": true}));
        assert!(refused(answer, 422, "VAL001").text().contains(&format!("/{field}")), "{field}");
    }
    let user = Session::log_in(&process.api_url(""), "affected-user", PASSWORD);
    refused(user.put("/platform/user/affected-user", &json!({"email": "a@example.com"})), 403, "USR006");
    admin.put("/platform/user/affected-user", &json!({"active": false})).is(200);
    refused(user.get("/platform/user/me"), 401, "AUTH005");
    assert_eq!(admin.get("/platform/user/affected-user").expect(200).json["active"], false);
    admin.put("/platform/user/affected-user", &json!({"active": true})).is(200);
    doorman_login(&process, "affected-user", PASSWORD).is(200);
}
