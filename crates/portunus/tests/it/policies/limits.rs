//! `rate_limit`: how much, of what, told how.

use std::time::Duration;

use portunus_testkit::{Answer, eventually};
use serde_json::{Value, json};

use crate::{Gate, portunus};

#[test]
fn a_burst_is_let_through_and_the_rest_is_told_when_to_come_back() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_minute": 30, "burst": 3}));
    for _ in 0..3 {
        process.get("/orders/x").send().is(200);
    }
    let refused = process.get("/orders/x").send().problem(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().expect("Retry-After is a number of seconds");
    assert!((1..=2).contains(&wait), "one call comes back every 2 s, not after {wait} s");
    assert_eq!(upstream.count(), 3);
    eventually(Duration::from_secs(wait + 2), "the next call", || {
        (process.get("/orders/x").send().status == 200).then_some(())
    });
    process.get("/orders/x").send().is(429);
}

#[test]
fn waiting_as_long_as_retry_after_says_is_enough() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_second": 1}));
    process.get("/orders/x").send().is(200);
    let refused = process.get("/orders/x").send().expect(429);
    let wait: u64 = refused.header("retry-after").parse().expect("a number");
    portunus_testkit::poll::pause(Duration::from_secs(wait));
    process.get("/orders/x").send().is(200);
}

#[test]
fn every_answer_tells_the_limit_and_what_is_left() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 5}));
    let number = |answer: &Answer, name: &str| answer.header(name).parse::<u64>().expect("a number");
    for left in (0..5).rev() {
        let answer = process.get("/orders/x").send().expect(200);
        assert_eq!(number(&answer, "x-ratelimit-limit"), 5);
        assert_eq!(number(&answer, "x-ratelimit-remaining"), left);
        let policy = answer.header("ratelimit-policy");
        assert!(policy.starts_with('"') && policy.contains(";q=5") && policy.contains(";w=3600"), "{policy}");
        let state = answer.header("ratelimit");
        assert!(state.starts_with('"') && state.contains(&format!(";r={left}")) && state.contains(";t="), "{state}");
    }
    let refused = process.get("/orders/x").send().problem(429, "rate_limited");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
    assert!(refused.header("ratelimit").contains(";r=0"), "{refused:?}");
}

/// How many of `n` calls in a row come through.
fn let_through(n: usize, call: impl Fn() -> Answer) -> usize {
    (0..n).filter(|_| call().status == 200).count()
}

#[test]
fn addresses_are_counted_apart() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_TRUSTED_PROXIES", "127.0.0.1"));
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 2, "key": "address"}));
    let from = |address: &'static str| {
        let call = || process.get("/orders/x").header("x-forwarded-for", address).send();
        let_through(3, call)
    };
    assert_eq!([from("192.0.2.1"), from("192.0.2.2"), from("2001:db8::1")], [2, 2, 2]);
    assert_eq!(from("192.0.2.1"), 0);
}

#[test]
fn values_of_a_header_are_counted_apart() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 2, "key": "header", "header": "X-Device"}));
    let from = |device: &'static str| let_through(3, || process.get("/orders/x").header("x-device", device).send());
    assert_eq!([from("a"), from("b"), from("a")], [2, 2, 0]);
    assert_eq!(let_through(3, || process.get("/orders/x").send()), 2, "calls without the header share one count");
}

/// A consumer `client` with a key that opens `one` and `two`, and a limit of 3 on the whole tenant.
fn two_apis(gate: &Gate, key: &str) -> String {
    for name in ["one", "two"] {
        gate.admin.create_api(name, &gate.upstream.url());
    }
    gate.admin.create_consumer("client");
    for name in ["one", "two"] {
        gate.admin.create("subscriptions", &json!({"consumer_id": "client", "api_id": name}));
    }
    let policy = gate.admin.create_policy("limit", "rate_limit", &json!({"requests_per_hour": 3, "key": key}));
    gate.admin.bind(&policy, &json!({}));
    let credential = gate.admin.create("credentials", &json!({"consumer_id": "client"}));
    credential["api_key"].as_str().expect("a key").to_owned()
}

#[test]
fn by_consumer_all_its_subscriptions_share_one_count() {
    let gate = Gate::start();
    let key = two_apis(&gate, "consumer");
    let count = |path: &'static str| let_through(4, || gate.process.get(path).key(&key).send());
    assert_eq!([count("/one/x"), count("/two/x")], [3, 0]);
}

