//! What the runbook promises of policies, consumers, subscriptions and tokens.

use portunus_testkit::Upstream;
use portunus_testkit::browser::Browser;
use portunus_testkit::client::client_credentials;
use portunus_testkit::gateway::CLIENT_SECRET;
use serde_json::{Value, json};

use crate::{Gate, portunus};

#[test]
fn s13_policy_patch_takes_effect_at_once() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let policy = admin.policy_on(&api, "rate_limit", &json!({"requests_per_minute": 60, "burst": 2}));
    let key = admin.subscribe("client", &api);
    for expected in [200, 200, 429] {
        process.get("/orders/x").key(&key).send().is(expected);
    }
    let path = format!("/v1/admin/policies/{}", policy["id"].as_str().expect("an id"));
    let patched = admin.patch(&path, &json!({"config": {"requests_per_minute": 200, "burst": 20}})).expect(200);
    assert_eq!(patched.json["config"]["requests_per_minute"], 200);
    let answer = process.get("/orders/x").key(&key).send().expect(200);
    assert_eq!(answer.header("x-ratelimit-limit"), "200");
    admin.patch(&path, &json!({"config": {"requests_per_minute": 1, "burst": 1}})).is(200);
    process.get("/orders/x").key(&key).send().is(429);
    assert_eq!(upstream.count(), 3);
}

#[test]
fn s13_counters_of_other_policies_stay_as_they_were() {
    let Gate { process, admin, upstream } = Gate::start();
    let one = admin.create_public_api("one", &upstream.url());
    let other = admin.create_public_api("other", &upstream.url());
    let policy = admin.policy_on(&one, "rate_limit", &json!({"requests_per_hour": 5}));
    admin.policy_on(&other, "rate_limit", &json!({"requests_per_hour": 3}));
    process.get("/other/x").send().is(200);
    process.get("/other/x").send().is(200);
    let path = format!("/v1/admin/policies/{}", policy["id"].as_str().expect("an id"));
    admin.patch(&path, &json!({"config": {"requests_per_hour": 50}})).is(200);
    process.get("/other/x").send().is(200);
    process.get("/other/x").send().is(429);
}

/// The body of the runbook's Day 4.
fn runbook_cors(origins: &[&str]) -> Value {
    json!({
        "name": "browser-cors",
        "policy_type": "cors",
        "tenant_id": "default",
        "scope": "api",
        "config": {
            "origins": origins,
            "methods": ["GET", "POST", "PUT", "DELETE"],
            "headers": ["Content-Type", "X-API-Key"],
            "max_age": 3600,
        },
    })
}

#[test]
fn s14_policies_are_made_with_the_runbooks_body_and_rubbish_is_refused() {
    let process = portunus().start();
    let admin = process.api();
    let body = runbook_cors(&["https://yourapp.com", "http://localhost:3000"]);
    let made = admin.post("/v1/admin/policies", &body).expect(201);
    assert!(made.json["id"].as_str().is_some_and(|id| !id.is_empty()), "{}", made.text());
    assert_eq!(made.json["policy_type"], "cors");
    let wrong = [
        ("/policy_type", json!({"policy_type": "corrs"})),
        ("/scope", json!({"scope": "galaxy"})),
        ("/config/originz", json!({"config": {"origins": ["https://a.example"], "originz": []}})),
        ("/config/max_age", json!({"config": {"origins": ["https://a.example"], "max_age": "long"}})),
    ];
    for (path, fields) in wrong {
        let mut body = body.clone();
        body["name"] = json!("second");
        for (field, value) in fields.as_object().expect("an object") {
            body[field] = value.clone();
        }
        let answer = admin.post("/v1/admin/policies", &body).refused(422);
        assert!(answer.fault_paths().contains(&path.to_owned()), "{path}: {}", answer.text());
    }
    let list = admin.get("/v1/tenants/default/policies").expect(200).json;
    assert_eq!(list["total"], 1, "{list}");
}

