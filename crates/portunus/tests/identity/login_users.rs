//! What administrators do with logins, and what follows for who is logged in.

use portunus_testkit::command::Run;
use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::session::log_in;
use portunus_testkit::{Answer, Call, Portunus, Session};
use serde_json::{Value, json};

use crate::portunus;

const PASSWORD: &str = "a password of ada, long enough";
const NEXT: &str = "the next password of ada, as long";
const USERS: &str = "/v1/tenants/default/users";

fn with_ada() -> Portunus {
    let process = portunus().start();
    process.api().create_user("default", "ada", PASSWORD, &["api:read"]);
    process
}

fn ada(process: &Portunus) -> Session {
    Session::log_in(&process.api_url(""), "ada", PASSWORD)
}

fn act(process: &Portunus, action: &str, body: &Value) -> Answer {
    process.api().post(&format!("{USERS}/ada/{action}"), body)
}

fn reset(process: &Portunus, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "new_password": password});
    Call::post(&process.api_url("/v1/login/reset")).json(&body).send()
}

/// What stands after the `#` of a link.
fn token_in(answer: &Answer) -> String {
    let link = answer.json["link"].as_str().unwrap_or_else(|| panic!("no link: {}", answer.text()));
    link.split_once('#').expect("a token in the link").1.to_owned()
}

#[test]
fn a_role_that_is_taken_away_is_gone_while_its_user_is_logged_in() {
    let process = with_ada();
    let session = ada(&process);
    let calls = || {
        (
            session.get("/v1/tenants/default/apis").status,
            session.bearer("GET", "/v1/tenants/default/apis").send().status,
        )
    };
    assert_eq!(calls(), (200, 200));
    process.api().patch(&format!("{USERS}/ada"), &json!({"roles": []})).is(200);
    assert_eq!(calls(), (403, 403));
    assert_eq!(session.get("/v1/me").expect(200).json["permissions"], json!([]));
}

#[test]
fn locking_ends_sessions_and_unlocking_does_not_bring_them_back() {
    let process = with_ada();
    let session = ada(&process);
    let locked = act(&process, "lock", &json!({"reason": "left the company"})).expect(200).json;
    assert_eq!((&locked["status"], &locked["lock_reason"]), (&json!("locked"), &json!("left the company")));
    session.get("/v1/me").problem(401, "unauthorized");
    session.bearer("GET", "/v1/me").send().problem(401, "unauthorized");
    session.refresh().problem(401, "unauthorized");
    log_in(&process.api_url(""), "ada", PASSWORD).problem(401, "login_failed");
    let unlocked = act(&process, "unlock", &json!({})).expect(200).json;
    assert!(unlocked["status"] == "active" && unlocked["lock_reason"].is_null(), "{unlocked}");
    session.get("/v1/me").problem(401, "unauthorized");
    session.bearer("GET", "/v1/me").send().problem(401, "unauthorized");
    // By whatever door it is done.
    let session = ada(&process);
    process.api().patch(&format!("{USERS}/ada"), &json!({"status": "locked"})).is(200);
    process.api().patch(&format!("{USERS}/ada"), &json!({"status": "active"})).is(200);
    session.get("/v1/me").problem(401, "unauthorized");
    let admin = Session::log_in(&process.api_url(""), "admin", ADMIN_PASSWORD);
    admin.post("/v1/tenants/platform/users/admin/lock", &json!({})).problem(409, "conflict");
    assert_eq!(act(&process, "lock", &json!({"reasons": "x"})).problem(422, "invalid").fault_paths(), ["/reasons"]);
}

