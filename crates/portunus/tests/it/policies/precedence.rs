//! Which policy wins: the lowest priority number, then the most specific target.

use portunus_testkit::Api;
use serde_json::{Value, json};

use crate::Gate;

/// Targets from the widest to the narrowest.
const TARGETS: [&str; 7] = ["platform", "tenant", "api", "route", "plan", "consumer", "subscription"];

/// Makes a limit of `limit` for one target and gives the path of its binding.
fn bind(admin: &Api, target: &str, limit: usize, priority: u32, subscription: &Value) -> String {
    let tenant = if target == "platform" { "platform" } else { "default" };
    let policy = json!({
        "name": format!("{target}-{limit}"), "policy_type": "rate_limit", "priority": priority,
        "scope": "gateway", "config": {"requests_per_day": limit},
    });
    let made = admin.post(&format!("/v1/tenants/{tenant}/policies"), &policy).expect(201).json;
    let mut binding = json!({"policy_id": made["id"]});
    match target {
        "api" => binding["api_id"] = json!("orders"),
        "route" => {
            binding["api_id"] = json!("orders");
            binding["route"] = json!("/items/{id}");
        }
        "plan" => binding["plan_id"] = json!("gold"),
        "consumer" => binding["consumer_id"] = json!("client"),
        "subscription" => binding["subscription_id"] = subscription["id"].clone(),
        _ => {}
    }
    let path = format!("/v1/tenants/{tenant}/bindings");
    let made = admin.post(&path, &binding).expect(201).json;
    format!("{path}/{}", made["id"].as_str().expect("an id"))
}

/// An API `orders` with one route, a plan `gold`, a consumer `client`; gives its subscription with its key.
fn prepare(gate: &Gate) -> Value {
    let routes = json!({"routes": [{"path": "/items/{id}"}, {"path": "/other"}]});
    gate.admin.create_api_with("orders", &gate.upstream.url(), &routes);
    gate.admin.create("plans", &json!({"name": "gold"}));
    gate.admin.create_consumer("client");
    let body = json!({"consumer_id": "client", "api_id": "orders", "tenant_id": "default", "plan_id": "gold"});
    gate.admin.post("/v1/subscriptions", &body).expect(201).json
}

/// The limit that decided about a call, from its answer.
fn deciding(gate: &Gate, path: &str, subscription: &Value) -> String {
    let key = subscription["api_key"].as_str().expect("a key");
    gate.process.get(path).key(key).send().expect(200).header("x-ratelimit-limit").to_owned()
}

#[test]
fn at_equal_priority_the_most_specific_target_wins() {
    let gate = Gate::start();
    let subscription = prepare(&gate);
    let bindings: Vec<String> =
        TARGETS.iter().enumerate().map(|(i, target)| bind(&gate.admin, target, 1000 + i, 100, &subscription)).collect();
    for (i, target) in TARGETS.iter().enumerate().rev() {
        let limit = deciding(&gate, "/orders/items/1", &subscription);
        assert_eq!(limit, (1000 + i).to_string(), "{target} should decide");
        let gone = gate.admin.delete(&bindings[i]);
        assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    }
    assert_eq!(deciding(&gate, "/orders/items/1", &subscription), "", "nobody limits any more");
}

#[test]
fn a_lower_number_wins_over_every_target_that_is_more_specific() {
    let gate = Gate::start();
    let subscription = prepare(&gate);
    for (i, target) in TARGETS.iter().enumerate().rev() {
        let priority = 100 + 10 * u32::try_from(i).expect("a small number");
        bind(&gate.admin, target, 1000 + i, priority, &subscription);
        let limit = deciding(&gate, "/orders/items/1", &subscription);
        assert_eq!(limit, (1000 + i).to_string(), "{target} has the lowest number so far");
    }
}

#[test]
fn a_routes_policy_does_not_reach_the_other_routes() {
    let gate = Gate::start();
    let subscription = prepare(&gate);
    bind(&gate.admin, "api", 1000, 100, &subscription);
    bind(&gate.admin, "route", 2000, 100, &subscription);
    assert_eq!(deciding(&gate, "/orders/items/1", &subscription), "2000");
    assert_eq!(deciding(&gate, "/orders/other", &subscription), "1000");
}

#[test]
fn types_do_not_compete_with_each_other() {
    let gate = Gate::start();
    let subscription = prepare(&gate);
    bind(&gate.admin, "subscription", 1000, 1, &subscription);
    let policy = gate.admin.create_policy("small", "body_limit", &json!({"max_bytes": 10}));
    gate.admin.bind(&policy, &json!({}));
    assert_eq!(deciding(&gate, "/orders/other", &subscription), "1000");
    let key = subscription["api_key"].as_str().expect("a key");
    gate.process.call("POST", "/orders/other").key(key).body("more than ten bytes").send().is(413);
}

#[test]
fn the_log_names_the_policy_that_decided() {
    let gate = Gate::start();
    let subscription = prepare(&gate);
    bind(&gate.admin, "tenant", 1, 100, &subscription);
    let key = subscription["api_key"].as_str().expect("a key");
    gate.process.get("/orders/other").key(key).send().is(200);
    gate.process.get("/orders/other").key(key).send().is(429);
    let line = gate.process.wait_log(portunus_testkit::poll::SOON, |entry| {
        entry["message"] == "request completed" && entry["status"] == 429
    });
    assert!(line.to_string().contains("tenant-1"), "{line}");
}