#[test]
fn s15_pages_of_allowed_origins_may_call_at_once_and_others_may_not() {
    let Gate { process, admin, upstream } = Gate::start();
    let (friend, stranger) = (Upstream::start(), Upstream::start());
    let api = admin.create_api("shop", &upstream.url());
    let key = admin.subscribe("page", &api);
    let call = format!(
        "const r = await fetch('{}', {{headers: {{'X-API-Key': '{key}', 'Content-Type': 'application/json'}}}}).catch(e => e);
         return r instanceof Error ? 'refused' : r.status;",
        process.gw_url("/shop/things")
    );
    let browser = Browser::start();
    browser.goto(&format!("{}/page", friend.url()));
    assert_eq!(browser.run(&call), "refused", "no policy yet");
    let policy = admin.post("/v1/admin/policies", &runbook_cors(&[&friend.url()])).expect(201).json;
    let binding = json!({"policy_id": policy["id"], "api_catalog_id": api["id"], "tenant_id": "default"});
    admin.post("/v1/admin/policies/bindings", &binding).is(201);
    assert_eq!(browser.run(&call), 200);
    browser.goto(&format!("{}/page", stranger.url()));
    assert_eq!(browser.run(&call), "refused");
    assert_eq!(upstream.count(), 1, "only the allowed page's call reached the upstream");
}

#[test]
fn s17_a_consumer_is_made_once_per_external_id() {
    let process = portunus().start();
    let admin = process.api();
    let body = json!({
        "external_id": "user-1700000000",
        "name": "user-12345",
        "email": "user@example.com",
        "consumer_metadata": {"user_id": "12345", "plan": "starter"},
    });
    let made = admin.post("/v1/consumers/default", &body).expect(201).json;
    assert!(made["id"].as_str().is_some_and(|id| !id.is_empty()), "{made}");
    assert_eq!(made["external_id"], "user-1700000000");
    assert_eq!(made["email"], "user@example.com");
    assert_eq!(made["consumer_metadata"]["plan"], "starter");
    admin.post("/v1/consumers/default", &body).refused(409);
    let list = admin.get("/v1/tenants/default/consumers").expect(200).json;
    assert_eq!(list["total"], 1, "{list}");
}

#[test]
fn s18_a_subscription_shows_its_key_once_and_the_key_works_at_once() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let made = admin.subscription("client", &api);
    let key = made["api_key"].as_str().expect("a key");
    process.get("/orders/x").key(key).send().is(200);
    assert_eq!(made["status"], "active");
    let id = made["id"].as_str().expect("an id");
    for path in ["subscriptions", "credentials", "consumers"] {
        let list = admin.get(&format!("/v1/tenants/default/{path}")).expect(200).text();
        assert!(!list.contains(key), "{path} shows the key again: {list}");
    }
    let one = admin.get(&format!("/v1/tenants/default/subscriptions/{id}")).expect(200);
    assert!(one.json["api_key"].is_null() && !one.text().contains(key), "{}", one.text());
}

#[test]
fn s19_a_revoked_subscription_ends_its_key_at_once() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let made = admin.subscription("client", &api);
    let key = made["api_key"].as_str().expect("a key");
    process.get("/orders/x").key(key).send().is(200);
    let id = made["id"].as_str().expect("an id");
    let revoked = admin.post_empty(&format!("/v1/subscriptions/{id}/revoke")).expect(200).json;
    assert_eq!(revoked["status"], "revoked");
    process.get("/orders/x").key(key).send().problem(401, "revoked_api_key");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn s20_a_policy_of_one_consumer_overrides_the_default_for_it_alone() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let (premium, plain) = (admin.subscription("premium", &api), admin.subscribe("plain", &api));
    let policy = |name: &str, priority: u32, limit: u32| {
        let body = json!({
            "name": name, "policy_type": "rate_limit", "tenant_id": "default", "scope": "tenant",
            "config": {"requests_per_minute": limit, "burst": 50}, "priority": priority,
        });
        admin.post("/v1/admin/policies", &body).expect(201).json
    };
    let default = policy("default-limit", 100, 100);
    let special = policy("premium-rate-limit", 50, 1000);
    let bind = |body: Value| admin.post("/v1/admin/policies/bindings", &body).is(201);
    bind(json!({"policy_id": default["id"], "tenant_id": "default"}));
    bind(json!({"policy_id": special["id"], "consumer_id": "premium", "tenant_id": "default"}));
    let limit = |key: &str| {
        let answer = process.get("/orders/x").key(key).send().expect(200);
        answer.header("x-ratelimit-limit").to_owned()
    };
    assert_eq!(limit(premium["api_key"].as_str().expect("a key")), "1000");
    assert_eq!(limit(&plain), "100");
}

