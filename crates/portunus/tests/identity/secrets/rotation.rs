//! The keys that secrets are sealed with change while everything goes on.

use std::path::Path;
use std::time::Duration;

use portunus_testkit::command::Run;
use portunus_testkit::gateway::{ADMIN_PASSWORD, new_data};
use portunus_testkit::load::{Load, Plan};
use portunus_testkit::poll::{SOON, eventually};
use portunus_testkit::{Portunus, Session, Upstream};
use serde_json::{Value, json};

use super::{API, bearer, holds, orders, store_bytes};
use crate::portunus;

/// What SQL answers, with the stock tool.
fn sqlite(data: &Path, sql: &str) -> String {
    let output = Run::new("sqlite3").args([data.join("data/portunus.db").to_str().expect("UTF-8"), sql]).output();
    assert_eq!(output.code, Some(0), "{sql}: {}", output.stderr);
    output.stdout.trim().to_owned()
}

/// The ids of the data keys, the current one last.
fn data_keys(data: &Path) -> Vec<String> {
    let ids = sqlite(data, "SELECT id FROM data_key WHERE purpose = 'secrets' ORDER BY retired_at IS NULL, created_at");
    ids.lines().map(str::to_owned).collect()
}

/// How many texts of resources, history and signing keys are sealed with this key.
fn sealed_with(data: &Path, key: &str) -> u32 {
    let of = |table: &str, column: &str| format!("(SELECT COUNT(*) FROM {table} WHERE {column} LIKE '%enc:1:{key}:%')");
    let parts = [of("resource", "spec"), of("history", "spec"), of("signing_key", "private_key")];
    sqlite(data, &format!("SELECT {}", parts.join(" + "))).parse().expect("a number")
}

fn works(process: &Portunus, upstream: &Upstream, secret: &str) {
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.last().header("authorization"), Some(format!("Bearer {secret}")));
}

#[test]
fn d04_a_rotation_seals_everything_anew_while_requests_flow() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let home = process.home().path().to_owned();
    orders(&admin, &upstream.url(), &bearer("planted-first"));
    admin.patch(API, &json!({"upstream": {"authentication": bearer("planted-second")}})).is(200);
    // Second factors are sealed with the same key; so is a login that waits for one.
    let session = Session::log_in(&process.api_url(""), "admin", ADMIN_PASSWORD);
    session.post("/v1/me/mfa/totp", &json!({"label": "phone"})).is(201);
    let factors = sqlite(&home, "SELECT COUNT(*) FROM mfa_method WHERE data LIKE 'enc:1:%'");
    assert_eq!(factors, "1");
    let before = data_keys(&home);
    let [old] = before.as_slice() else { panic!("one key at first: {before:?}") };
    assert!(sealed_with(&home, old) >= 4, "the resource, two lines of its history, the signing key");
    let mark = admin.get(API).expect(200).json["upstream"]["authentication"]["bearer"]["token"].clone();
    let load = Load::start(Plan {
        address: process.gw_address().to_owned(),
        target: "/orders/x".to_owned(),
        headers: Vec::new(),
        rate: 100,
        connections: 4,
    });
    eventually(SOON, "the load to flow", || (load.sent() > 50).then_some(()));
    let rotated = process.cli(&["secrets", "rotate", "-o", "json"]).output().expect(0).json();
    let sent = load.sent();
    eventually(SOON, "more load", || (load.sent() > sent + 50).then_some(()));
    let report = load.stop();
    assert_eq!((report.count(200), report.failures.len() as u64), (report.total(), 0), "{:?}", report.statuses);
    let wrong = upstream
        .seen()
        .iter()
        .filter(|seen| seen.header("authorization").as_deref() != Some("Bearer planted-second"))
        .count();
    assert_eq!(wrong, 0);
    assert_eq!(rotated["deleted"], json!([old]), "{rotated}");
    assert_eq!(rotated["left"], json!([]), "{rotated}");
    assert_eq!(data_keys(&home), [rotated["key"].as_str().unwrap_or_default()]);
    assert_eq!(sealed_with(&home, old), 0);
    // Neither the secrets nor the old ciphertexts are in the files, not even as what was deleted.
    let bytes = store_bytes(&process);
    for text in ["planted-first", "planted-second", &format!("enc:1:{old}:")] {
        assert!(!holds(&bytes, text), "{text}");
    }
    let shown = admin.get(API).expect(200).json;
    assert_eq!((&shown["upstream"]["authentication"]["bearer"]["token"], &shown["revision"]), (&mark, &json!(2)));
    // A change of something else compiles the same upstream again, and a rollback opens what the history holds.
    admin.patch(API, &json!({"display_name": "Orders"})).is(200);
    works(&process, &upstream, "planted-second");
    admin.post(&format!("{API}/rollback"), &json!({"revision": 1})).is(200);
    works(&process, &upstream, "planted-first");
    let actions = sqlite(&home, "SELECT action FROM event WHERE action LIKE 'secret.%' ORDER BY sequence");
    assert_eq!(actions.lines().collect::<Vec<_>>(), ["secret.rotated", "secret.resealed"]);
}

