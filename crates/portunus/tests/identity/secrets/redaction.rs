//! Planted secrets turn up nowhere: not in the log, however much is logged, not in answers, not in the store.

use std::fs;

use portunus_testkit::client::{client_credentials, password};
use portunus_testkit::gateway::{ADMIN_PASSWORD, CLIENT_SECRET};
use portunus_testkit::poll::{SOON, eventually};
use portunus_testkit::upstream::Speaks;
use portunus_testkit::{Portunus, Upstream};
use serde_json::json;

use super::{bearer, holds, store_bytes};
use crate::portunus;

/// All that the process has to say about its resources.
fn answers(process: &Portunus, file: &str) -> Vec<String> {
    let admin = process.api();
    let mut texts = Vec::new();
    let mut read = |path: &str| texts.push(admin.get(path).text());
    for plural in ["apis", "upstreams", "credentials", "users", "service-accounts"] {
        for tenant in ["default", "platform"] {
            read(&format!("/v1/tenants/{tenant}/{plural}?page_size=100"));
        }
    }
    for one in ["apis/basic", "upstreams/header", "upstreams/file"] {
        read(&format!("/v1/tenants/default/{one}"));
        read(&format!("/v1/tenants/default/{one}/history"));
    }
    read("/v1/tenants/platform/users/admin/history");
    read("/v1/export");
    read("/v1/export?secrets=sealed");
    read("/metrics");
    read("/v1/openapi.json");
    for args in [&["diff", "-f", file][..], &["export"], &["get", "upstreams", "-o", "json"], &["config", "show"]] {
        let output = process.cli(args).env("PORTUNUS_SECRET_KEY", "planted-secret-key-of-16").output();
        texts.push(output.stdout + &output.stderr);
    }
    texts
}

#[test]
fn d04_planted_secrets_turn_up_nowhere() {
    let (first, second) = (Upstream::start(), Upstream::speaking(Speaks::Http2(100)));
    let process = portunus()
        .env("PORTUNUS_LOG", "trace")
        .env("PORTUNUS_SECRET_KEY", "planted-secret-key-of-16")
        .env("PORTUNUS_REF_PLANTED", "planted-variable")
        .start();
    let admin = process.api();
    let folder = process.home().path().join("data/secrets");
    fs::create_dir_all(&folder).expect("a folder can be made");
    fs::write(folder.join("planted"), "planted-file").expect("it can be written");
    let planted = format!("file:{}", folder.join("planted").display());
    let upstreams = [
        ("header", first.url(), json!({"header": {"name": "X-Key", "value": "planted-header"}})),
        ("bearer", second.url(), bearer("planted-bearer")),
        ("file", first.url(), bearer(&planted)),
        ("variable", second.url(), bearer("env:PORTUNUS_REF_PLANTED")),
    ];
    for (name, url, authentication) in &upstreams {
        let version = if *url == second.url() { "http2" } else { "auto" };
        let body =
            json!({"name": name, "targets": [{"url": url}], "http_version": version, "authentication": authentication});
        admin.create("upstreams", &body);
        let api = json!({"name": name, "base_path": format!("/{name}"), "access": "public", "upstream_id": name});
        admin.create("apis", &api);
    }
    let basic = json!({"basic": {"username": "ada", "password": "planted-basic"}});
    let upstream = json!({"targets": [{"url": first.url()}], "authentication": basic});
    let api = admin.create_api_with("basic", "", &json!({"upstream": upstream}));
    let key = admin.subscribe("acme", &api);
    let token = password(&process.api_url(""), "admin", ADMIN_PASSWORD).expect(200);
    let token = token.json["access_token"].as_str().expect("a token").to_owned();
    let made = admin.post(
        "/v1/tenants/default/users",
        &json!({"name": "eve", "email": "eve@example.com", "password": "planted-password-1"}),
    );
    made.is(201);
    client_credentials(&process.api_url(""), "control-plane-api", "planted-wrong-secret").is(401);
    // Each secret is used, and some are changed in a way that is refused.
    for path in ["/header/x", "/bearer/x", "/file/x", "/variable/x"] {
        process.get(path).header("authorization", "Bearer planted-of-the-client").send().is(200);
    }
    process.get("/basic/x").key(&key).send().is(200);
    process.get("/basic/x").key("ptn_live_planted").send().refused(401);
    for wrong in
        [bearer("planted\nbroken"), json!({"basic": {"username": 1, "password": "planted-1"}}), json!(["planted-2"])]
    {
        admin.patch("/v1/tenants/default/upstreams/header", &json!({"authentication": wrong})).refused(422);
    }
    let manifest = json!({"apiVersion": "portunus.dev/v1", "kind": "Upstream", "metadata": {"name": "header"},
        "spec": {"targets": [{"url": "http://127.0.0.1:9"}], "authentication": bearer("planted-in-manifest")}});
    let file = process.home().path().join("planted.json");
    fs::write(&file, manifest.to_string()).expect("it can be written");
    let secrets = ["planted-", "cGxhbnRlZC1iYXNpYw", ADMIN_PASSWORD, CLIENT_SECRET, &key, &token];
    // "planted" alone is in the names of the file and the variable, which are no secrets.
    let texts = answers(&process, file.to_str().expect("UTF-8"));
    for text in &texts {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in an answer: {text}");
        }
    }
    eventually(SOON, "the log of the last call", || process.stdout().text().contains("/v1/export").then_some(()));
    let log = process.stdout().text() + &process.stderr().text();
    assert!(log.contains("\"level\":\"trace\""), "everything is logged");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} in the log");
    }
    let bytes = store_bytes(&process);
    for secret in secrets {
        assert!(!holds(&bytes, secret), "{secret} in the store");
    }
}
