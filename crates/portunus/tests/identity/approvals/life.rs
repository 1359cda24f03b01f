//! From the first refusal to the one call that is let through.

use portunus_testkit::command::Run;
use portunus_testkit::{Api, Portunus};
use serde_json::json;

use super::{approve, asked, events, reject, rule, status};
use crate::portunus;

#[test]
fn r14_a_call_is_let_through_once_after_somebody_else_approved_it() {
    let process = portunus().start();
    let admin = process.api();
    let (maker, checker) =
        (admin.account("default", "maker", &["credential:*"]), admin.account("default", "checker", &["approval:*"]));
    admin.create_consumer("acme");
    rule(&admin, "keys", &["credential:write"], &json!({}));
    let call = || maker.post("/v1/tenants/default/credentials", &json!({"consumer_id": "acme"}));
    let id = asked(call());
    assert_eq!(asked(call()), id, "the same call names the same request");
    let shown = maker.get(&format!("/v1/approvals/{id}")).expect(200).json;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["requester"], "service-account:maker");
    assert_eq!(shown["permission"], "credential:write");
    assert_eq!((&shown["method"], &shown["path"]), (&json!("POST"), &json!("/v1/tenants/default/credentials")));
    assert_eq!(shown["body_sha256"].as_str().map(str::len), Some(64));
    let own = maker.get("/v1/me/approvals").expect(200).json;
    assert_eq!(own["items"][0]["id"], id.as_str());
    maker.get("/v1/approvals").problem(403, "forbidden");
    assert_eq!(checker.get("/v1/approvals?status=pending").expect(200).json["items"][0]["id"], id.as_str());

    approve(&maker, &id).problem(403, "forbidden");
    let approved = approve(&checker, &id).expect(200).json;
    assert_eq!((&approved["status"], &approved["approvals"]), (&json!("approved"), &json!(1)));
    assert!(approved["approved_until"].is_string());
    call().is(201);
    assert_eq!(status(&admin, &id), "used");
    let again = asked(call());
    assert_ne!(again, id, "what is used is used; the next call is a request of its own");
    assert_eq!(events(&process, &id), ["approval.requested", "approval.approved", "approval.used"]);
}

#[test]
fn r14_an_approval_is_bound_to_account_path_query_and_body() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    let other = admin.account("default", "other", &["consumer:*"]);
    let checker = admin.account("default", "checker", &["approval:write"]);
    rule(&admin, "consumers", &["consumer:*"], &json!({}));
    let path = "/v1/tenants/default/consumers";
    let id = asked(maker.post(path, &json!({"name": "acme"})));
    approve(&checker, &id).is(200);
    assert_ne!(asked(maker.post(path, &json!({"name": "acme", "email": "a@b.example"}))), id, "another body");
    assert_ne!(asked(other.post(path, &json!({"name": "acme"}))), id, "another account");
    assert_ne!(asked(maker.post(&format!("{path}?x=1"), &json!({"name": "acme"}))), id, "another query");
    maker.post(path, &json!({"name": "acme"})).is(201);
}

#[test]
fn r14_rejected_cancelled_and_expired_requests_let_nothing_through() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    let checker = admin.account("default", "checker", &["approval:write"]);
    rule(&admin, "consumers", &["consumer:*"], &json!({}));
    let call = |name: &str| maker.post("/v1/tenants/default/consumers", &json!({"name": name}));

    let id = asked(call("a"));
    let rejected = reject(&checker, &id).expect(200).json;
    assert_eq!((&rejected["status"], &rejected["decisions"][0]["comment"]), (&json!("rejected"), &json!("no")));
    approve(&checker, &id).problem(409, "conflict");
    assert_ne!(asked(call("a")), id);

    let id = asked(call("b"));
    checker.post_empty(&format!("/v1/approvals/{id}/cancel")).problem(403, "forbidden");
    maker.post_empty(&format!("/v1/approvals/{id}/cancel")).is(200);
    approve(&checker, &id).problem(409, "conflict");
    assert_eq!(events(&process, &id), ["approval.requested", "approval.cancelled"]);

    // Time is put back instead of waited for.
    let id = asked(call("c"));
    let back = |column: &str, id: &str| {
        let sql = format!("UPDATE approval SET {column} = {column} - 90000000000 WHERE id = '{id}'");
        let path = process.home().path().join("data/portunus.db");
        let run = Run::new("sqlite3");
        run.args(["-cmd", ".timeout 5000", path.to_str().expect("UTF-8"), &sql]).output()
    };
    assert_eq!(back("expires_at", &id).code, Some(0));
    assert_eq!(status(&admin, &id), "expired");
    approve(&checker, &id).problem(409, "conflict");
    assert_eq!(events(&process, &id), ["approval.requested", "approval.expired"]);

    let id = asked(call("d"));
    approve(&checker, &id).is(200);
    assert_eq!(back("approved_until", &id).code, Some(0));
    assert_ne!(asked(call("d")), id, "approved, and too late");
    assert_eq!(status(&admin, &id), "expired");
    admin.get("/v1/tenants/default/consumers").is(200);
}

#[test]
fn r14_an_approval_survives_a_kill_and_is_still_used_once() {
    let process = portunus().start();
    let admin = process.api();
    admin.account("default", "maker", &["consumer:*"]);
    let x = json!({"name": "x", "client_secret": "known-secret-0123456789", "roles": ["maker-role"]});
    admin.create("service-accounts", &x);
    let checker = admin.account("default", "checker", &["approval:write"]);
    rule(&admin, "consumers", &["consumer:write"], &json!({}));
    let body = json!({"name": "acme"});
    let as_x = |process: &Portunus| Api::service_account(&process.api_url(""), "x", "known-secret-0123456789");
    let id = asked(as_x(&process).post("/v1/tenants/default/consumers", &body));
    approve(&checker, &id).is(200);
    let data = process.kill9();
    let process = portunus().data(&data).start();
    let x = as_x(&process);
    x.post("/v1/tenants/default/consumers", &body).is(201);
    assert_eq!(status(&process.api(), &id), "used");
    let data = process.kill9();
    let process = portunus().data(&data).start();
    assert_ne!(asked(as_x(&process).put("/v1/tenants/default/consumers/acme", &json!({"email": "a@b.example"}))), id);
    assert_eq!(status(&process.api(), &id), "used");
}

#[test]
fn r14_what_would_be_refused_anyway_is_refused_before_anybody_is_asked() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:write", "consumer:read"]);
    rule(&admin, "consumers", &["consumer:*"], &json!({}));
    let path = "/v1/tenants/default/consumers";
    maker.post(path, &json!({"name": "acme", "surprise": 1})).problem(422, "invalid");
    maker.call("POST", path).header("Content-Type", "application/json").body("{").send().problem(400, "bad_request");
    maker.delete(&format!("{path}/acme")).problem(403, "forbidden");
    maker.get(path).is(200);
    assert_eq!(maker.get("/v1/me/approvals").expect(200).json["items"], json!([]));
}
