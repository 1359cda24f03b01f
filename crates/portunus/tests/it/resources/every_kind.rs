//! The life of one resource of each kind.

use std::collections::BTreeSet;

use portunus_testkit::Api;
use serde_json::{Value, json};

use crate::portunus;

/// A kind, a resource of it, and a change with the field that then shows it.
struct Case {
    plural: &'static str,
    body: Value,
    patch: Value,
}

/// One case for each kind, in an order in which references already exist.
fn cases() -> Vec<Case> {
    let case = |plural, body, patch| Case { plural, body, patch };
    vec![
        case("tenants", json!({"name": "acme", "display_name": "Acme"}), json!({"display_name": "Acme Ltd"})),
        case(
            "upstreams",
            json!({"name": "pool", "targets": [{"url": "http://127.0.0.1:9"}]}),
            json!({"connect_timeout_ms": 777}),
        ),
        case(
            "apis",
            json!({"name": "orders", "base_path": "/orders", "upstream_id": "pool"}),
            json!({"description": "changed"}),
        ),
        case(
            "policies",
            json!({"name": "limit", "policy_type": "rate_limit", "config": {"requests_per_minute": 5}}),
            json!({"priority": 7}),
        ),
        case("plans", json!({"name": "gold", "requires_approval": false}), json!({"requires_approval": true})),
        case("consumers", json!({"name": "client", "email": "a@example.com"}), json!({"company": "Acme"})),
        case(
            "subscriptions",
            json!({"name": "sub", "consumer_id": "client", "api_id": "orders"}),
            json!({"expires_at": "2199-01-01T00:00:00Z"}),
        ),
        case("bindings", json!({"name": "all", "policy_id": "limit", "api_id": "orders"}), json!({"enabled": false})),
        case(
            "credentials",
            json!({"name": "key", "consumer_id": "client"}),
            json!({"expires_at": "2199-01-01T00:00:00Z"}),
        ),
        case(
            "roles",
            json!({"name": "reader", "permissions": ["api:read"]}),
            json!({"permissions": ["api:read", "policy:read"]}),
        ),
        case("service-accounts", json!({"name": "robot", "roles": ["reader"]}), json!({"description": "a robot"})),
        case(
            "users",
            json!({"name": "ada", "email": "ada@example.com", "password": "a long enough password 1", "roles": ["reader"]}),
            json!({"display_name": "Ada"}),
        ),
        case(
            "identity-providers",
            json!({"name": "outside", "issuer": "https://id.example.com/realms/a", "audience": "portunus"}),
            json!({"description": "people of the house"}),
        ),
        case(
            "api-tokens",
            json!({"name": "script", "service_account_id": "robot", "scopes": ["api:read"]}),
            json!({"description": "of a script"}),
        ),
        case(
            "content-pages",
            json!({"name": "note:first", "content_type": "note", "slug": "first", "data": {"title": "First"}}),
            json!({"sort_order": 3}),
        ),
        case(
            "approval-rules",
            json!({"name": "two-eyes", "permissions": ["session:delete"], "approvals": 1}),
            json!({"approvals": 2}),
        ),
        case("login-policies", json!({"name": "default", "session_hours": 24}), json!({"session_idle_minutes": 5})),
    ]
}

fn path(plural: &str) -> String {
    match plural {
        "tenants" => "/v1/tenants".to_owned(),
        // The only one there can be.
        "login-policies" => format!("/v1/tenants/platform/{plural}"),
        _ => format!("/v1/tenants/default/{plural}"),
    }
}

