//! What happens too often for a row each: exact counts in few rows.

use std::time::Duration;

use portunus_testkit::{Api, Upstream, eventually};
use serde_json::{Value, json};

use crate::portunus;

fn total(admin: &Api, query: &str) -> Value {
    admin.get(&format!("/v1/audit/default?{query}")).expect(200).json
}

/// Waits until the sum of the counts is this; a request is counted when its answer is sent.
#[track_caller]
fn await_sum(admin: &Api, query: &str, sum: u64) -> Value {
    eventually(Duration::from_secs(10), "the sum of the counts", || {
        let found = total(admin, query);
        (found["total_events"] == sum).then_some(found)
    })
}

#[test]
fn r08_five_thousand_refused_requests_are_counted_exactly_in_few_rows() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("acme", &api);
    let limit = json!({"requests_per_minute": 1, "burst": 1});
    admin.policy_on(&api, "rate_limit", &limit);
    process.get("/orders/x").key(&key).send().is(200);
    for _ in 0..1_500 {
        process.get("/orders/x").key(&key).send().is(429);
        process.get("/orders/x").key("ptn_live_nobody").send().is(401);
        process.get("/orders/x").send().is(401);
    }
    let other = admin.create_api("invoices", &upstream.url());
    for _ in 0..500 {
        process.get("/invoices/x").key(&key).send().is(403);
    }
    assert_eq!(other["name"], "invoices");
    let limited = await_sum(&admin, "event_type=rate_limit_exceeded&hours=24", 1_500);
    let first = &limited["logs"][0];
    assert_eq!((&first["user"], &first["resource"]), (&json!("acme"), &json!("Api orders")));
    assert_eq!((&first["reason"], &first["outcome"]), (&json!("rate_limited"), &json!("denied")));
    assert!(first["details"]["from"].as_str() <= first["details"]["to"].as_str(), "{first}");
    let unknown = await_sum(&admin, "action=auth_failed", 3_000);
    let denied = await_sum(&admin, "action=access_denied", 500);
    let rows: u64 = [&limited, &unknown, &denied].iter().filter_map(|found| found["total"].as_u64()).sum();
    assert!(rows <= 40, "{rows} rows for 5,000 requests");
    assert_eq!(admin.get("/v1/audit/verify").expect(200).json["intact"], true);
}

#[test]
fn r08_denied_calls_of_the_control_plane_are_in_it() {
    let process = portunus().start();
    let admin = process.api();
    let reader = admin.account("default", "reader", &["consumer:read"]);
    let nobody = Api::nobody(&process.api_url(""));
    for _ in 0..20 {
        reader.get("/v1/tenants/default/apis").is(403);
        nobody.get("/v1/tenants").is(401);
    }
    let denied = await_sum(&admin, "action=call.denied", 20);
    let log = &denied["logs"][0];
    assert_eq!((&log["user"], &log["reason"]), (&json!("reader"), &json!("forbidden")));
    assert_eq!(log["resource"], "Route GET /v1/tenants/{tenant}/{plural}");
    assert_eq!(log["client_address"], "127.0.0.1");
    let everywhere = admin.get("/v1/audit?action=call.denied&user=").expect(200).json;
    assert_eq!(everywhere["total_events"], 20);
    assert_eq!(everywhere["logs"][0]["user"], "anonymous");
    assert!(denied["total"].as_u64() <= Some(3), "{denied}");
}

#[test]
fn r08_what_is_counted_at_a_stop_is_not_lost() {
    let process = portunus().start();
    let home = process.home().clone();
    let nobody = Api::nobody(&process.api_url(""));
    for _ in 0..7 {
        nobody.get("/v1/tenants").is(401);
    }
    assert_eq!(process.stop(), Some(0));
    let process = portunus().data(&home).start();
    let found = process.api().get("/v1/audit?action=call.denied").expect(200).json;
    assert_eq!(found["total_events"], 7);
}

#[test]
fn r08_reading_the_record_is_on_the_record() {
    let process = portunus().start();
    let admin = process.api();
    for _ in 0..5 {
        total(&admin, "limit=1");
    }
    admin.get("/v1/audit/verify").is(200);
    let home = process.home().clone();
    assert_eq!(process.stop(), Some(0));
    let process = portunus().data(&home).start();
    let found = process.api().get("/v1/audit?action=audit.read").expect(200).json;
    assert_eq!((&found["total"], &found["total_events"]), (&json!(2), &json!(6)), "{found}");
    let logs = found["logs"].as_array().expect("logs");
    assert!(logs.iter().any(|log| log["count"] == 5 && log["details"]["what"] == "list"), "{found}");
    assert!(logs.iter().all(|log| log["user"] == "control-plane-api"), "{found}");
}

#[test]
fn f17_recent_admin_actions_are_in_the_audit_log() {
    let process = portunus().start();
    let admin = process.api();
    let second = admin.account("default", "second-admin", &["*:*"]);
    second.create_consumer("acme");
    let account = second.get("/v1/tenants/default/service-accounts/second-admin").expect(200).json;
    admin.patch("/v1/tenants/default/service-accounts/second-admin", &json!({"status": "locked"})).is(200);
    let id = account["id"].as_str().expect("an id");
    let done = total(&admin, &format!("user={id}&since=1h"));
    assert_eq!(done["logs"][0]["action"], "consumer.created", "{done}");
    assert_eq!(done["logs"][0]["via"].as_str().map(|via| via.starts_with("access-token:")), Some(true));
    let against = total(&admin, "resource=second-admin");
    assert_eq!(against["logs"][0]["user"], "control-plane-api");
}