#[test]
fn by_subscription_each_has_its_own_count() {
    let gate = Gate::start();
    let key = two_apis(&gate, "subscription");
    let count = |path: &'static str| let_through(4, || gate.process.get(path).key(&key).send());
    assert_eq!([count("/one/x"), count("/two/x")], [3, 3]);
}

#[test]
fn consumers_do_not_share_a_count() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 2}));
    let keys = [admin.subscribe("a", &api), admin.subscribe("b", &api)];
    let counts = keys.map(|key| let_through(3, || process.get("/orders/x").key(&key).send()));
    assert_eq!(counts, [2, 2]);
}

#[test]
fn several_windows_hold_together() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_minute": 100, "requests_per_day": 4}));
    assert_eq!(let_through(6, || process.get("/orders/x").send()), 4);
    let refused = process.get("/orders/x").send().expect(429);
    let wait: u64 = refused.header("retry-after").parse().expect("a number");
    assert!(wait > 3_600, "the day's limit decides: {wait}");
}

#[test]
fn stacking_limits_hold_beside_the_others() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let narrow = admin.create_policy("narrow", "rate_limit", &json!({"requests_per_hour": 3, "stack": true}));
    let wide = admin.create_policy("wide", "rate_limit", &json!({"requests_per_hour": 100}));
    for policy in [narrow, wide] {
        admin.bind(&policy, &json!({"api_id": api["id"]}));
    }
    assert_eq!(let_through(5, || process.get("/orders/x").send()), 3);
}

#[test]
fn a_plans_limit_holds_for_its_subscriptions() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.create("plans", &json!({"name": "free", "rate_limit": {"requests_per_hour": 2}}));
    admin.create_consumer("client");
    let body = json!({"consumer_id": "client", "api_id": api["id"], "tenant_id": "default", "plan_id": "free"});
    let made = admin.post("/v1/subscriptions", &body).expect(201).json;
    let free = made["api_key"].as_str().expect("a key").to_owned();
    let other = admin.subscribe("other", &api);
    assert_eq!(let_through(4, || process.get("/orders/x").key(&free).send()), 2);
    assert_eq!(let_through(4, || process.get("/orders/x").key(&other).send()), 4);
    admin.patch("/v1/tenants/default/plans/free", &json!({"rate_limit": {"requests_per_hour": 50}})).is(200);
    process.get("/orders/x").key(&free).send().is(200);
}

#[test]
fn counts_outlive_unrelated_changes() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 3}));
    let path = format!("/v1/tenants/default/apis/{}", api["id"].as_str().expect("an id"));
    for i in 0..3 {
        process.get("/orders/x").send().is(200);
        admin.create_consumer(&format!("somebody-{i}"));
        admin.patch(&path, &json!({"description": format!("change {i}")})).is(200);
    }
    process.get("/orders/x").send().is(429);
}

#[test]
fn switching_off_and_on_takes_effect_at_once() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let policy = admin.create_policy("limit", "rate_limit", &json!({"requests_per_hour": 1}));
    let binding = admin.bind(&policy, &json!({"api_id": api["id"]}));
    let limited = || {
        process.get("/orders/x").send();
        process.get("/orders/x").send().status == 429
    };
    let id = |of: &Value| of["id"].as_str().expect("an id").to_owned();
    let policy = format!("/v1/tenants/default/policies/{}", id(&policy));
    let binding = format!("/v1/tenants/default/bindings/{}", id(&binding));
    assert!(limited());
    for path in [&policy, &binding] {
        admin.patch(path, &json!({"enabled": false})).is(200);
        assert!(!limited(), "{path} is off");
        admin.patch(path, &json!({"enabled": true})).is(200);
        assert!(limited(), "{path} is on");
    }
    admin.delete(&binding);
    assert!(!limited(), "the binding is gone");
}

#[test]
fn many_callers_at_once_get_no_more_than_the_limit() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_day": 40}));
    let key = admin.subscribe("client", &api);
    let through: usize = std::thread::scope(|scope| {
        let call = || let_through(10, || process.get("/orders/x").key(&key).send());
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        callers.into_iter().map(|caller| caller.join().expect("the caller ends")).sum()
    });
    assert_eq!(through, 40);
    assert_eq!(upstream.count(), 40);
}