/// Creates, reads, changes, replaces and reads the past of one resource; gives its path.
fn live(admin: &Api, case: &Case) -> String {
    let Case { plural, body, patch } = case;
    let name = body["name"].as_str().expect("a name");
    let made = admin.post(&path(plural), body).expect(201);
    let id = made.json["id"].as_str().unwrap_or_else(|| panic!("no id: {}", made.text())).to_owned();
    let one = format!("{}/{id}", path(plural));
    assert!(made.header("location").ends_with(&format!("/{id}")), "{plural}: {}", made.header("location"));
    assert_eq!(made.header("etag"), format!("\"{}\"", made.json["revision"]), "{plural}");
    assert_eq!(made.json["name"], name);
    for field in ["created_at", "updated_at"] {
        let time = made.json[field].as_str().unwrap_or_default();
        assert!(
            time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'),
            "{plural}: {field} is {time:?}"
        );
    }

    let by_id = admin.get(&one).expect(200).json;
    let by_name = admin.get(&format!("{}/{name}", path(plural))).expect(200).json;
    assert_eq!(by_id, by_name, "{plural}");
    assert!(by_id["tenant_id"].is_string(), "{plural}: {by_id}");

    let patched = admin.patch(&one, patch).expect(200);
    for (field, value) in patch.as_object().expect("an object") {
        let (found, wanted) = (patched.json[field].to_string(), value.to_string());
        let is_reference = field == "permissions" || found == wanted;
        assert!(is_reference, "{plural}: {field} is {found}");
    }
    let (before, after) = (made.json["revision"].as_u64(), patched.json["revision"].as_u64());
    assert!(before < after, "{plural}: {before:?} then {after:?}");
    assert_eq!(patched.header("etag"), format!("\"{}\"", patched.json["revision"]));

    let history = admin.get(&format!("{one}/history")).expect(200).json;
    let items = history["items"].as_array().unwrap_or_else(|| panic!("{plural}: {history}"));
    assert_eq!(items.len(), 2, "{plural}: {history}");
    for item in items {
        assert!(item["revision"].is_u64() && item["changed_at"].is_string(), "{plural}: {item}");
        assert!(item["actor"].to_string().contains("control-plane-api"), "{plural}: {item}");
        assert!(item["action"].is_string() && item["resource"].is_object(), "{plural}: {item}");
    }
    one
}

#[test]
fn every_kind_is_made_read_changed_and_deleted_alike() {
    let process = portunus().start();
    let admin = process.api();
    admin.delete("/v1/tenants/platform/login-policies/default").is(200);
    let cases = cases();
    let kinds = admin.get("/v1/kinds").expect(200).json;
    let list = kinds.as_array().or_else(|| kinds["items"].as_array()).unwrap_or_else(|| panic!("{kinds}"));
    let known: BTreeSet<&str> = list.iter().filter_map(|kind| kind["plural"].as_str()).collect();
    let tried: BTreeSet<&str> = cases.iter().map(|case| case.plural).collect();
    assert_eq!(tried, known, "each kind that exists is tried");
    for kind in list {
        assert!(kind["kind"].is_string() && kind["noun"].is_string() && kind["schema"].is_object(), "{kind}");
        assert!(kind["description"].as_str().is_some_and(|text| !text.is_empty()), "{kind}");
    }
    let paths: Vec<String> = cases.iter().map(|case| live(&admin, case)).collect();
    for (case, path) in cases.iter().zip(&paths).rev() {
        let gone = admin.delete(path);
        assert!(matches!(gone.status, 200 | 204), "{}: {}", case.plural, gone.text());
        admin.get(path).refused(404);
    }
}

#[test]
fn secrets_are_shown_once_and_hashes_never() {
    let process = portunus().start();
    let admin = process.api();
    admin.delete("/v1/tenants/platform/login-policies/default").is(200);
    for case in cases() {
        let made = admin.post(&path(case.plural), &case.body).expect(201);
        let secret = ["api_key", "client_secret", "token"].iter().find_map(|field| made.json[field].as_str());
        let is_secret_kind = ["api-tokens", "credentials", "service-accounts"].contains(&case.plural);
        let may_be = is_secret_kind || case.plural == "subscriptions";
        assert!(secret.is_some() == is_secret_kind || may_be, "{}: {}", case.plural, made.text());
        let one = format!("{}/{}", path(case.plural), made.json["id"].as_str().expect("an id"));
        for place in [one.clone(), path(case.plural), format!("{one}/history")] {
            let text = admin.get(&place).expect(200).text();
            assert!(secret.is_none_or(|secret| !text.contains(secret)), "{place} shows the secret again");
            assert!(!text.contains("$argon2") && !text.contains("a long enough password"), "{place} shows a password");
        }
    }
    let log = process.stdout().text();
    assert!(!log.contains("a long enough password") && !log.contains("ptn_live_"), "the log shows a secret");
}

