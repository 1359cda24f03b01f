//! Health checks: who is asked, what counts, what follows.

use std::time::{Duration, Instant};

use portunus_testkit::poll::{SOON, pause};
use portunus_testkit::upstream::{Silent, free_port};
use portunus_testkit::{Upstream, eventually};
use serde_json::json;

use super::{gauge, orders, told};
use crate::{Gate, portunus};

const UP: &str = "portunus_upstream_target_up";

#[test]
fn a_target_that_answers_badly_is_left_alone_until_it_is_well() {
    let Gate { process, admin, upstream } = Gate::start();
    let other = Upstream::start();
    let check = json!({"path": "/healthz?full=1", "interval_ms": 100, "unhealthy_after": 2, "healthy_after": 2});
    orders(&admin, &[&upstream, &other], &json!({"health_check": check}));
    eventually(SOON, "a check", || other.seen().iter().any(|seen| seen.target == "/healthz?full=1").then_some(()));
    assert_eq!(gauge(&process, UP, &other), Some(1.0));
    other.answer_with(503);
    let unwell = process.wait_log(SOON, |entry| entry["message"] == "target_unhealthy");
    assert_eq!((&unwell["target"], &unwell["error"]), (&json!(other.url()), &json!("status 503")));
    assert_eq!((&unwell["upstream"], gauge(&process, UP, &other)), (&json!("orders"), Some(0.0)));
    for _ in 0..20 {
        assert_eq!(process.get("/orders/x").send().expect(200).json["port"], upstream.port());
    }
    other.answer_with(200);
    process.wait_log(SOON, |entry| entry["message"] == "target_healthy");
    assert_eq!(gauge(&process, UP, &other), Some(1.0));
    let ports: Vec<_> = (0..4).map(|_| process.get("/orders/x").send().expect(200).json["port"].clone()).collect();
    assert!(ports.contains(&json!(other.port())), "{ports:?}");
    assert_eq!([told(&process, "target_unhealthy", &other), told(&process, "target_healthy", &other)], [1, 1]);
}

#[test]
fn without_a_target_that_is_well_calls_are_answered_503_until_there_is_one() {
    let Gate { process, admin, .. } = Gate::start();
    let port = free_port();
    let upstream = json!({
        "targets": [{"url": format!("http://127.0.0.1:{port}")}],
        "health_check": {"type": "tcp", "interval_ms": 100, "healthy_after": 20},
    });
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": upstream}));
    let unwell = process.wait_log(SOON, |entry| entry["message"] == "target_unhealthy");
    assert_eq!(unwell["error"], "connection refused");
    let answer = process.get("/orders/x").send().problem(503, "no_target");
    assert_eq!(answer.header("retry-after"), "2");
    let upstream = Upstream::start_at(port);
    eventually(SOON, "an answer", || (process.get("/orders/x").send().status == 200).then_some(()));
    assert!(upstream.connections() > 20, "it had to be well 20 times: {}", upstream.connections());
}

#[test]
fn a_check_has_a_deadline_and_its_own_statuses() {
    let Gate { process, admin, upstream } = Gate::start();
    let silent = Silent::start();
    upstream.answer_with(404);
    let check = json!({"interval_ms": 100, "timeout_ms": 100, "statuses": [404, "200-299"]});
    let targets = json!([{"url": upstream.url()}, {"url": silent.url()}]);
    let upstream_with = json!({"targets": targets, "health_check": check, "connect_timeout_ms": 20_000});
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": upstream_with}));
    let unwell = process.wait_log(SOON, |entry| entry["message"] == "target_unhealthy");
    assert_eq!(unwell["target"], silent.url());
    let start = Instant::now();
    for _ in 0..6 {
        process.get("/orders/x").send().is(404);
    }
    assert!(start.elapsed() < SOON, "no call waits for the dead one");
    assert_eq!(gauge(&process, UP, &upstream), Some(1.0));
}

#[test]
fn an_https_target_is_asked_over_tls() {
    let Gate { process, admin, upstream } = Gate::start();
    for (name, check) in [("tcp", json!({"type": "tcp"})), ("http", json!({}))] {
        let targets = json!([{"url": format!("https://{}", upstream.address())}]);
        let upstream = json!({"targets": targets, "health_check": check});
        admin.create_api_with(name, "", &json!({"access": "public", "upstream": upstream}));
        let unwell =
            process.wait_log(SOON, |entry| entry["message"] == "target_unhealthy" && entry["upstream"] == name);
        assert!(unwell["error"].as_str().is_some_and(|error| error.starts_with("TLS failed")), "{unwell}");
    }
    assert_eq!(upstream.count(), 0, "no request can be read out of a TLS handshake");
}

#[test]
fn a_target_is_asked_once_per_process_and_no_more_when_it_is_gone() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "8"));
    let check = json!({"interval_ms": 200, "path": "/healthz"});
    let targets = json!([{"url": upstream.url()}, {"url": upstream.url(), "weight": 0}]);
    admin.create("upstreams", &json!({"name": "pool", "targets": targets, "health_check": check}));
    for name in ["one", "two"] {
        let body = json!({"name": name, "base_path": format!("/{name}"), "access": "public", "upstream_id": "pool"});
        admin.create("apis", &body);
    }
    eventually(SOON, "a check", || (upstream.count() > 0).then_some(()));
    let (start, before) = (Instant::now(), upstream.count());
    // Changes do not begin the rhythm anew, neither faster nor slower.
    while upstream.count() < before + 5 {
        admin.patch("/v1/tenants/default/apis/one", &json!({"description": format!("{:?}", start.elapsed())})).is(200);
        assert!(start.elapsed() < SOON, "no more checks");
    }
    assert!(start.elapsed() > Duration::from_millis(600), "5 checks in {:?}", start.elapsed());
    for name in ["one", "two"] {
        admin.delete(&format!("/v1/tenants/default/apis/{name}"));
    }
    eventually(SOON, "an end of the checks", || {
        let before = upstream.count();
        pause(Duration::from_millis(600));
        (upstream.count() == before).then_some(())
    });
    assert_eq!(gauge(&process, UP, &upstream), None);
}