#[test]
fn r10_sessions_are_listed_for_all_and_ended_at_once() {
    let process = with_ada();
    let (first, second) = (ada(&process), ada(&process));
    let admin = Session::log_in(&process.api_url(""), "admin", ADMIN_PASSWORD);
    let list = |query: &str| admin.get(&format!("/v1/sessions{query}")).expect(200).json;
    let all = list("");
    assert_eq!(all["total"], 3, "{all}");
    let of_ada = list("?user=ada");
    let ids: Vec<&str> =
        of_ada["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_str()).collect();
    assert!(ids.len() == 2 && ids.contains(&first.id.as_str()) && ids.contains(&second.id.as_str()), "{of_ada}");
    assert_eq!(of_ada["items"][0]["address"], "127.0.0.1");
    assert!(!of_ada.to_string().contains(&first.cookie));

    admin.delete(&format!("/v1/sessions/{}", first.id)).is(204);
    first.get("/v1/me").problem(401, "unauthorized");
    first.bearer("GET", "/v1/me").send().problem(401, "unauthorized");
    second.get("/v1/me").is(200);
    let third = ada(&process);
    assert_eq!(admin.delete("/v1/sessions?user=ada").expect(200).json["revoked"], 2);
    for session in [&second, &third] {
        session.get("/v1/me").problem(401, "unauthorized");
        session.refresh().problem(401, "unauthorized");
    }
    admin.get("/v1/me").is(200);
    let fourth = ada(&process);
    assert_eq!(act(&process, "revoke-sessions", &json!({})).expect(200).json["revoked"], 1);
    fourth.bearer("GET", "/v1/me").send().problem(401, "unauthorized");
}

#[test]
fn sessions_of_others_stay_theirs() {
    let process = with_ada();
    process.api().post("/v1/tenants", &json!({"name": "acme"})).is(201);
    process.api().create_user("acme", "eve", PASSWORD, &["*:*"]);
    let (ada, eve) = (ada(&process), Session::log_in(&process.api_url(""), "eve", PASSWORD));
    ada.get("/v1/sessions").problem(403, "forbidden");
    assert_eq!(eve.get("/v1/sessions").expect(200).json["total"], 1);
    assert_eq!(eve.get(&format!("/v1/sessions?user={}", ada.user_id)).expect(200).json["total"], 0);
    eve.delete(&format!("/v1/sessions/{}", ada.id)).problem(404, "not_found");
    eve.delete("/v1/sessions?user=ada").problem(404, "not_found");
    eve.delete(&format!("/v1/me/sessions/{}", ada.id)).problem(404, "not_found");
    ada.get("/v1/me").is(200);
    let other = self::ada(&process);
    assert_eq!(ada.get("/v1/me/sessions").expect(200).json["total"], 2);
    ada.delete(&format!("/v1/me/sessions/{}", other.id)).is(204);
    other.get("/v1/me").problem(401, "unauthorized");
}

#[test]
fn a_forced_reset_comes_before_the_next_session() {
    let process = with_ada();
    let session = ada(&process);
    act(&process, "force-password-reset", &json!({})).is(200);
    session.get("/v1/me").problem(401, "unauthorized");
    session.refresh().problem(401, "unauthorized");
    log_in(&process.api_url(""), "ada", "wrong").problem(401, "login_failed");
    let refused = log_in(&process.api_url(""), "ada", PASSWORD).problem(403, "password_reset_required");
    assert!(refused.headers.get("set-cookie").is_none());
    let token = refused.json["reset_token"].as_str().expect("a token").to_owned();
    let grant = portunus_testkit::client::password(&process.api_url(""), "ada", PASSWORD).expect(400).json;
    assert_eq!(grant["error"], "invalid_grant");
    // An administrator's new password is not the user's own.
    process.api().patch(&format!("{USERS}/ada"), &json!({"password": "chosen by the administrator"})).is(200);
    let refused = log_in(&process.api_url(""), "ada", "chosen by the administrator");
    let newer =
        refused.problem(403, "password_reset_required").json["reset_token"].as_str().expect("a token").to_owned();
    reset(&process, &token, NEXT).problem(400, "bad_request");
    assert_eq!(reset(&process, &newer, "too short").problem(422, "invalid").fault_paths(), ["/new_password"]);
    reset(&process, &newer, NEXT).is(204);
    reset(&process, &newer, NEXT).problem(400, "bad_request");
    log_in(&process.api_url(""), "ada", NEXT).is(200);
}

#[test]
fn an_invitation_sets_the_first_password_once() {
    let process = with_ada();
    let invited = act(&process, "invite", &json!({})).expect(200);
    assert_eq!((&invited.json["mailed"], &invited.json["purpose"]), (&json!(false), &json!("invitation")));
    let token = token_in(&invited);
    let again = token_in(&act(&process, "invite", &json!({})).expect(200));
    reset(&process, &token, NEXT).problem(400, "bad_request");
    reset(&process, &again, NEXT).is(204);
    reset(&process, &again, NEXT).problem(400, "bad_request");
    log_in(&process.api_url(""), "ada", NEXT).is(200);
    log_in(&process.api_url(""), "ada", PASSWORD).problem(401, "login_failed");
    let page = Call::get(&process.api_url("/login/reset")).send().expect(200);
    assert!(page.header("content-security-policy").contains("script-src 'sha256-"), "{:?}", page.headers);
    assert!(page.text().contains("Set a password"));
}

#[test]
fn nobody_gets_into_an_account_with_more_rights_by_its_password() {
    let process = with_ada();
    process.api().create_user("default", "boss", PASSWORD, &["*:*"]);
    process.api().create_user("default", "helper", PASSWORD, &["user:*", "api:read"]);
    let helper = Session::log_in(&process.api_url(""), "helper", PASSWORD);
    for action in ["reset-password", "invite", "force-password-reset", "revoke-sessions", "lock"] {
        helper.post(&format!("{USERS}/boss/{action}"), &json!({})).problem(403, "forbidden");
    }
    helper.post(&format!("{USERS}/ada/reset-password"), &json!({})).is(200);
}

#[test]
fn changing_the_own_password_ends_the_other_sessions() {
    let process = with_ada();
    let (own, other) = (ada(&process), ada(&process));
    let change = |current: &str, new: &str| {
        own.post("/v1/me/password", &json!({"current_password": current, "new_password": new}))
    };
    change("wrong", NEXT).problem(401, "login_failed");
    assert_eq!(change(PASSWORD, "short").problem(422, "invalid").fault_paths(), ["/new_password"]);
    change(PASSWORD, NEXT).is(204);
    own.get("/v1/me").is(200);
    own.bearer("GET", "/v1/me").send().is(200);
    other.get("/v1/me").problem(401, "unauthorized");
    other.refresh().problem(401, "unauthorized");
    log_in(&process.api_url(""), "ada", NEXT).is(200);
}

#[test]
fn the_login_policy_holds_at_once() {
    let process = with_ada();
    let admin = process.api();
    let policy = "/v1/tenants/platform/login-policies/default";
    admin.patch(policy, &json!({"password_min_length": 20, "session_hours": 1})).is(200);
    let user = json!({"name": "bob", "email": "bob@example.com", "password": "only 15 letters"});
    assert_eq!(admin.post(USERS, &user).problem(422, "invalid").fault_paths(), ["/password"]);
    let token = token_in(&act(&process, "reset-password", &json!({})).expect(200));
    let refused = reset(&process, &token, "only 15 letters").problem(422, "invalid");
    assert!(refused.text().contains("at least 20"), "{}", refused.text());
    let answer = log_in(&process.api_url(""), "ada", PASSWORD).expect(200);
    assert!(answer.header_list("set-cookie").contains("Max-Age=3600"), "{:?}", answer.headers);
    for (tenant, name) in [("platform", "another"), ("default", "default")] {
        let refused = admin.post(&format!("/v1/tenants/{tenant}/login-policies"), &json!({"name": name}));
        assert_eq!(refused.problem(422, "invalid").fault_paths(), ["/name"]);
    }
}

#[test]
fn the_command_line_looks_after_users_and_sessions() {
    let process = with_ada();
    let session = ada(&process);
    let run = |args: &[&str]| process.cli(args).output().expect(0).stdout;
    assert!(run(&["users", "list"]).contains("ada@example.com"));
    assert!(run(&["users", "sessions", "ada"]).contains(&session.id));
    assert!(run(&["sessions", "list"]).contains(&session.id));
    run(&["sessions", "revoke", &session.id]);
    session.get("/v1/me").problem(401, "unauthorized");
    let session = ada(&process);
    assert!(run(&["sessions", "revoke", "--user", "ada"]).contains("1 sessions"));
    session.get("/v1/me").problem(401, "unauthorized");
    run(&["users", "lock", "ada", "--reason", "holiday"]);
    assert!(run(&["users", "list"]).contains("holiday"));
    run(&["users", "unlock", "ada"]);
    assert!(run(&["users", "invite", "ada"]).contains("/login/reset#ptn_once_"));
    assert!(run(&["users", "reset-password", "ada", "--force"]).contains("/login/reset#ptn_once_"));
    log_in(&process.api_url(""), "ada", PASSWORD).problem(403, "password_reset_required");
}

#[test]
fn logins_and_what_is_done_with_them_are_on_record() {
    let process = with_ada();
    let session = ada(&process);
    for _ in 0..3 {
        log_in(&process.api_url(""), "ada", "wrong").is(401);
    }
    log_in(&process.api_url(""), "nobody", "wrong").is(401);
    session.post("/v1/logout", &json!({})).is(204);
    let session = ada(&process);
    session.refresh().is(200);
    session.refresh().is(401);
    for (action, body) in [("lock", json!({"reason": "x"})), ("unlock", json!({})), ("invite", json!({}))] {
        act(&process, action, &body).is(200);
    }
    act(&process, "revoke-sessions", &json!({})).is(200);
    process.api().patch(&format!("{USERS}/ada"), &json!({"password": NEXT})).is(200);
    let home = process.home().clone();
    assert_eq!(process.stop(), Some(0));
    let sql = "SELECT action, outcome, SUM(count) FROM event GROUP BY action, outcome";
    let database = home.path().join("data/portunus.db");
    let told = Run::new("sqlite3").args([database.to_str().expect("a path in UTF-8"), sql]).output().expect(0).stdout;
    for line in [
        "login.succeeded|success|2",
        "login.failed|denied|4",
        "logout|success|1",
        "session.refresh_reused|denied|1",
        "user.locked|success|1",
        "user.unlocked|success|1",
        "user.invited|success|1",
        "session.revoked_all|success|1",
        "user.password_changed|success|1",
    ] {
        assert!(told.lines().any(|found| found == line), "{line} is not in\n{told}");
    }
    let sql = "SELECT COUNT(*) FROM event WHERE 'ada' IN (actor, resource_name) OR client = '127.0.0.1'";
    let named = Run::new("sqlite3").args([database.to_str().expect("a path in UTF-8"), sql]).output().expect(0).stdout;
    assert_eq!(named.trim(), "0", "persons stand in the chain as pseudonyms");
}