#[test]
fn put_replaces_and_patch_merges() {
    let process = portunus().start();
    let admin = process.api();
    admin.create("consumers", &json!({"name": "client", "email": "a@example.com", "company": "Acme", "metadata": {"a": 1, "b": {"c": 2, "d": 3}}}));
    let one = "/v1/tenants/default/consumers/client";
    let patched = admin.patch(one, &json!({"company": null, "metadata": {"a": null, "b": {"c": 9}}})).expect(200).json;
    assert!(patched["company"].is_null(), "{patched}");
    assert_eq!(patched["metadata"], json!({"b": {"c": 9, "d": 3}}));
    assert_eq!(patched["email"], "a@example.com");
    let call = admin.call("PATCH", one).header("content-type", "application/merge-patch+json");
    call.body("{\"company\":\"New\"}").send().is(200);
    let put = admin.put(one, &json!({"name": "client", "email": "b@example.com"})).expect(200).json;
    assert_eq!(put["email"], "b@example.com");
    assert!(put["company"].is_null(), "{put}");
    assert!(put["metadata"].as_object().is_none_or(serde_json::Map::is_empty), "{put}");
    let fresh = admin.get(one).expect(200).json;
    assert_eq!(fresh, put);
}

#[test]
fn what_was_read_can_be_sent_back() {
    let process = portunus().start();
    let admin = process.api();
    admin.delete("/v1/tenants/platform/login-policies/default").is(200);
    for case in cases() {
        let made = admin.post(&path(case.plural), &case.body).expect(201).json;
        let one = format!("{}/{}", path(case.plural), made["id"].as_str().expect("an id"));
        let read = admin.get(&one).expect(200).json;
        let mut back = admin.put(&one, &read).expect(200).json;
        for field in ["revision", "updated_at", "last_used_at"] {
            if let Some(value) = read.get(field) {
                back[field] = value.clone();
            }
        }
        assert_eq!(back, read, "{}", case.plural);
    }
}

#[test]
fn a_kind_that_does_not_exist_is_404() {
    let process = portunus().start();
    let admin = process.api();
    for path in [
        "/v1/tenants/default/gizmos",
        "/v1/tenants/default/gizmos/x",
        "/v1/nothing",
        "/nothing",
        "/v1/tenants/nobody/apis",
    ] {
        admin.get(path).refused(404);
    }
    admin.get("/v1/tenants/default/apis/no-such-api").refused(404);
}

#[test]
fn the_service_describes_itself() {
    let process = portunus().start();
    let admin = process.api();
    admin.delete("/v1/tenants/platform/login-policies/default").is(200);
    let document = admin.get("/v1/openapi.json").expect(200).json;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", document["openapi"]);
    let paths = document["paths"].as_object().expect("paths");
    for case in cases() {
        let is_there = paths.keys().any(|path| path.ends_with(&format!("/{}", case.plural)));
        assert!(is_there, "{} is missing", case.plural);
    }
    let types = admin.get("/v1/policy-types").expect(200).text();
    for policy_type in ["key_auth", "rate_limit", "cors", "ip_filter", "body_limit", "timeout", "headers"] {
        assert!(types.contains(&format!("\"{policy_type}\"")), "{policy_type}: {types}");
    }
    let health = admin.get("/health").expect(200).json;
    assert_eq!(health["status"], "ok");
    let metrics = admin.get("/metrics").expect(200);
    assert!(metrics.text().contains("# TYPE "), "{}", metrics.text());
}
