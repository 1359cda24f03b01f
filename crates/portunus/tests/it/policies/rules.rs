//! `ip_filter`, `timeout`, `headers`. `body_limit` is in `proxy/bodies.rs`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Gate, portunus};

#[test]
fn ip_filter_refuses_denied_and_unlisted_addresses() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_TRUSTED_PROXIES", "127.0.0.1/32"));
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "ip_filter", &json!({"allow": ["192.0.2.0/24", "2001:db8::/32"], "deny": ["192.0.2.66"]}));
    let cases = [
        ("192.0.2.1", 200),
        ("192.0.2.66", 403),
        ("192.0.3.1", 403),
        ("2001:db8::5", 200),
        ("2001:db9::5", 403),
        ("::ffff:192.0.2.9", 200),
        ("::ffff:192.0.2.66", 403),
    ];
    for (address, status) in cases {
        let answer = process.get("/orders/x").header("x-forwarded-for", address).send();
        assert_eq!(answer.status, status, "{address}: {}", answer.text());
        if status == 403 {
            assert_eq!(answer.json["code"], "ip_denied", "{address}");
        }
    }
    assert_eq!(upstream.count(), 3);
}

#[test]
fn ip_filter_looks_at_the_connection_when_nobody_is_trusted() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "ip_filter", &json!({"allow": ["192.0.2.0/24"]}));
    let answer = process.get("/orders/x").header("x-forwarded-for", "192.0.2.1").send();
    answer.problem(403, "ip_denied");
}

#[test]
fn ip_filters_add_up() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_TRUSTED_PROXIES", "127.0.0.1/32"));
    let api = admin.create_public_api("orders", &upstream.url());
    for (name, config) in [("ours", json!({"allow": ["192.0.2.0/24"]})), ("not-this", json!({"deny": ["192.0.2.7"]}))] {
        let policy = admin.create_policy(name, "ip_filter", &config);
        let target = if name == "ours" { json!({}) } else { json!({"api_id": api["id"]}) };
        admin.bind(&policy, &target);
    }
    let status = |address: &str| process.get("/orders/x").header("x-forwarded-for", address).send().status;
    assert_eq!([status("192.0.2.1"), status("192.0.2.7"), status("198.51.100.1")], [200, 403, 403]);
}

#[test]
fn timeout_cuts_a_slow_upstream_short() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "timeout", &json!({"response_ms": 150}));
    let start = Instant::now();
    process.get("/orders/delay/20000").send().problem(504, "upstream_timeout");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    process.get("/orders/x").send().is(200);
}

#[test]
fn timeout_gives_a_slow_upstream_more_time_than_its_default() {
    let Gate { process, admin, upstream } = Gate::start();
    let slow = json!({"targets": [{"url": upstream.url()}], "response_timeout_ms": 50});
    let api = admin.create_api_with("orders", "", &json!({"access": "public", "upstream": slow}));
    process.get("/orders/delay/400").send().is(504);
    admin.policy_on(&api, "timeout", &json!({"response_ms": 20_000}));
    process.get("/orders/delay/400").send().is(200);
}

#[test]
fn headers_are_set_added_and_removed_both_ways() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let config = json!({
        "request": {"set": {"X-Tenant": "gold"}, "add": {"X-List": "two"}, "remove": ["X-Debug"]},
        "response": {"set": {"X-Frame-Options": "DENY"}, "add": {"Set-Cookie": "c=3"}, "remove": ["Server", "X-Upstream"]},
    });
    admin.policy_on(&api, "headers", &config);
    let call = process.get("/orders/text").header("x-tenant", "forged").header("x-list", "one");
    let answer = call.header("x-debug", "1").send().expect(200);
    let seen = upstream.last();
    assert_eq!(seen.header("x-tenant").as_deref(), Some("gold"));
    assert_eq!(seen.header("x-list").as_deref(), Some("one, two"));
    assert_eq!(seen.header("x-debug"), None);
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header_list("set-cookie"), "a=1, b=2, c=3");
    assert_eq!(answer.header("server"), "");
    assert_eq!(answer.header("x-upstream"), "");
}

#[test]
fn headers_of_several_targets_add_up() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    for (name, target) in [("tenant", json!({})), ("api", json!({"api_id": api["id"]}))] {
        let config = json!({"request": {"set": {format!("X-From-{name}"): "1"}}});
        let policy = admin.create_policy(name, "headers", &config);
        admin.bind(&policy, &target);
    }
    process.get("/orders/x").send().is(200);
    let seen = upstream.last();
    assert_eq!(seen.header("x-from-tenant").as_deref(), Some("1"));
    assert_eq!(seen.header("x-from-api").as_deref(), Some("1"));
}

#[test]
fn response_headers_are_on_refusals_too() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let config = json!({"response": {"set": {"X-Content-Type-Options": "nosniff"}}});
    admin.policy_on(&api, "headers", &config);
    let answer = process.get("/orders/x").send().problem(401, "missing_api_key");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}
