//! `key_auth`, and access by subscription in all its states.

use portunus_testkit::poll::SOON;
use portunus_testkit::{Answer, eventually};
use serde_json::{Value, json};

use crate::Gate;

#[test]
fn without_a_policy_two_headers_carry_the_key_and_the_query_does_not() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    process.get("/orders/x").key(&key).send().is(200);
    process.get("/orders/x").bearer(&key).send().is(200);
    process.get("/orders/x").header("authorization", &format!("bearer {key}")).send().is(200);
    for query in ["api_key", "X-API-Key", "key"] {
        let answer = process.get(&format!("/orders/x?{query}={key}")).send();
        answer.problem(401, "missing_api_key");
    }
}

#[test]
fn key_auth_says_where_the_key_is() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    let config = json!({"headers": ["X-Client-Key"], "bearer": false, "query": ["api_key"]});
    admin.policy_on(&api, "key_auth", &config);
    process.get("/orders/x").header("x-client-key", &key).send().is(200);
    assert_eq!(upstream.last().header("x-client-key"), None);
    process.get(&format!("/orders/x?a=1&api_key={key}&b=2")).send().is(200);
    assert_eq!(upstream.last().target, "/x?a=1&b=2", "the key does not go on to the upstream");
    process.get("/orders/x").key(&key).send().problem(401, "missing_api_key");
    process.get("/orders/x").bearer(&key).send().problem(401, "missing_api_key");
    let log = process.stdout().text();
    assert!(!log.contains(&key), "the log shows the key: {log}");
}

#[test]
fn key_auth_can_hand_the_key_on() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    admin.policy_on(&api, "key_auth", &json!({"forward_credential": true}));
    process.get("/orders/x").key(&key).send().is(200);
    assert_eq!(upstream.last().header("x-api-key"), Some(key));
}

#[test]
fn key_auth_makes_a_public_api_ask_for_somebodys_key() {
    let Gate { process, admin, upstream } = Gate::start();
    let other = admin.create_api("other", &upstream.url());
    let key = admin.subscribe("client", &other);
    let api = admin.create_public_api("open", &upstream.url());
    process.get("/open/x").send().is(200);
    admin.policy_on(&api, "key_auth", &json!({}));
    process.get("/open/x").send().problem(401, "missing_api_key");
    process.get("/open/x").key("wrong").send().problem(401, "invalid_api_key");
    process.get("/open/x").key(&key).send().is(200);
}

#[test]
fn a_subscription_opens_the_gate_only_while_it_is_active() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.create("plans", &json!({"name": "gold", "requires_approval": true}));
    admin.create_consumer("client");
    let body = json!({"consumer_id": "client", "api_id": api["id"], "tenant_id": "default", "plan_id": "gold"});
    let made = admin.post("/v1/subscriptions", &body).expect(201).json;
    assert_eq!(made["status"], "pending");
    let key = match made["api_key"].as_str() {
        Some(key) => key.to_owned(),
        None => api_key(&admin.create("credentials", &json!({"consumer_id": "client", "subscription_id": made["id"]}))),
    };
    let call = || process.get("/orders/x").key(&key).send();
    let path = format!("/v1/tenants/default/subscriptions/{}", made["id"].as_str().expect("an id"));
    let go = |verb: &str| admin.post_empty(&format!("{path}/{verb}")).is(200);
    call().problem(403, "subscription_pending");
    go("approve");
    call().is(200);
    go("suspend");
    call().problem(403, "subscription_suspended");
    go("resume");
    call().is(200);
    go("revoke");
    call().problem(401, "revoked_api_key");
    let again = admin.post_empty(&format!("{path}/resume"));
    assert!(matches!(again.status, 409 | 422), "revoked is for good: {}", again.text());
    call().is(401);
}

#[test]
fn a_suspended_consumer_is_refused_everywhere() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    admin.patch("/v1/tenants/default/consumers/client", &json!({"status": "suspended"})).is(200);
    process.get("/orders/x").key(&key).send().problem(403, "consumer_suspended");
    admin.patch("/v1/tenants/default/consumers/client", &json!({"status": "active"})).is(200);
    process.get("/orders/x").key(&key).send().is(200);
}

/// The key that the answer to a POST shows once.
fn api_key(made: &Value) -> String {
    made["api_key"].as_str().unwrap_or_else(|| panic!("no key: {made}")).to_owned()
}

