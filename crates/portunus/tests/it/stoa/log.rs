//! What the runbook promises of health and the log.

use portunus_testkit::poll::SOON;
use portunus_testkit::upstream::{Canned, refused_url};
use portunus_testkit::{Portunus, eventually};
use serde_json::{Value, json};

use crate::{Gate, portunus};

/// The log lines with this message.
fn entries(process: &Portunus, message: &str) -> Vec<Value> {
    let all = process.stdout().entries().into_iter();
    all.filter(|entry| entry["message"] == message).collect()
}

#[test]
fn s07_the_health_command_is_silent_about_health_and_alerts_about_the_rest() {
    let process = portunus().start();
    let gateway = process.gw_url("");
    let healthy = process.cli(&["health", "--url", &gateway]).output().expect(0);
    assert!(!healthy.stdout.contains("ALERT") && !healthy.stderr.contains("ALERT"), "{healthy:?}");
    let ill = Canned::start("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let alert = process.cli(&["health", "--url", &ill.url()]).output().expect(1);
    let lines: Vec<&str> = alert.stdout.lines().chain(alert.stderr.lines()).collect();
    assert_eq!(lines.len(), 1, "{alert:?}");
    assert!(lines[0].starts_with("ALERT: ") && lines[0].contains(" returned 503 at "), "{alert:?}");
    let gone = process.cli(&["health", "--url", &refused_url()]).output().expect(1);
    let text = format!("{}{}", gone.stdout, gone.stderr);
    assert!(text.starts_with("ALERT: ") && text.contains(" returned ") && text.contains(" at "), "{gone:?}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
}

#[test]
fn s08_the_log_tells_of_requests_limits_refusals_and_broken_backends() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("LOG_LEVEL", "debug"));
    let api = admin.create_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 100, "burst": 1}));
    let dead = admin.create_public_api("dead", &refused_url());
    let key = admin.subscribe("my-consumer", &api);
    process.get("/orders/a").key(&key).send().is(200);
    process.get("/orders/b").key(&key).send().is(429);
    process.get("/orders/c").key("nonsense").send().is(401);
    process.get("/dead/d").send().is(502);
    let wait = |message: &'static str| {
        process.wait_log(SOON, |entry| entry["message"] == message && entry["path"] != Value::Null)
    };
    let line = process.wait_log(SOON, |e| e["message"] == "request completed" && e["path"] == "/orders/a");
    assert_eq!(line["level"], "info");
    assert_eq!(line["context"], "gateway");
    assert_eq!(line["status"], 200);
    assert_eq!(line["method"], "GET");
    assert_eq!(line["consumer"], "my-consumer");
    assert_eq!(line["tenant"], "default");
    assert_eq!(line["api"], "orders");
    assert_eq!(line["client_ip"], "127.0.0.1");
    let latency = line["latency"].as_str().expect("a latency");
    assert!(latency.strip_suffix("ms").is_some_and(|ms| ms.parse::<f64>().is_ok()), "{latency}");
    let check = process.wait_log(SOON, |e| e["message"] == "rate_limit_check");
    assert_eq!(check["level"], "debug");
    assert_eq!(check["consumer"], "my-consumer");
    let remaining = check["remaining"].as_str().expect("a fraction");
    assert!(
        remaining.split_once('/').is_some_and(|(n, of)| n.parse::<u32>().is_ok() && of.parse::<u32>().is_ok()),
        "{check}"
    );
    let exceeded = wait("rate_limit_exceeded");
    assert_eq!(exceeded["level"], "warn");
    assert_eq!(exceeded["consumer"], "my-consumer");
    assert_eq!(exceeded["path"], "/orders/b");
    let auth = wait("auth_failed");
    assert_eq!(auth["level"], "error");
    assert_eq!(auth["path"], "/orders/c");
    assert_eq!(auth["reason"], "invalid_api_key");
    let backend = wait("backend_error");
    assert_eq!(backend["level"], "error");
    assert_eq!(backend["path"], "/dead/d");
    assert_eq!(backend["status"], "502");
    let error = backend["error"].as_str().unwrap_or_default().to_lowercase();
    assert!(error.contains("connection refused"), "{backend}");
    drop(dead);
}

#[test]
fn s08_the_default_log_leaves_out_the_checks_that_let_a_call_through() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 100}));
    process.get("/orders/a").send().is(200);
    process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!(entries(&process, "rate_limit_check").len(), 0);
    for line in process.logs() {
        let entry: Value = serde_json::from_str(&line).expect("each line of the log is JSON");
        for field in ["timestamp", "level", "context", "message"] {
            assert!(entry[field].is_string(), "{field} is missing: {line}");
        }
    }
}

#[test]
fn s09_grep_for_status_counts_each_request_once_and_each_5xx() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("ok", &upstream.url());
    admin.create_public_api("dead", &refused_url());
    admin.create_api("locked", &upstream.url());
    let wanted = [
        ("/ok/x", 200),
        ("/ok/status/503", 503),
        ("/ok/status/500", 500),
        ("/ok/status/404", 404),
        ("/dead/x", 502),
        ("/locked/x", 401),
        ("/nowhere", 404),
        ("/ok/close", 502),
    ];
    for (path, status) in wanted {
        process.get(path).send().is(status);
    }
    eventually(SOON, "a line per request", || {
        (entries(&process, "request completed").len() >= wanted.len()).then_some(())
    });
    let log = process.stdout().text();
    let statuses: Vec<u16> = log
        .match_indices("\"status\":")
        .filter_map(|(at, needle)| log[at + needle.len()..].get(..3)?.parse().ok())
        .collect();
    assert_eq!(statuses.len(), wanted.len(), "{log}");
    for (_, status) in wanted {
        let count = |list: &mut dyn Iterator<Item = u16>| list.filter(|s| *s == status).count();
        let logged = count(&mut statuses.iter().copied());
        assert_eq!(logged, count(&mut wanted.iter().map(|(_, s)| *s)), "status {status}: {log}");
    }
    let fives = process.logs().iter().filter(|line| line.contains("\"status\":5")).count();
    assert_eq!(fives, wanted.iter().filter(|(_, status)| *status >= 500).count(), "{log}");
}
