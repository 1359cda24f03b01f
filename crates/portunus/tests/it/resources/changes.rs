//! Changes that meet each other, and the past that stays.

use serde_json::json;

use crate::{Gate, portunus};

#[test]
fn a_change_of_something_that_has_changed_is_412() {
    let process = portunus().start();
    let admin = process.api();
    admin.create_consumer("client");
    let one = "/v1/tenants/default/consumers/client";
    let old = admin.get(one).expect(200).header("etag").to_owned();
    let change = json!({"company": "First"});
    let call = |method: &str, tag: &str| admin.call(method, one).header("if-match", tag);
    call("PATCH", &old).json(&change).send().is(200);
    call("PATCH", &old).json(&json!({"company": "Second"})).send().refused(412);
    call("PUT", &old).json(&json!({"name": "client"})).send().refused(412);
    call("DELETE", &old).send().refused(412);
    let now = admin.get(one).expect(200);
    assert_eq!(now.json["company"], "First");
    let gone = call("DELETE", now.header("etag")).send();
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
}

#[test]
fn of_changes_at_the_same_moment_one_wins() {
    let process = portunus().start();
    let admin = process.api();
    admin.create_consumer("client");
    let one = "/v1/tenants/default/consumers/client";
    let tag = admin.get(one).expect(200).header("etag").to_owned();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let change = |i: usize| {
            admin.call("PATCH", one).header("if-match", &tag).json(&json!({"company": format!("c{i}")})).send().status
        };
        let all: Vec<_> = (0..8).map(|i| scope.spawn(move || change(i))).collect();
        all.into_iter().map(|one| one.join().expect("the change ends")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
}

#[test]
fn the_past_is_kept_and_can_be_brought_back() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let one = format!("/v1/tenants/default/apis/{}", api["id"].as_str().expect("an id"));
    let first = api["revision"].clone();
    admin.patch(&one, &json!({"base_path": "/bills", "description": "second"})).is(200);
    let third = admin.patch(&one, &json!({"description": "third"})).expect(200).json;
    process.get("/orders/x").send().is(404);
    let back = admin.post(&format!("{one}/rollback"), &json!({"revision": first})).expect(200).json;
    assert_eq!(back["base_path"], "/orders");
    assert!(back["description"].is_null(), "{back}");
    assert!(back["revision"].as_u64() > third["revision"].as_u64(), "a rollback is a new change: {back}");
    process.get("/orders/x").send().is(200);
    let history = admin.get(&format!("{one}/history")).expect(200).json;
    let items = history["items"].as_array().expect("items");
    assert_eq!(items.len(), 4, "{history}");
    let texts: Vec<_> = items.iter().map(|item| item["resource"]["description"].as_str()).collect();
    assert!(texts.contains(&Some("second")) && texts.contains(&Some("third")), "{history}");
    let bad = admin.post(&format!("{one}/rollback"), &json!({"revision": 999_999}));
    assert!(matches!(bad.status, 404 | 422), "{}", bad.text());
}

#[test]
fn a_rollback_to_what_no_longer_fits_is_refused() {
    let process = portunus().start();
    let admin = process.api();
    admin.create("upstreams", &json!({"name": "old", "targets": [{"url": "http://127.0.0.1:9"}]}));
    admin.create("upstreams", &json!({"name": "new", "targets": [{"url": "http://127.0.0.1:9"}]}));
    let api = admin.create("apis", &json!({"name": "orders", "base_path": "/orders", "upstream_id": "old"}));
    let one = "/v1/tenants/default/apis/orders";
    admin.patch(one, &json!({"upstream_id": "new"})).is(200);
    let gone = admin.delete("/v1/tenants/default/upstreams/old");
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    let back = admin.post(&format!("{one}/rollback"), &json!({"revision": api["revision"]}));
    assert!(matches!(back.status, 409 | 422), "{}", back.text());
}

#[test]
fn a_name_is_taken_once_per_tenant_and_kind() {
    let process = portunus().start();
    let admin = process.api();
    admin.create_consumer("client");
    admin.post("/v1/tenants/default/consumers", &json!({"name": "client"})).refused(409);
    admin.create("plans", &json!({"name": "client"}));
    admin.post("/v1/tenants", &json!({"name": "acme"})).is(201);
    admin.post("/v1/tenants/acme/consumers", &json!({"name": "client"})).is(201);
    admin.post("/v1/tenants", &json!({"name": "acme"})).refused(409);
}

#[test]
fn a_post_that_is_repeated_with_its_key_is_done_once() {
    let process = portunus().start();
    let admin = process.api();
    let post = |key: &str, name: &str| {
        let call = admin.call("POST", "/v1/tenants/default/consumers").header("idempotency-key", key);
        call.json(&json!({"name": name})).send()
    };
    let first = post("k-1", "client").expect(201);
    let again = post("k-1", "client");
    assert!(matches!(again.status, 200 | 201), "{}", again.text());
    assert_eq!(again.json["id"], first.json["id"]);
    let other = post("k-1", "another");
    assert!(matches!(other.status, 409 | 422), "the same key for something else: {}", other.text());
    post("k-2", "another").is(201);
    assert_eq!(admin.get("/v1/tenants/default/consumers").expect(200).json["total"], 2);
}

#[test]
fn a_repeated_post_does_not_make_a_second_key() {
    let process = portunus().start();
    let admin = process.api();
    admin.create_consumer("client");
    let post = || {
        let call = admin.call("POST", "/v1/tenants/default/credentials").header("idempotency-key", "once");
        call.json(&json!({"consumer_id": "client"})).send()
    };
    let (first, again) = (post().expect(201), post());
    assert!(matches!(again.status, 200 | 201), "{}", again.text());
    assert_eq!(again.json["id"], first.json["id"]);
    assert_eq!(admin.get("/v1/tenants/default/credentials").expect(200).json["total"], 1);
}

#[test]
fn repeated_posts_at_the_same_moment_are_done_once() {
    let process = portunus().start();
    let admin = process.api();
    admin.token();
    let post = || {
        let call = admin.call("POST", "/v1/tenants/default/plans").header("idempotency-key", "storm");
        call.json(&json!({"name": "once"})).send()
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| post().status)).collect();
        all.into_iter().map(|one| one.join().expect("the post ends")).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 200 | 201 | 409)), "{statuses:?}");
    assert!(statuses.contains(&201), "{statuses:?}");
    assert_eq!(admin.get("/v1/tenants/default/plans").expect(200).json["total"], 1);
}

#[test]
fn the_same_key_by_different_callers_is_not_the_same() {
    let process = portunus().start();
    let admin = process.api();
    let other = admin.account("platform", "second", &["*:*"]);
    let post = |api: &portunus_testkit::Api, name: &str| {
        let call = api.call("POST", "/v1/tenants/default/consumers").header("idempotency-key", "shared");
        call.json(&json!({"name": name})).send()
    };
    post(&admin, "one").is(201);
    let answer = post(&other, "two").expect(201);
    assert_eq!(answer.json["name"], "two");
}
