//! Logging in, sessions, refresh tokens, CSRF.

use std::time::{Duration, Instant};

use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::session::{log_in, set_cookie};
use portunus_testkit::{Call, Portunus, Session, eventually};
use serde_json::{Value, json};

use crate::portunus;

const PASSWORD: &str = "a password of ada, long enough";

/// A process with a user `ada` who may read and write APIs of the tenant `default`.
fn with_ada() -> Portunus {
    let process = portunus().start();
    process.api().create_user("default", "ada", PASSWORD, &["api:read", "api:write"]);
    process
}

fn ada(process: &Portunus) -> Session {
    Session::log_in(&process.api_url(""), "ada", PASSWORD)
}

fn consumer() -> Value {
    json!({"name": "orders", "base_path": "/orders", "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}})
}

#[test]
fn a_login_gives_a_cookie_and_a_token_that_are_the_same_session() {
    let process = with_ada();
    let answer = log_in(&process.api_url(""), "ada", PASSWORD).expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let lines = answer.header_list("set-cookie");
    assert!(lines.contains("portunus_session=") && lines.contains("; SameSite=Lax; HttpOnly"), "{lines}");
    assert!(!lines.contains("Secure"), "plain http has no secure cookies: {lines}");
    assert_eq!(answer.json["expires_in"], 1800);
    let session = Session::of(&process.api_url(""), &answer);
    assert_eq!(answer.json["csrf_token"], session.csrf.as_str());
    for me in [session.get("/v1/me"), session.bearer("GET", "/v1/me").send()] {
        let me = me.expect(200).json;
        assert_eq!((&me["name"], &me["kind"]), (&json!("ada"), &json!("User")), "{me}");
        assert_eq!(me["permissions"], json!(["api:read", "api:write"]), "{me}");
        assert_eq!(me["session"]["id"], session.id.as_str(), "{me}");
        assert_eq!(me["session"]["methods"], json!(["password"]), "{me}");
    }
    for name in ["ada@example.com", "Ada@Example.com", "default/ada", "default/ada@example.com"] {
        log_in(&process.api_url(""), name, PASSWORD).is(200);
    }
    log_in(&process.api_url(""), "platform/ada", PASSWORD).problem(401, "login_failed");
}

#[test]
fn cookies_are_for_https_alone_when_browsers_use_it() {
    let process = portunus().env("HTTPS_ENABLED", "true").start();
    let answer = log_in(&process.api_url(""), "admin", ADMIN_PASSWORD).expect(200);
    let lines: Vec<&str> = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.ends_with("; Secure")), "{lines:?}");
}

