//! Secrets in files and in the environment.

use std::fs;
use std::path::PathBuf;

use portunus_testkit::gateway::new_data;
use portunus_testkit::poll::eventually;
use portunus_testkit::{Portunus, Upstream};
use serde_json::json;
use std::time::Duration;

use super::{API, bearer, orders};
use crate::portunus;

fn folder(process: &Portunus) -> PathBuf {
    let folder = process.home().path().join("data/secrets");
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

#[test]
fn a_file_is_read_and_read_again_when_it_changes() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let file = folder(&process).join("orders");
    fs::write(&file, "from-file-1\n").expect("it can be written");
    let reference = format!("file:{}", file.display());
    let made = orders(&process.api(), &upstream.url(), &bearer(&reference));
    assert_eq!(made["upstream"]["authentication"]["bearer"]["token"], reference.as_str(), "a reference is shown");
    let sent = || {
        process.get("/orders/x").send().is(200);
        upstream.last().header("authorization").unwrap_or_default()
    };
    assert_eq!(sent(), "Bearer from-file-1");
    fs::write(&file, "from-file-2\n").expect("it can be written");
    let patience = Duration::from_secs(30);
    eventually(patience, "the new secret", || (sent() == "Bearer from-file-2").then_some(()));
    // Without the file the last secret stays, and the log tells it.
    fs::remove_file(&file).expect("it can be removed");
    process.wait_log(patience, |line| line["message"] == "secret_unreadable" && line["level"] == "error");
    assert_eq!(sent(), "Bearer from-file-2");
    process.api().patch(API, &json!({"display_name": "Orders"})).refused(422);
    fs::write(&file, "from-file-3").expect("it can be written");
    eventually(patience, "the next secret", || (sent() == "Bearer from-file-3").then_some(()));
    for secret in ["from-file-1", "from-file-2", "from-file-3"] {
        assert!(!super::holds(&super::store_bytes(&process), secret));
        assert!(!process.stdout().text().contains(secret));
    }
}

#[test]
fn without_its_secret_an_upstream_is_not_called() {
    let upstream = Upstream::start();
    let data = new_data();
    let process = portunus().data(&data).start();
    let file = folder(&process).join("orders");
    fs::write(&file, "from-file").expect("it can be written");
    orders(&process.api(), &upstream.url(), &bearer(&format!("file:{}", file.display())));
    drop(process);
    fs::remove_file(&file).expect("it can be removed");
    let process = portunus().data(&data).start();
    process.get("/orders/x").send().problem(503, "upstream_secret_missing");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_variable_is_read_if_it_is_set_aside() {
    let upstream = Upstream::start();
    let process = portunus().env("PORTUNUS_REF_ORDERS", "from-env").env("OTHER", "other").start();
    let admin = process.api();
    orders(&admin, &upstream.url(), &bearer("env:PORTUNUS_REF_ORDERS"));
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.last().header("authorization").as_deref(), Some("Bearer from-env"));
    for name in ["OTHER", "PORTUNUS_ADMIN_PASSWORD", "PORTUNUS_REF_NONE"] {
        let patch = json!({"upstream": {"authentication": bearer(&format!("env:{name}"))}});
        let refused = admin.patch(API, &patch).refused(422);
        assert_eq!(refused.fault_paths(), ["/upstream/authentication/bearer/token"], "{name}");
    }
}

#[test]
fn no_file_outside_the_folders_can_be_read() {
    let process = portunus().start();
    let admin = process.api();
    let folder = folder(&process);
    std::os::unix::fs::symlink("/etc/hostname", folder.join("link")).expect("a link can be made");
    fs::write(process.home().path().join("data/other"), "x").expect("it can be written");
    let data = process.home().path().join("data");
    let missing = folder.join("missing").display().to_string();
    let places = [
        "/etc/hostname".to_owned(),
        format!("{}/secret.key", data.display()),
        format!("{}/../other", folder.display()),
        folder.join("link").display().to_string(),
        folder.display().to_string(),
        missing,
        "relative".to_owned(),
    ];
    for place in places {
        let body = json!({"name": "u", "targets": [{"url": "http://127.0.0.1:9"}],
            "authentication": bearer(&format!("file:{place}"))});
        let refused = admin.post("/v1/tenants/default/upstreams", &body).refused(422);
        assert_eq!(refused.fault_paths(), ["/authentication/bearer/token"], "{place}");
    }
}

#[test]
fn a_check_of_manifests_knows_their_form() {
    let process = portunus().start();
    let check = |token: &str| {
        let manifest = json!({"apiVersion": "portunus.dev/v1", "kind": "Upstream", "metadata": {"name": "u"},
            "spec": {"targets": [{"url": "http://127.0.0.1:9"}], "authentication": bearer(token)}});
        let file = process.home().path().join("check.json");
        fs::write(&file, manifest.to_string()).expect("it can be written");
        process.cli(&["config", "check", file.to_str().expect("UTF-8")]).output()
    };
    for good in ["the secret itself", "file:/run/secrets/not-here", "env:PORTUNUS_REF_X", "sealed:abc"] {
        check(good).expect(0);
    }
    for wrong in ["file:relative", "file:/a/../b", "env:", "env:A B", "enc:1:x"] {
        let refused = check(wrong).expect(78);
        assert!(refused.stderr.contains("/authentication/bearer/token"), "{wrong}: {}", refused.stderr);
    }
}

#[test]
fn an_account_of_one_tenant_cannot_use_what_belongs_to_the_operator() {
    let process = portunus().env("PORTUNUS_REF_ORDERS", "from-env").start();
    let admin = process.api();
    let theirs = admin.account("default", "dev", &["upstream:*"]);
    let upstreams = "/v1/tenants/default/upstreams";
    let body =
        |token: &str| json!({"name": "u", "targets": [{"url": "http://127.0.0.1:9"}], "authentication": bearer(token)});
    theirs.post(upstreams, &body("env:PORTUNUS_REF_ORDERS")).refused(403);
    admin.post(upstreams, &body("env:PORTUNUS_REF_ORDERS")).is(201);
    // What is there already may stay.
    let one = format!("{upstreams}/u");
    theirs.patch(&one, &json!({"connect_timeout_ms": 1000})).is(200);
    theirs.patch(&one, &json!({"authentication": bearer("their-own")})).is(200);
    theirs.patch(&one, &json!({"authentication": bearer("env:PORTUNUS_REF_ORDERS")})).refused(403);
}
