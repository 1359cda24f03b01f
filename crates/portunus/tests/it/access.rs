//! Who may do what on the control plane.

use portunus_testkit::client::{client_credentials, password};
use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::{Api, Call};
use serde_json::{Value, json};

use crate::{Gate, portunus};

/// Calls of every sort that need permission.
const CALLS: [(&str, &str); 16] = [
    ("GET", "/v1/tenants"),
    ("POST", "/v1/tenants"),
    ("GET", "/v1/tenants/default"),
    ("DELETE", "/v1/tenants/default"),
    ("GET", "/v1/tenants/default/apis"),
    ("POST", "/v1/tenants/default/apis"),
    ("GET", "/v1/tenants/default/apis/x"),
    ("PUT", "/v1/tenants/default/apis/x"),
    ("PATCH", "/v1/tenants/default/apis/x"),
    ("GET", "/v1/tenants/default/apis/x/history"),
    ("POST", "/v1/tenants/default/credentials/x/rotate"),
    ("POST", "/v1/apply"),
    ("GET", "/v1/export"),
    ("POST", "/v1/admin/policies"),
    ("POST", "/v1/consumers/default"),
    ("POST", "/v1/subscriptions"),
];

#[test]
fn without_a_token_nothing_is_shown_or_changed() {
    let process = portunus().start();
    let nobody = Api::nobody(&process.api_url(""));
    for (method, path) in CALLS {
        let answer = nobody.call(method, path).json(&json!({})).send().refused(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{method} {path}: {answer:?}");
    }
    nobody.get("/health").is(200);
}

fn decode(part: &str) -> Vec<u8> {
    let run = portunus_testkit::command::Run::new("/usr/bin/base64").args(["-d"]);
    let padded = format!("{}{}", part.replace('-', "+").replace('_', "/"), "=".repeat((4 - part.len() % 4) % 4));
    run.input(padded).output().expect(0).stdout.into_bytes()
}

fn encode(text: &str) -> String {
    let run = portunus_testkit::command::Run::new("/usr/bin/base64").args(["-w0"]).input(text).output().expect(0);
    run.stdout.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[test]
fn s29_forged_tokens_are_refused() {
    let process = portunus().start();
    let token = process.api().token();
    let call = |token: &str| Call::get(&process.api_url("/v1/tenants")).bearer(token).send();
    call(&token).is(200);
    let mut forged = vec![String::new(), "x".into(), "a.b.c".into(), format!("{token}x"), token[1..].to_owned()];
    let parts: Vec<&str> = token.split('.').collect();
    if let [head, claims, signature] = parts.as_slice() {
        let text = String::from_utf8(decode(claims)).expect("claims are JSON");
        let mut later: Value = serde_json::from_str(&text).expect("claims are JSON");
        later["exp"] = json!(later["exp"].as_u64().expect("an end") + 3600);
        forged.push(format!("{head}.{}.{signature}", encode(&later.to_string())));
        let none = encode("{\"alg\":\"none\",\"typ\":\"JWT\"}");
        forged.push(format!("{none}.{claims}."));
        forged.push(format!("{none}.{claims}.{signature}"));
        forged.push(format!("{head}.{claims}."));
    }
    for forged in forged {
        let answer = call(&forged).refused(401);
        assert!(answer.header("www-authenticate").contains("Bearer"), "{answer:?}");
    }
    let other = portunus().start();
    let foreign = Call::get(&other.api_url("/v1/tenants")).bearer(&token).send();
    foreign.refused(401);
}

#[test]
fn a_token_outlives_a_restart_or_is_refused_plainly() {
    let process = portunus().start();
    let token = process.api().token();
    let data = process.kill9();
    let process = portunus().data(&data).start();
    let answer = Call::get(&process.api_url("/v1/tenants")).bearer(&token).send();
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
}

#[test]
fn a_person_gets_a_token_for_the_right_password_only() {
    let process = portunus().start();
    let base = process.api_url("");
    let token = password(&base, "admin", ADMIN_PASSWORD).expect(200);
    let bearer = token.json["access_token"].as_str().expect("a token");
    Call::get(&process.api_url("/v1/tenants")).bearer(bearer).send().is(200);
    for (user, secret) in [("admin", "wrong"), ("nobody", ADMIN_PASSWORD), ("admin", "")] {
        let answer = password(&base, user, secret);
        assert!(matches!(answer.status, 400 | 401), "{user}: {}", answer.text());
        assert!(answer.json["access_token"].is_null());
    }
    let unknown = client_credentials(&base, "no-such-client", "x");
    let wrong = client_credentials(&base, "control-plane-api", "x");
    assert_eq!((unknown.status, &unknown.json), (wrong.status, &wrong.json), "which clients exist is not told");
    let grant =
        Call::post(&format!("{base}/realms/stoa/protocol/openid-connect/token")).form(&[("grant_type", "magic")]);
    let answer = grant.send().expect(400);
    assert!(answer.json["error"].is_string(), "{}", answer.text());
}

#[test]
fn who_may_only_read_changes_nothing() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let viewer = admin.account("default", "viewer", &["*:read"]);
    viewer.get("/v1/tenants/default/apis").is(200);
    viewer.get("/v1/tenants/default/apis/orders").is(200);
    viewer.get("/v1/tenants/default/consumers").is(200);
    let before = admin.get("/v1/tenants/default/apis/orders").expect(200).json;
    let body = json!({"name": "x", "base_path": "/x", "upstream": {"targets": [{"url": upstream.url()}]}});
    viewer.post("/v1/tenants/default/apis", &body).refused(403);
    viewer.put("/v1/tenants/default/apis/orders", &body).refused(403);
    viewer.patch("/v1/tenants/default/apis/orders", &json!({"description": "x"})).refused(403);
    viewer.delete("/v1/tenants/default/apis/orders").refused(403);
    viewer.post("/v1/tenants/default/apis/orders/rollback", &json!({"revision": 1})).refused(403);
    viewer.post("/v1/consumers/default", &json!({"external_id": "x", "name": "x"})).refused(403);
    let subscription = json!({"consumer_id": "x", "api_id": api["id"], "tenant_id": "default"});
    viewer.post("/v1/subscriptions", &subscription).refused(403);
    let policy = json!({"name": "p", "policy_type": "cors", "tenant_id": "default", "config": {"origins": ["*"]}});
    viewer.post("/v1/admin/policies", &policy).refused(403);
    let manifest = json!({"apiVersion": "portunus.dev/v1", "kind": "Consumer", "metadata": {"tenant": "default", "name": "x"}, "spec": {}});
    viewer.post("/v1/apply", &json!({"manifests": [manifest]})).refused(403);
    assert_eq!(admin.get("/v1/tenants/default/apis/orders").expect(200).json, before);
    assert_eq!(admin.get("/v1/tenants/default/consumers").expect(200).json["total"], 0);
    drop(process);
}

#[test]
fn a_permission_for_one_noun_is_none_for_another() {
    let process = portunus().start();
    let admin = process.api();
    let account = admin.account("default", "sales", &["consumer:read", "consumer:write"]);
    account.post("/v1/tenants/default/consumers", &json!({"name": "new"})).is(201);
    account.get("/v1/tenants/default/apis").refused(403);
    account
        .post(
            "/v1/tenants/default/policies",
            &json!({"name": "p", "policy_type": "cors", "config": {"origins": ["*"]}}),
        )
        .refused(403);
    let role = json!({"name": "all", "permissions": ["*:*"]});
    account.post("/v1/tenants/default/roles", &role).refused(403);
}

/// Two tenants, each with an API, a consumer, a policy and an account that may do everything in it.
fn two_tenants(admin: &Api) -> [Api; 2] {
    ["alpha", "beta"].map(|tenant| {
        admin.post("/v1/tenants", &json!({"name": tenant})).is(201);
        let upstream = json!({"targets": [{"url": "http://127.0.0.1:9"}]});
        let make = |plural: &str, body: Value| admin.post(&format!("/v1/tenants/{tenant}/{plural}"), &body).is(201);
        make("apis", json!({"name": format!("{tenant}-api"), "base_path": format!("/{tenant}"), "upstream": upstream}));
        make("consumers", json!({"name": format!("{tenant}-consumer")}));
        make(
            "policies",
            json!({"name": format!("{tenant}-policy"), "policy_type": "cors", "config": {"origins": ["*"]}}),
        );
        admin.account(tenant, &format!("{tenant}-robot"), &["*:*"])
    })
}

#[test]
fn an_account_of_one_tenant_neither_sees_nor_touches_another() {
    let process = portunus().start();
    let admin = process.api();
    let [alpha, _] = two_tenants(&admin);
    alpha.get("/v1/tenants/alpha/apis").is(200);
    alpha.patch("/v1/tenants/alpha/apis/alpha-api", &json!({"description": "mine"})).is(200);
    let id = |path: &str| admin.get(path).expect(200).json["id"].as_str().expect("an id").to_owned();
    let policy = id("/v1/tenants/beta/policies/beta-policy");
    let (api, consumer) = (id("/v1/tenants/beta/apis/beta-api"), id("/v1/tenants/beta/consumers/beta-consumer"));
    let tenant = id("/v1/tenants/beta");
    let before = admin.get("/v1/export?tenant=beta").expect(200).json;
    let subscription = json!({"consumer_id": consumer, "api_id": api, "tenant_id": "beta"});
    let own = json!({"consumer_id": "alpha-consumer", "api_id": api, "tenant_id": "alpha"});
    let manifest = json!({"apiVersion": "portunus.dev/v1", "kind": "Consumer", "metadata": {"tenant": "beta", "name": "x"}, "spec": {}});
    let attempts: Vec<(&str, String, Value)> = vec![
        ("GET", "/v1/tenants/beta".into(), Value::Null),
        ("GET", "/v1/tenants/beta/apis".into(), Value::Null),
        ("GET", format!("/v1/tenants/{tenant}/apis"), Value::Null),
        ("GET", "/v1/tenants/beta/apis/beta-api".into(), Value::Null),
        ("GET", format!("/v1/tenants/alpha/apis/{api}"), Value::Null),
        ("PATCH", format!("/v1/tenants/alpha/apis/{api}"), json!({"description": "taken over"})),
        ("DELETE", format!("/v1/tenants/alpha/apis/{api}"), Value::Null),
        ("GET", format!("/v1/tenants/alpha/apis/{api}/history"), Value::Null),
        ("PATCH", "/v1/tenants/beta/apis/beta-api".into(), json!({"description": "taken over"})),
        ("DELETE", "/v1/tenants/beta?cascade=true".into(), Value::Null),
        ("POST", "/v1/tenants/beta/consumers".into(), json!({"name": "x"})),
        ("POST", "/v1/tenants".into(), json!({"name": "gamma"})),
        ("POST", "/v1/consumers/beta".into(), json!({"external_id": "x", "name": "x"})),
        ("POST", "/v1/subscriptions".into(), subscription),
        ("POST", "/v1/subscriptions".into(), own),
        ("GET", format!("/v1/admin/policies/{policy}"), Value::Null),
        ("PATCH", format!("/v1/admin/policies/{policy}"), json!({"priority": 1})),
        ("DELETE", format!("/v1/admin/policies/{policy}"), Value::Null),
        ("POST", "/v1/admin/policies/bindings".into(), json!({"policy_id": policy, "tenant_id": "alpha"})),
        ("POST", "/v1/apply".into(), json!({"manifests": [manifest]})),
        ("GET", "/v1/export?tenant=beta".into(), Value::Null),
        (
            "POST",
            "/v1/tenants/platform/policies".into(),
            json!({"name": "p", "policy_type": "cors", "config": {"origins": ["*"]}}),
        ),
    ];
    for (method, path, body) in attempts {
        let call = alpha.call(method, &path);
        let answer = if body.is_null() { call.send() } else { call.json(&body).send() };
        let is_refused = matches!(answer.status, 403 | 404 | 422);
        assert!(is_refused, "{method} {path} {body}: {} {}", answer.status, answer.text());
        let shown = answer.text().replace("beta-api", if path.contains("beta-api") { "" } else { "beta-api" });
        assert!(!shown.contains("beta-api") && !shown.contains("beta-consumer"), "{method} {path}: {shown}");
    }
    assert_eq!(admin.get("/v1/export?tenant=beta").expect(200).json, before);
    let visible = alpha.get("/v1/tenants").text();
    assert!(!visible.contains("beta"), "{visible}");
    let taken = json!({"name": "mine", "base_path": "/beta", "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}});
    let answer = alpha.post("/v1/tenants/alpha/apis", &taken);
    assert!(matches!(answer.status, 409 | 422), "{}", answer.text());
    assert!(
        !answer.text().replace("\"/beta\"", "").contains("beta"),
        "the owner of a path is not told: {}",
        answer.text()
    );
}

#[test]
fn nobody_gives_away_more_than_they_have() {
    let process = portunus().start();
    let admin = process.api();
    let [alpha, _] = two_tenants(&admin);
    let account = alpha.account("alpha", "helper", &["*:*"]);
    account.get("/v1/tenants/beta/apis").refused(403);
    let limited = admin.account("default", "limited", &["role:*", "service_account:*"]);
    let role = json!({"name": "all", "permissions": ["*:*"]});
    limited.post("/v1/tenants/default/roles", &role).refused(403);
}

#[test]
fn a_disabled_account_is_out_at_once() {
    let process = portunus().start();
    let admin = process.api();
    let account = admin.account("default", "robot", &["*:read"]);
    account.get("/v1/tenants/default/apis").is(200);
    admin.patch("/v1/tenants/default/service-accounts/robot", &json!({"status": "locked"})).is(200);
    let answer = account.get("/v1/tenants/default/apis");
    assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
}