#[test]
fn a_key_without_a_subscription_opens_all_that_its_consumer_is_subscribed_to() {
    let Gate { process, admin, upstream } = Gate::start();
    let one = admin.create_api("one", &upstream.url());
    let two = admin.create_api("two", &upstream.url());
    admin.create_api("three", &upstream.url());
    let narrow = admin.subscribe("client", &one);
    admin.create("subscriptions", &json!({"consumer_id": "client", "api_id": two["id"]}));
    let wide = api_key(&admin.create("credentials", &json!({"name": "wide", "consumer_id": "client"})));
    let status = |path: &str, key: &str| process.get(path).key(key).send().status;
    assert_eq!([status("/one", &wide), status("/two", &wide), status("/three", &wide)], [200, 200, 403]);
    assert_eq!([status("/one", &narrow), status("/two", &narrow)], [200, 403]);
}

#[test]
fn an_expired_key_is_refused_with_its_own_reason() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.subscribe("client", &api);
    let old = json!({"name": "old", "consumer_id": "client", "expires_at": "2020-01-01T00:00:00Z"});
    let key = api_key(&admin.create("credentials", &old));
    process.get("/orders/x").key(&key).send().problem(401, "expired_api_key");
    let new = json!({"name": "new", "consumer_id": "client", "expires_at": "2199-01-01T00:00:00Z"});
    let key = api_key(&admin.create("credentials", &new));
    process.get("/orders/x").key(&key).send().is(200);
}

#[test]
fn a_known_key_can_be_brought_along() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.subscribe("client", &api);
    // SHA-256 of "brought-along-from-elsewhere-1".
    let hash = sha256("brought-along-from-elsewhere-1");
    let made = admin.create("credentials", &json!({"name": "own", "consumer_id": "client", "key_sha256": hash}));
    assert!(made["api_key"].is_null(), "{made}");
    process.get("/orders/x").key("brought-along-from-elsewhere-1").send().is(200);
    process.get("/orders/x").key("brought-along-from-elsewhere-2").send().is(401);
}

/// The SHA-256 of a text in hexadecimal, by the machine's own tool.
fn sha256(text: &str) -> String {
    let run = portunus_testkit::command::Run::new("/usr/bin/sha256sum").input(text).output().expect(0);
    run.stdout.split_whitespace().next().expect("a hash").to_owned()
}

#[test]
fn a_rotated_key_ends_at_once_or_after_its_grace_period() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.subscribe("client", &api);
    let status = |key: &str| process.get("/orders/x").key(key).send().status;
    let rotate = |made: &Value, body: &Value| -> Answer {
        let id = made["id"].as_str().expect("an id");
        admin.post(&format!("/v1/tenants/default/credentials/{id}/rotate"), body)
    };
    let first = admin.create("credentials", &json!({"name": "first", "consumer_id": "client"}));
    let second = rotate(&first, &json!({"grace_period_hours": 1}));
    assert!(matches!(second.status, 200 | 201), "{}", second.text());
    assert_eq!(status(&api_key(&first)), 200, "the grace period has begun");
    assert_eq!(status(&api_key(&second.json)), 200);
    let third = rotate(&second.json, &json!({}));
    assert!(matches!(third.status, 200 | 201), "{}", third.text());
    assert_eq!(status(&api_key(&second.json)), 401, "no grace period");
    assert_eq!(status(&api_key(&third.json)), 200);
    assert_eq!(status(&api_key(&first)), 200, "the other rotation did not touch this one");
}

#[test]
fn a_revoked_key_ends_and_the_consumers_other_keys_go_on() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let other = admin.subscribe("client", &api);
    let made = admin.create("credentials", &json!({"name": "lost", "consumer_id": "client"}));
    let key = api_key(&made);
    process.get("/orders/x").key(&key).send().is(200);
    admin.post_empty("/v1/tenants/default/credentials/lost/revoke").is(200);
    process.get("/orders/x").key(&key).send().problem(401, "revoked_api_key");
    process.get("/orders/x").key(&other).send().is(200);
}

#[test]
fn what_is_deleted_stops_at_once() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let made = admin.subscription("client", &api);
    let key = api_key(&made);
    process.get("/orders/x").key(&key).send().is(200);
    let path = format!("/v1/tenants/default/subscriptions/{}?cascade=true", made["id"].as_str().expect("an id"));
    let gone = admin.delete(&path);
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    let status = eventually(SOON, "an answer", || Some(process.get("/orders/x").key(&key).send().status));
    assert!(matches!(status, 401 | 403), "{status}");
}
