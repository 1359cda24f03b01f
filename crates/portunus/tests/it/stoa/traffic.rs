//! What the runbook promises of the gateway itself.

use std::thread;
use std::time::{Duration, Instant};

use portunus_testkit::Upstream;
use portunus_testkit::poll::SOON;
use portunus_testkit::upstream::refused_url;
use serde_json::{Value, json};

use crate::{Gate, portunus};

#[test]
fn s02_health_on_the_gateway_says_status_version_and_uptime() {
    let process = portunus().start();
    let health = process.get("/health").send().expect(200).json;
    assert_eq!(health["status"], "ok");
    let version = health["version"].as_str().expect("a version");
    let numbers: Vec<&str> = version.split(['-', '+']).next().unwrap_or_default().split('.').collect();
    assert_eq!(numbers.len(), 3, "{version}");
    assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{version}");
    assert!(health["uptime_seconds"].is_u64(), "{health}");
}

#[test]
fn s02_uptime_counts_from_the_start() {
    let process = portunus().start();
    portunus_testkit::poll::pause(Duration::from_millis(2100));
    let health = process.get("/health").send().expect(200).json;
    assert!(health["uptime_seconds"].as_u64() >= Some(2), "{health}");
    assert!(health["uptime_seconds"].as_u64() <= Some(process.started().elapsed().as_secs()), "{health}");
}

#[test]
fn s03_a_call_with_a_key_gets_the_upstreams_bytes_unchanged_and_fast() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("your-api", &upstream.url());
    let key = admin.subscribe("client", &api);
    let direct = portunus_testkit::Call::get(&format!("{}/text", upstream.url())).send().expect(200);
    let start = Instant::now();
    let answer = process.get("/your-api/text").key(&key).send().expect(200);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(answer.body, direct.body);
    assert_eq!(answer.header("content-type"), direct.header("content-type"));
    assert_eq!(upstream.last().target, "/text");
}

#[test]
fn s22_a_restart_with_stored_consumers_is_quick_and_loses_nothing() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    let manifests: Vec<Value> = (0..2000)
        .map(|i| json!({"apiVersion": "portunus.dev/v1", "kind": "Consumer", "metadata": {"tenant": "default", "name": format!("c{i}")}, "spec": {}}))
        .collect();
    admin.post("/v1/apply", &json!({"manifests": manifests})).is(200);
    let data = std::sync::Arc::clone(process.home());
    let start = Instant::now();
    assert_eq!(process.stop(), Some(0));
    let process = portunus().data(&data).start();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert!(process.ready_after() < Duration::from_secs(10), "{:?}", process.ready_after());
    process.get("/orders/x").key(&key).send().is(200);
    let list = process.api().get("/v1/tenants/default/consumers").expect(200).json;
    assert_eq!(list["total"], 2001);
}

#[test]
fn s28_an_unreachable_backend_is_named_with_the_reason() {
    let Gate { process, admin, .. } = Gate::start();
    let url = refused_url();
    admin.create_public_api("dead", &url);
    let answer = process.get("/dead/x").send().problem(502, "upstream_unreachable");
    let detail = answer.json["detail"].as_str().unwrap_or_default().to_lowercase();
    assert!(detail.contains(url.trim_start_matches("http://")), "{detail}");
    assert!(detail.contains("connection refused"), "{detail}");
}

#[test]
fn s28_log_level_warn_silences_info() {
    let upstream = Upstream::start();
    let process = portunus().env("LOG_LEVEL", "warn").start_silent();
    let admin = process.api();
    admin.create_public_api("ok", &upstream.url());
    admin.create_public_api("dead", &refused_url());
    process.get("/ok/x").send().is(200);
    process.get("/dead/x").send().is(502);
    process.wait_log(SOON, |entry| entry["message"] == "backend_error");
    let quiet = process.logs().iter().all(|line| !line.contains("\"level\":\"info\""));
    assert!(quiet, "{}", process.stdout().text());
}

#[test]
fn s30_each_wrong_key_has_its_own_reason_and_the_upstream_sees_nothing() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let other = admin.create_api("other", &upstream.url());
    let revoked = admin.subscription("gone", &api);
    admin.post_empty(&format!("/v1/subscriptions/{}/revoke", revoked["id"].as_str().expect("an id"))).is(200);
    let foreign = admin.subscribe("elsewhere", &other);
    let cases = [
        (None, 401, "missing_api_key"),
        (Some("not-a-key"), 401, "invalid_api_key"),
        (revoked["api_key"].as_str(), 401, "revoked_api_key"),
        (Some(foreign.as_str()), 403, "no_subscription"),
    ];
    for (key, status, reason) in cases {
        let call = process.get("/orders/x");
        let call = match key {
            Some(key) => call.key(key),
            None => call,
        };
        let answer = call.send().problem(status, reason);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.contains(reason), "{reason}: {challenge}");
        let line = process.wait_log(SOON, |e| e["message"] == "auth_failed" && e["reason"] == reason);
        assert_eq!(line["path"], "/orders/x");
    }
    assert_eq!(upstream.count(), 0);
    let log = process.stdout().text();
    assert!(!log.contains(&foreign), "the log shows a key");
}

#[test]
fn s19_a_revocation_holds_on_every_connection() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let made = admin.subscription("client", &api);
    let key = made["api_key"].as_str().expect("a key");
    let call = || process.get("/orders/x").key(key).send().status;
    let all = |expected: u16| {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
            for call in calls {
                assert_eq!(call.join().expect("the call ends"), expected);
            }
        });
    };
    all(200);
    admin.post_empty(&format!("/v1/subscriptions/{}/revoke", made["id"].as_str().expect("an id"))).is(200);
    all(401);
}