#[test]
fn s29_the_token_endpoint_gives_tokens_for_the_right_secret_only() {
    let process = portunus().start();
    let base = process.api_url("");
    let token = client_credentials(&base, "control-plane-api", CLIENT_SECRET).expect(200);
    assert_eq!(token.json["expires_in"], 300);
    assert_eq!(token.json["token_type"], "Bearer");
    let bearer = token.json["access_token"].as_str().expect("a token");
    let list = portunus_testkit::Call::get(&process.api_url("/v1/tenants")).bearer(bearer).send();
    list.is(200);
    let wrong = client_credentials(&base, "control-plane-api", "wrong");
    assert!(matches!(wrong.status, 400 | 401), "{}", wrong.text());
    assert_eq!(wrong.json["error"], "invalid_client", "{}", wrong.text());
    assert!(wrong.json["access_token"].is_null());
}

#[test]
fn s14_policies_can_be_listed_read_changed_and_deleted() {
    let process = portunus().start();
    let admin = process.api();
    let made = admin.post("/v1/admin/policies", &runbook_cors(&["https://yourapp.com"])).expect(201).json;
    let one = format!("/v1/admin/policies/{}", made["id"].as_str().expect("an id"));
    let read = admin.get(&one).expect(200).json;
    assert_eq!(read["config"]["max_age"], 3600);
    assert_eq!(read["scope"], "api");
    let list = admin.get("/v1/admin/policies").expect(200).text();
    assert!(list.contains("browser-cors"), "{list}");
    let change = json!({"config": {"origins": ["https://other.com"], "max_age": 60}, "priority": 7});
    let patched = admin.patch(&one, &change).expect(200).json;
    assert_eq!(patched["config"]["max_age"], 60);
    assert_eq!(patched["priority"], 7);
    assert_eq!(patched["name"], "browser-cors");
    let wrong = admin.patch(&one, &json!({"config": {"origins": ["nonsense"], "max_age": -1}})).refused(422);
    assert!(wrong.fault_paths().iter().any(|path| path.starts_with("/config/")), "{}", wrong.text());
    let gone = admin.delete(&one);
    assert!(matches!(gone.status, 200 | 204), "{}", gone.text());
    admin.get(&one).refused(404);
}

#[test]
fn s17_s18_faults_of_the_runbooks_bodies_are_listed() {
    let process = portunus().start();
    let admin = process.api();
    let wrong = admin.post("/v1/consumers/default", &json!({"email": "nonsense", "colour": "red"})).refused(422);
    for path in ["/external_id", "/email", "/colour"] {
        assert!(wrong.fault_paths().contains(&path.to_owned()), "{path}: {}", wrong.text());
    }
    let body = json!({"consumer_id": "nobody", "api_id": "nothing", "tenant_id": "default"});
    let wrong = admin.post("/v1/subscriptions", &body).refused(422);
    for path in ["/consumer_id", "/api_id"] {
        assert!(wrong.fault_paths().contains(&path.to_owned()), "{path}: {}", wrong.text());
    }
    assert_eq!(admin.get("/v1/tenants/default/consumers").expect(200).json["total"], 0);
}

#[test]
fn s18_the_same_subscription_twice_is_409() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    let body = json!({"consumer_id": "client", "api_id": api["id"], "tenant_id": "default"});
    admin.post("/v1/subscriptions", &body).refused(409);
    process.get("/orders/x").key(&key).send().is(200);
}
