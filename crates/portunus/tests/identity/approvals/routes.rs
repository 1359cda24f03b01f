//! Proxied routes whose calls others must approve.

use std::thread;

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::upstream::{Recorder, Script, Upstream};
use portunus_testkit::{Answer, Api, Portunus};
use serde_json::{Value, json};

use super::{approve, events, status};
use crate::portunus;

/// The id of the request that a call through the gateway made.
#[track_caller]
fn waits(answer: Answer) -> String {
    let answer = answer.problem(403, "approval_required");
    answer.json["approval_id"].as_str().expect("the request is named").to_owned()
}

fn approved_api(admin: &Api, upstream: &Upstream, config: &Value) -> (Value, String) {
    let api = admin.create_api("rack", &upstream.url());
    admin.policy_on(&api, "approval", config);
    let key = admin.subscribe("acme", &api);
    (api, key)
}

fn post(process: &Portunus, key: &str, path: &str, body: &str) -> Answer {
    process.call("POST", path).key(key).body(body).send()
}

#[test]
fn r14_a_proxied_call_is_let_through_once_with_its_body_unchanged() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let (api, key) = approved_api(&admin, &upstream, &json!({"max_body_bytes": 1000}));
    let checker = admin.account("default", "checker", &["approval:*"]);
    let call = || {
        process
            .call("POST", "/rack/releases?env=prod")
            .key(&key)
            .header("X-Approval-Reason", "ticket 7")
            .body("release 7")
            .send()
    };
    let id = waits(call());
    assert_eq!(waits(call()), id);
    let shown = checker.get(&format!("/v1/approvals/{id}")).expect(200).json;
    for (field, value) in [
        ("door", "gateway"),
        ("requester", "consumer:acme"),
        ("api", "rack"),
        ("method", "POST"),
        ("path", "/rack/releases"),
        ("query", "env=prod"),
        ("reason", "ticket 7"),
    ] {
        assert_eq!(shown[field], value, "{shown}");
    }
    approve(&checker, &id).is(200);
    assert_ne!(waits(post(&process, &key, "/rack/releases?env=prod", "release 8")), id, "another body");
    assert_ne!(waits(post(&process, &key, "/rack/releases?env=test", "release 7")), id, "another query");
    assert_ne!(waits(post(&process, &key, "/rack/release", "release 7")), id, "another path");
    let other = admin.subscribe("other", &api);
    assert_ne!(waits(post(&process, &other, "/rack/releases?env=prod", "release 7")), id, "another caller");
    assert_eq!(upstream.count(), 0);
    call().is(200);
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("POST", &b"release 7"[..]));
    assert_eq!(seen.header("x-api-key"), None);
    assert_ne!(waits(call()), id);
    assert_eq!(upstream.count(), 1);
    assert_eq!(status(&admin, &id), "used");
    assert_eq!(events(&process, &id), ["approval.requested", "approval.approved", "approval.used"]);
    let refused = post(&process, &key, "/rack/releases", &"x".repeat(1001));
    refused.problem(413, "body_too_large");
}

#[test]
fn r14_many_identical_proxied_calls_pass_once() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let (_, key) = approved_api(&admin, &upstream, &json!({}));
    let id = waits(post(&process, &key, "/rack/x", "body"));
    approve(&admin, &id).is(200);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| (0..10).map(|_| post(&process, &key, "/rack/x", "body").status).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no call panics")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 199);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn r14_an_account_asks_and_its_own_token_cannot_approve() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_public_api("rack", &upstream.url());
    admin.policy_on(&api, "authorize", &json!({}));
    admin.policy_on(&api, "approval", &json!({"approvals": 2, "approver_roles": ["boss-role"]}));
    let bot = admin.account("default", "bot", &["approval:*"]);
    let boss = admin.account("default", "boss", &["approval:*"]);
    let call = || process.call("DELETE", "/rack/apps/web").bearer(&bot.token()).send();
    let id = waits(call());
    approve(&bot, &id).problem(403, "forbidden");
    approve(&admin, &id).problem(403, "forbidden");
    assert_eq!(approve(&boss, &id).expect(200).json["status"], "pending");
    admin.create(
        "service-accounts",
        &json!({"name": "second", "roles": ["boss-role"], "client_secret": "a-secret-of-the-second"}),
    );
    let second = Api::service_account(&process.api_url(""), "second", "a-secret-of-the-second");
    assert_eq!(approve(&second, &id).expect(200).json["status"], "approved");
    call().is(200);
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.header("authorization")), ("DELETE", None));
}

#[test]
fn r14_a_route_that_needs_approval_needs_a_caller_who_is_known() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_public_api("rack", &upstream.url());
    admin.policy_on(&api, "approval", &json!({}));
    process.get("/rack/x").send().problem(401, "missing_identity");
    let policy = admin.create_policy("nobody", "approval", &json!({"approver_roles": ["no-such-role"]}));
    let wrong =
        json!({"name": "w", "policy_type": "approval", "config": {"approvals": 0, "valid_minutes": 0, "more": 1}});
    let refused = admin.post("/v1/tenants/default/policies", &wrong).problem(422, "invalid");
    assert_eq!(refused.fault_paths().len(), 3, "{}", refused.text());
    let guarded = admin.create_api("guarded", &upstream.url());
    admin.bind(&policy, &json!({"api_id": guarded["id"]}));
    let key = admin.subscribe("acme", &guarded);
    let id = waits(process.get("/guarded/x").key(&key).send());
    approve(&admin, &id).problem(403, "forbidden");
}

#[test]
fn r14_a_rejected_or_killed_gateway_lets_nothing_through_by_itself() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let (_, key) = approved_api(&admin, &upstream, &json!({}));
    let id = waits(post(&process, &key, "/rack/x", "a"));
    super::reject(&admin, &id).is(200);
    assert_ne!(waits(post(&process, &key, "/rack/x", "a")), id);
    let id = waits(post(&process, &key, "/rack/x", "b"));
    approve(&admin, &id).is(200);
    let data = process.kill9();
    let process = portunus().data(&data).start();
    post(&process, &key, "/rack/x", "b").is(200);
    waits(post(&process, &key, "/rack/x", "b"));
    assert_eq!(upstream.count(), 1);
}

#[test]
fn r14_a_websocket_can_be_approved() {
    const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let upstream = Recorder::start();
    upstream.set(Script::answer(SWITCHED));
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_api("rack", &upstream.url());
    admin.policy_on(&api, "approval", &json!({}));
    let key = admin.subscribe("acme", &api);
    let open = || {
        let mut client = Connection::open(process.gw_address());
        let upgrade = format!(
            "GET /rack/ws HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        client.send(upgrade.as_bytes());
        assert!(client.read_text(SOON, "\r\n\r\n"), "{}", client.text());
        client.status()
    };
    assert_eq!(open(), Some(403), "not yet approved");
    let waiting = admin.get("/v1/approvals?status=pending").expect(200).json;
    approve(&admin, waiting["items"][0]["id"].as_str().expect("a request")).is(200);
    assert_eq!(open(), Some(101), "approved");
    assert_eq!(open(), Some(403), "once");
}