#[test]
fn a_cookie_changes_nothing_without_its_csrf_token() {
    let process = with_ada();
    let (own, other) = (ada(&process), Session::log_in(&process.api_url(""), "admin", ADMIN_PASSWORD));
    let apis = "/v1/tenants/default/apis";
    own.call_without_csrf("GET", apis).send().is(200);
    own.call_without_csrf("POST", apis).json(&consumer()).send().problem(403, "csrf_failed");
    own.call_without_csrf("POST", apis)
        .header("X-CSRF-Token", "x")
        .json(&consumer())
        .send()
        .problem(403, "csrf_failed");
    // Another session's value, even with another session's cookie beside it, is worth nothing.
    let cookies = format!("portunus_session={}; csrf_token={}", own.cookie, other.csrf);
    for csrf in [&other.csrf, &own.csrf] {
        let call = Call::post(&process.api_url(apis)).header("Cookie", &cookies).header("X-CSRF-Token", csrf);
        call.json(&consumer()).send().is(if csrf == &own.csrf { 201 } else { 403 });
    }
    own.call_without_csrf("DELETE", "/v1/tenants/default/apis/orders").send().problem(403, "csrf_failed");
    own.call_without_csrf("POST", "/v1/logout").send().problem(403, "csrf_failed");
    // A token is sent on purpose, so it needs none, and it counts before the cookie.
    own.bearer("POST", apis)
        .json(&json!({"name": "second", "base_path": "/second",
        "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}}))
        .send()
        .is(201);
    let me = other.call_without_csrf("GET", "/v1/me").bearer(&own.token).send().expect(200).json;
    assert_eq!(me["name"], "ada");
    other.call_without_csrf("GET", "/v1/me").bearer("wrong").send().problem(401, "unauthorized");
}

#[test]
fn a_page_of_another_site_cannot_log_somebody_in() {
    let process = with_ada();
    let form = [("username", "ada"), ("password", PASSWORD)];
    Call::post(&process.api_url("/v1/login")).form(&form).send().problem(415, "unsupported_media_type");
    let text = json!({"username": "ada", "password": PASSWORD}).to_string();
    Call::post(&process.api_url("/v1/login")).header("Content-Type", "text/plain").body(text).send().is(415);
}

#[test]
fn what_a_login_lacks_or_has_too_much_is_named() {
    let process = with_ada();
    let post = |body: &Value| Call::post(&process.api_url("/v1/login")).json(body).send();
    assert_eq!(post(&json!({"username": "ada"})).problem(422, "invalid").fault_paths(), ["/password"]);
    assert_eq!(post(&json!({"password": "x"})).problem(422, "invalid").fault_paths(), ["/username"]);
    let body = json!({"username": "ada", "password": "x", "role": "platform-admin"});
    assert_eq!(post(&body).problem(422, "invalid").fault_paths(), ["/role"]);
}

#[test]
fn a_session_is_over_after_the_logout() {
    let process = with_ada();
    let (first, second) = (ada(&process), ada(&process));
    let answer = first.post("/v1/logout", &json!({})).expect(204);
    assert_eq!(set_cookie(&answer, "portunus_session").as_deref(), Some(""));
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    first.get("/v1/me").problem(401, "unauthorized");
    first.bearer("GET", "/v1/me").send().problem(401, "unauthorized");
    first.refresh().problem(401, "unauthorized");
    second.get("/v1/me").is(200);
    let kept = ["portunus.db", "portunus.db-wal"].map(|file| process.home().path().join("data").join(file));
    let kept: Vec<u8> = kept.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect();
    assert!(kept.windows(second.id.len()).any(|bytes| bytes == second.id.as_bytes()), "the session is in the store");
    for secret in [&second.cookie, &second.refresh_token, &second.csrf] {
        assert!(!kept.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "a secret lies in the store");
    }
}

#[test]
fn d34_refreshing_rotates_and_a_replay_ends_the_session() {
    let process = with_ada();
    let session = ada(&process);
    let answer = session.refresh().expect(200);
    assert_eq!(answer.json["session_id"], session.id.as_str());
    assert_eq!(answer.json["expires_in"], 1800, "30 minutes");
    assert_ne!(answer.json["refresh_token"], session.refresh_token.as_str());
    let token = answer.json["access_token"].as_str().expect("a token");
    let me = || Call::get(&process.api_url("/v1/me")).bearer(token).send();
    me().is(200);
    let mut next = session.clone();
    next.refresh_token = answer.json["refresh_token"].as_str().expect("a token").to_owned();
    // Somebody uses the first one again: it was stolen, from one or from the other.
    session.refresh().problem(401, "unauthorized");
    next.refresh().problem(401, "unauthorized");
    me().problem(401, "unauthorized");
    session.get("/v1/me").problem(401, "unauthorized");
    ada(&process).get("/v1/me").is(200);
}

#[test]
fn d34_the_token_endpoint_refreshes_too() {
    let process = with_ada();
    let url = process.api_url("/realms/any/protocol/openid-connect/token");
    let login = portunus_testkit::client::password(&process.api_url(""), "ada", PASSWORD).expect(200);
    let refresh = |token: &str| {
        let form = [("grant_type", "refresh_token"), ("client_id", "portunus-cli"), ("refresh_token", token)];
        Call::post(&url).form(&form).send()
    };
    let first = login.json["refresh_token"].as_str().expect("a refresh token");
    let second = refresh(first).expect(200).json;
    let token = second["access_token"].as_str().expect("an access token");
    let me = || Call::get(&process.api_url("/v1/me")).bearer(token).send();
    assert!(me().expect(200).json["session"]["id"].is_string(), "the password grant begins a session");
    assert_eq!(refresh(first).expect(400).json["error"], "invalid_grant");
    me().problem(401, "unauthorized");
}

#[test]
fn d34_lifetimes_are_configurable() {
    let process = portunus()
        .env("AUTH_EXPIRE_TIME", "2")
        .env("AUTH_EXPIRE_TIME_FREQ", "hours")
        .env("AUTH_REFRESH_EXPIRE_TIME", "1")
        .env("AUTH_REFRESH_EXPIRE_FREQ", "seconds")
        .start();
    let answer = log_in(&process.api_url(""), "admin", ADMIN_PASSWORD).expect(200);
    assert_eq!(answer.json["expires_in"], 7200);
    let early = Session::of(&process.api_url(""), &answer);
    early.refresh().is(200);
    let late = Session::log_in(&process.api_url(""), "admin", ADMIN_PASSWORD);
    let begun = Instant::now();
    eventually(Duration::from_secs(10), "the end of the refresh token", || {
        (begun.elapsed() > Duration::from_millis(1100)).then_some(())
    });
    late.refresh().problem(401, "unauthorized");
    late.get("/v1/me").is(200);
}