#[test]
fn d04_a_rotation_that_was_cut_off_is_finished_by_the_next() {
    let upstream = Upstream::start();
    let data = new_data();
    let process = portunus().data(&data).start();
    let admin = process.api();
    orders(&admin, &upstream.url(), &bearer("planted-secret"));
    let others: Vec<Value> = (0..200)
        .map(|number| {
            json!({"apiVersion": "portunus.dev/v1", "kind": "Upstream", "metadata": {"name": format!("u{number}")},
                "spec": {"targets": [{"url": "http://127.0.0.1:9"}], "authentication": bearer("planted-secret")}})
        })
        .collect();
    admin.post("/v1/apply", &json!({"manifests": others})).is(200);
    let rotation = admin.call("POST", "/v1/secrets/rotate");
    let waiting = std::thread::spawn(move || rotation.try_send().map(|answer| answer.status));
    eventually(SOON, "a second key", || (data_keys(data.path()).len() == 2).then_some(()));
    process.kill9();
    assert!(waiting.join().expect("the thread ends").is_err(), "it was cut off");
    assert_eq!(data_keys(data.path()).len(), 2, "the old key is there as long as it may be needed");
    let process = portunus().data(&data).start();
    works(&process, &upstream, "planted-secret");
    let rotated = process.api().post_empty("/v1/secrets/rotate").expect(200).json;
    assert_eq!(rotated["deleted"].as_array().map(Vec::len), Some(2), "{rotated}");
    assert_eq!(data_keys(data.path()).len(), 1);
    drop(process);
    let process = portunus().data(&data).start();
    works(&process, &upstream, "planted-secret");
    let deadline = Duration::from_secs(1);
    drop(process.get("/orders/x").deadline(deadline).send());
    assert!(!holds(&store_bytes(&process), "planted-secret"));
}

#[test]
fn only_those_who_may_everywhere_rotate_one_at_a_time() {
    let process = portunus().start();
    let admin = process.api();
    let theirs = admin.account("default", "tenant-admin-bot", &["*:*"]);
    theirs.post_empty("/v1/secrets/rotate").refused(403);
    theirs.get("/v1/export?secrets=sealed").refused(403);
    let reads_all = admin.account("platform", "auditor-bot", &["*:read"]);
    reads_all.get("/v1/export?secrets=sealed").refused(403);
    let first = admin.call("POST", "/v1/secrets/rotate");
    let waiting = std::thread::spawn(move || first.send().status);
    let home = process.home().path().to_owned();
    eventually(SOON, "a second key", || (data_keys(&home).len() == 2).then_some(()));
    admin.post_empty("/v1/secrets/rotate").refused(409);
    assert_eq!(waiting.join().expect("the thread ends"), 200);
}

#[test]
fn a_sealed_export_brings_secrets_back() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    orders(&admin, &upstream.url(), &bearer("planted-secret"));
    let export = process.cli(&["export", "--kind", "Api", "--secrets", "sealed"]).output().expect(0).stdout;
    assert!(export.contains("enc:1:") && !export.contains("planted-secret"), "{export}");
    admin.delete(API).is(200);
    let file = process.home().path().join("export.yaml");
    std::fs::write(&file, &export).expect("it can be written");
    process.cli(&["apply", "-f", file.to_str().expect("UTF-8")]).output().expect(0);
    works(&process, &upstream, "planted-secret");
    // It opens as what it was sealed for, in this store, and nowhere else.
    let other = portunus().start();
    other.cli(&["apply", "-f", file.to_str().expect("UTF-8")]).output().expect(78);
}
