//! Secrets of resources: sealed in the store, shown as marks, used where they belong.

mod operator_key;
mod redaction;
mod references;
mod rotation;
mod upstreams;

use std::fs;

use portunus_testkit::{Api, Portunus};
use serde_json::{Value, json};

use crate::portunus;

/// Every byte of the store: the database and its write-ahead log.
fn store_bytes(process: &Portunus) -> Vec<u8> {
    let data = process.home().path().join("data");
    let files = fs::read_dir(data).expect("the data folder is there");
    let files = files.filter_map(|file| file.ok()).map(|file| file.path());
    let of_store = files.filter(|path| path.to_string_lossy().contains("portunus.db"));
    of_store.flat_map(|path| fs::read(path).expect("the store can be read")).collect()
}

/// Whether these bytes hold this text.
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Makes the public API `orders` over `url` with this authentication.
fn orders(admin: &Api, url: &str, authentication: &Value) -> Value {
    let upstream = json!({"targets": [{"url": url}], "authentication": authentication});
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": upstream}))
}

fn bearer(token: &str) -> Value {
    json!({"bearer": {"token": token}})
}

/// The mark that stands for the token of an API.
fn mark(api: &Value) -> String {
    let mark = api["upstream"]["authentication"]["bearer"]["token"].as_str().expect("the mark is shown");
    assert!(mark.starts_with("sealed:") && mark.len() > 12, "{mark}");
    mark.to_owned()
}

const API: &str = "/v1/tenants/default/apis/orders";

#[test]
fn d04_the_store_does_not_contain_upstream_secrets() {
    let process = portunus().start();
    let admin = process.api();
    for (name, authentication) in [
        ("a", json!({"header": {"name": "X-Key", "value": "planted-header-secret"}})),
        ("b", json!({"basic": {"username": "ada", "password": "planted-basic-secret"}})),
        ("c", bearer("planted-bearer-secret")),
    ] {
        let body = json!({"name": name, "targets": [{"url": "http://127.0.0.1:9"}], "authentication": authentication});
        admin.create("upstreams", &body);
    }
    let bytes = store_bytes(&process);
    assert!(holds(&bytes, "127.0.0.1:9"), "the rest is there in plain text");
    for secret in ["planted-header-secret", "planted-basic-secret", "planted-bearer-secret"] {
        assert!(!holds(&bytes, secret), "{secret}");
        assert!(!process.stdout().text().contains(secret), "{secret}");
    }
}

#[test]
fn a_mark_or_the_secret_itself_sent_back_changes_nothing() {
    let process = portunus().start();
    let admin = process.api();
    let made = orders(&admin, "http://127.0.0.1:9", &bearer("first-secret"));
    let first = mark(&made);
    let read = admin.get(API).expect(200).json;
    assert_eq!(admin.put(API, &read).expect(200).json["revision"], 1, "what was read can be sent back");
    let again = json!({"upstream": {"authentication": bearer("first-secret")}});
    assert_eq!(admin.patch(API, &again).expect(200).json["revision"], 1);
    let other = json!({"upstream": {"authentication": bearer("second-secret")}});
    let changed = admin.patch(API, &other).expect(200).json;
    assert_eq!(changed["revision"], 2);
    assert_ne!(mark(&changed), first);
    // The mark of a secret that is no longer there stands for nothing.
    let stale = json!({"upstream": {"authentication": bearer(&first)}});
    let refused = admin.patch(API, &stale).refused(422);
    assert_eq!(refused.fault_paths(), ["/upstream/authentication/bearer/token"]);
    // Other fields change without it.
    let renamed = admin.patch(API, &json!({"display_name": "Orders"})).expect(200).json;
    assert_eq!(mark(&renamed), mark(&changed));
}

#[test]
fn a_rollback_brings_an_old_secret_back() {
    let upstream = portunus_testkit::Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    orders(&admin, &upstream.url(), &bearer("first-secret"));
    admin.patch(API, &json!({"upstream": {"authentication": bearer("second-secret")}})).is(200);
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.last().header("authorization").as_deref(), Some("Bearer second-secret"));
    admin.post(&format!("{API}/rollback"), &json!({"revision": 1})).is(200);
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.last().header("authorization").as_deref(), Some("Bearer first-secret"));
    let history = admin.get(&format!("{API}/history")).expect(200).text();
    assert!(history.contains("sealed:") && !history.contains("enc:1:"), "{history}");
    assert!(!history.contains("first-secret") && !history.contains("second-secret"));
}

#[test]
fn an_export_can_be_applied_where_it_comes_from() {
    let process = portunus().start();
    let admin = process.api();
    orders(&admin, "http://127.0.0.1:9", &bearer("planted-secret"));
    let export = admin.get("/v1/export?kind=Api").expect(200);
    assert!(!export.text().contains("planted-secret") && !export.text().contains("enc:1:"), "{}", export.text());
    let answer = admin.post("/v1/apply", &export.json).expect(200).json;
    assert_eq!(answer["changes"][0]["action"], "unchanged", "{answer}");
    let other = portunus().start();
    let refused = other.api().post("/v1/apply", &export.json).refused(422);
    assert_eq!(refused.fault_paths(), ["/manifests/0/spec/upstream/authentication/bearer/token"]);
}

#[test]
fn a_search_does_not_look_into_what_is_not_shown() {
    let process = portunus().start();
    let admin = process.api();
    orders(&admin, "http://127.0.0.1:9", &bearer("planted-secret"));
    let total = |path: &str| admin.get(path).expect(200).json["total"].clone();
    assert_eq!(total("/v1/tenants/default/apis?q=127.0.0.1"), 1);
    assert_eq!(total("/v1/tenants/default/apis?q=enc:1"), 0);
    assert_eq!(total("/v1/tenants/platform/users?q=localhost"), 1);
    assert_eq!(total("/v1/tenants/platform/users?q=argon2"), 0);
    admin.get("/v1/tenants/platform/users?password_hash=x").refused(400);
}
