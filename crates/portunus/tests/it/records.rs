//! Metrics, the store's failures, and what guessing costs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use portunus_testkit::client::client_credentials;
use portunus_testkit::command::Run;
use portunus_testkit::gateway::CLIENT_SECRET;
use portunus_testkit::lines::Lines;
use portunus_testkit::poll::SOON;
use portunus_testkit::upstream::refused_url;
use portunus_testkit::{Portunus, eventually};
use serde_json::json;

use crate::Gate;

/// The sum of the series of a metric that have all these labels.
fn sum(process: &Portunus, metric: &str, labels: &[&str]) -> f64 {
    let text = portunus_testkit::Call::get(&process.api_url("/metrics")).send().expect(200).text();
    let series = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let is_metric = name.split('{').next() == Some(metric);
        (is_metric && labels.iter().all(|label| name.contains(label))).then(|| value.parse::<f64>().ok())?
    });
    series.sum()
}

#[test]
fn metrics_count_requests_limits_and_broken_upstreams() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 3}));
    admin.create_public_api("dead", &refused_url());
    for _ in 0..5 {
        process.get("/orders/x").send();
    }
    process.get("/dead/x").send().is(502);
    process.get("/nowhere").send().is(404);
    eventually(SOON, "all counts", || {
        let all = sum(&process, "portunus_http_requests_total", &[]);
        (all >= 7.0).then_some(())
    });
    let count = |metric: &str, labels: &[&str]| sum(&process, metric, labels).round();
    let orders = "api=\"orders\"";
    for (metric, labels, wanted) in [
        ("portunus_http_requests_total", &[orders, "status=\"200\"", "tenant=\"default\""][..], 3.0),
        ("portunus_http_requests_total", &[orders, "status=\"429\""], 2.0),
        ("portunus_http_requests_total", &["api=\"dead\"", "status=\"502\""], 1.0),
        ("portunus_http_requests_total", &["status=\"404\""], 1.0),
        ("portunus_http_request_duration_seconds_count", &[orders], 5.0),
        ("portunus_upstream_duration_seconds_count", &[orders], 3.0),
        ("portunus_upstream_errors_total", &["api=\"dead\"", "reason=\"unreachable\""], 1.0),
        ("portunus_rate_limit_decisions_total", &["decision=\"allowed\""], 3.0),
        ("portunus_rate_limit_decisions_total", &["decision=\"limited\""], 2.0),
        ("portunus_panics_total", &[], 0.0),
    ] {
        assert_eq!(count(metric, labels), wanted, "{metric} {labels:?}");
    }
}

#[test]
fn metrics_please_the_tool_that_checks_them() {
    let Gate { process, admin, upstream } = Gate::start();
    let odd = "orders \"quoted\" {é}, a=\"b\"";
    admin.create_api_with(odd, &upstream.url(), &json!({"base_path": "/odd", "access": "public"}));
    process.get("/odd/x").send().is(200);
    let text = portunus_testkit::Call::get(&process.api_url("/metrics")).send().expect(200).text();
    let check = Run::new("/usr/bin/promtool").args(["check", "metrics"]).input(text).output().expect(0);
    assert_eq!(check.stdout.trim(), "", "{}", check.stderr);
    assert_eq!(check.stderr.trim(), "");
}

#[test]
fn metrics_of_what_is_gone_do_not_stay_for_ever() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    process.get("/orders/x").send().is(200);
    eventually(SOON, "the count", || {
        (sum(&process, "portunus_http_requests_total", &["api=\"orders\""]) >= 1.0).then_some(())
    });
    admin.delete("/v1/tenants/default/apis/orders");
    assert_eq!(sum(&process, "portunus_apis", &[]).round(), 0.0);
}

#[test]
fn s08_a_store_that_cannot_be_written_is_told_and_traffic_goes_on() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let store = process.home().path().join("data/portunus.db");
    let mut holder = Command::new("/usr/bin/sqlite3")
        .arg(&store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3 is installed by scripts/setup");
    let said = Lines::follow(holder.stdout.take().expect("standard output is piped"));
    let mut input = holder.stdin.take().expect("standard input is piped");
    input.write_all(b"BEGIN IMMEDIATE;\nSELECT 'held';\n").expect("sqlite3 listens");
    said.wait(SOON, |line| line.contains("held").then_some(())).expect("the store is held");
    let refused = admin.post("/v1/tenants/default/consumers", &json!({"name": "late"})).refused(503);
    assert!(refused.json["detail"].is_string(), "{}", refused.text());
    process.get("/orders/x").send().is(200);
    admin.get("/v1/tenants/default/apis").is(200);
    let line = process.wait_log(SOON, |entry| entry["message"] == "database_connection_failed");
    assert_eq!(line["level"], "error");
    input.write_all(b"ROLLBACK;\n.quit\n").expect("sqlite3 listens");
    drop(input);
    holder.wait().expect("sqlite3 ends");
    admin.get("/v1/tenants/default/consumers/late").is(404);
    admin.post("/v1/tenants/default/consumers", &json!({"name": "late"})).is(201);
}

#[test]
fn guessing_secrets_is_slowed_down_and_locks_nobody_else_out() {
    let Gate { process, admin, .. } = Gate::start();
    let base = process.api_url("");
    let other = admin.account("default", "robot", &["api:read"]);
    let statuses: Vec<u16> =
        (0..30).map(|i| client_credentials(&base, "control-plane-api", &format!("guess-{i}")).status).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let answer = client_credentials(&base, "control-plane-api", "guess").expect(429);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{answer:?}");
    other.get("/v1/tenants/default/apis").is(200);
    admin.get("/v1/tenants/default/apis").is(200);
    let data = Arc::clone(process.home());
    drop(process);
    let process = crate::portunus().data(&data).start();
    client_credentials(&process.api_url(""), "control-plane-api", CLIENT_SECRET).is(200);
}
