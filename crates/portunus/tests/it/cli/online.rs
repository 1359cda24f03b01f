//! Commands that speak to a running process.

use std::fs;

use portunus_testkit::Portunus;

use crate::{BINARY, Gate, portunus};

/// Writes a file into the process's home, where its commands run.
fn write(process: &Portunus, name: &str, text: &str) {
    fs::write(process.home().path().join(name), text).expect("a file can be written");
}

fn api(upstream: &str, limit: u32) -> String {
    format!(
        "apiVersion: portunus.dev/v1\nkind: Api\nmetadata: {{tenant: default, name: orders}}\n\
         spec: {{base_path: /orders, upstream: {{targets: [{{url: \"{upstream}\"}}]}}}}\n---\n\
         apiVersion: portunus.dev/v1\nkind: Policy\nmetadata: {{tenant: default, name: limit}}\n\
         spec: {{policy_type: rate_limit, config: {{requests_per_hour: {limit}}}}}\n---\n\
         apiVersion: portunus.dev/v1\nkind: Binding\nmetadata: {{tenant: default, name: limit-orders}}\n\
         spec: {{policy_id: limit, api_id: orders}}\n---\n\
         apiVersion: portunus.dev/v1\nkind: Consumer\nmetadata: {{tenant: default, name: client}}\nspec: {{}}\n---\n\
         apiVersion: portunus.dev/v1\nkind: Subscription\nmetadata: {{tenant: default, name: sub}}\n\
         spec: {{consumer_id: client, api_id: orders}}\n"
    )
}

#[test]
fn apply_then_a_key_then_a_call() {
    let Gate { process, upstream, .. } = Gate::start();
    write(&process, "api.yaml", &api(&upstream.url(), 100));
    let dry = process.cli(&["apply", "-f", "api.yaml", "--dry-run"]).output().expect(0);
    assert!(dry.stdout.contains("5 created") && dry.stdout.contains("dry run"), "{}", dry.stdout);
    process.get("/orders/x").send().is(404);
    let made = process.cli(&["apply", "-f", "api.yaml"]).output().expect(0);
    assert!(made.stdout.contains("5 created"), "{}", made.stdout);
    let again = process.cli(&["apply", "-f", "api.yaml"]).output().expect(0);
    assert!(again.stdout.contains("5 unchanged"), "{}", again.stdout);
    let key = process.cli(&["keys", "create", "client", "--name", "mine", "-q"]).output().expect(0);
    let key = key.stdout.trim();
    assert!(key.starts_with("ptn_live_") && !key.contains(char::is_whitespace), "{key}");
    process.get("/orders/x").key(key).send().is(200);

    let rotated = process.cli(&["keys", "rotate", "mine", "--grace-hours", "1", "-q"]).output().expect(0);
    let new = rotated.stdout.trim();
    process.get("/orders/x").key(key).send().is(200);
    process.get("/orders/x").key(new).send().is(200);
    process.cli(&["keys", "revoke", "mine"]).output().expect(0);
    process.get("/orders/x").key(key).send().is(401);
    process.get("/orders/x").key(new).send().is(200);
}

#[test]
fn diff_shows_what_apply_would_change_and_tells_it_by_its_code() {
    let Gate { process, upstream, .. } = Gate::start();
    write(&process, "api.yaml", &api(&upstream.url(), 100));
    process.cli(&["diff", "-f", "api.yaml"]).output().expect(1);
    process.cli(&["apply", "-f", "api.yaml"]).output().expect(0);
    let none = process.cli(&["diff", "-f", "api.yaml"]).output().expect(0);
    assert_eq!(none.stdout.trim(), "");
    write(&process, "api.yaml", &api(&upstream.url(), 77));
    let one = process.cli(&["diff", "-f", "api.yaml"]).output().expect(1).stdout;
    assert!(one.contains("-  requests_per_hour: 100") && one.contains("+  requests_per_hour: 77"), "{one}");
    let json = process.cli(&["diff", "-f", "api.yaml", "-o", "json"]).output().expect(1).json();
    assert_eq!(json["differences"].as_array().map(Vec::len), Some(1), "{json}");
    process.api().get("/v1/tenants/default/policies/limit").expect(200);
}

#[test]
fn faults_of_manifests_are_told_with_file_and_line_and_nothing_is_stored() {
    let Gate { process, admin, .. } = Gate::start();
    let good = api("http://127.0.0.1:9", 5);
    write(
        &process,
        "api.yaml",
        &good.replace("base_path: /orders", "base_path: orders").replace("api_id: orders", "api_id: nothing"),
    );
    for command in ["apply", "diff"] {
        let output = process.cli(&[command, "-f", "api.yaml"]).output();
        assert!(output.code.is_some_and(|code| code != 0), "{command}: {output:?}");
        for word in ["api.yaml", "line 4", "base_path", "api_id", "nothing"] {
            assert!(output.stderr.contains(word), "{command}: {word} is missing: {}", output.stderr);
        }
    }
    assert_eq!(admin.get("/v1/tenants/default/consumers").expect(200).json["total"], 0);
}

#[test]
fn get_lists_shows_and_finds() {
    let Gate { process, admin, upstream } = Gate::start();
    for name in ["orders", "bills"] {
        admin.create_api(name, &upstream.url());
    }
    for i in 0..120 {
        admin.create_consumer(&format!("c{i:03}"));
    }
    let table = process.cli(&["get", "apis"]).output().expect(0).stdout;
    assert!(table.starts_with("NAME") && table.contains("orders") && table.contains("/bills"), "{table}");
    let json = process.cli(&["get", "apis", "-o", "json"]).output().expect(0).json();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(2));
    let yaml = process.cli(&["get", "api", "orders", "-o", "yaml"]).output().expect(0).stdout;
    assert!(yaml.contains("base_path: /orders"), "{yaml}");
    let names = process.cli(&["get", "consumers", "-q"]).output().expect(0).stdout;
    assert_eq!(names.lines().count(), 120, "all pages");
    let found = process.cli(&["get", "consumers", "-q", "--search", "c01"]).output().expect(0).stdout;
    assert_eq!(found.lines().count(), 10, "{found}");
    let one = process.cli(&["get", "apis", "-q", "--where", "base_path=/bills"]).output().expect(0).stdout;
    assert_eq!(one.trim(), "bills");
    let missing = process.cli(&["get", "api", "nothing"]).output().expect(1);
    assert!(missing.stderr.contains("nothing"), "{}", missing.stderr);
    process.cli(&["get", "gizmos"]).output().expect(2);
}

#[test]
fn delete_refuses_what_is_in_use_and_says_by_whom() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    admin.subscribe("client", &api);
    let refused = process.cli(&["delete", "consumer", "client"]).output().expect(1);
    assert!(refused.stderr.contains("--cascade"), "{}", refused.stderr);
    admin.get("/v1/tenants/default/consumers/client").is(200);
    process.cli(&["delete", "consumer", "client", "--cascade"]).output().expect(0);
    admin.get("/v1/tenants/default/consumers/client").is(404);
    assert_eq!(admin.get("/v1/tenants/default/subscriptions").expect(200).json["total"], 0);
    process.cli(&["delete", "api", "orders"]).output().expect(0);
    process.cli(&["delete", "api", "orders"]).output().expect(1);
}

#[test]
fn an_export_applied_elsewhere_makes_the_same() {
    let Gate { process, upstream, .. } = Gate::start();
    write(&process, "api.yaml", &api(&upstream.url(), 100));
    process.cli(&["apply", "-f", "api.yaml"]).output().expect(0);
    let kinds = "Api,Policy,Binding,Consumer,Subscription";
    let export = process.cli(&["export", "--kind", kinds, "-t", "default"]).output().expect(0).stdout;
    assert_eq!(export.matches("apiVersion: portunus.dev/v1").count(), 5, "{export}");
    let other = portunus().start();
    let made = other.cli(&["apply", "-f", "-"]).input(export.clone()).output().expect(0);
    assert!(made.stdout.contains("5 created"), "{}", made.stdout);
    let back = other.cli(&["export", "--kind", kinds, "-t", "default"]).output().expect(0).stdout;
    assert_eq!(back, export);
    let same = process.cli(&["apply", "-f", "-"]).input(back).output().expect(0);
    assert!(same.stdout.contains("5 unchanged"), "{}", same.stdout);
}

#[test]
fn a_refused_token_is_told_plainly() {
    let process = portunus().start();
    let output = process.cli(&["get", "apis"]).env("PORTUNUS_TOKEN", "forged").output().expect(1);
    assert!(output.stderr.contains("401") || output.stderr.to_lowercase().contains("token"), "{}", output.stderr);
}

#[test]
fn the_client_secret_of_the_environment_is_enough() {
    let process = portunus().start();
    let run = portunus_testkit::command::Run::new(BINARY).args(["get", "tenants", "-q"]);
    let run = run.env("PORTUNUS_URL", process.api_url("")).env("HOME", process.home().path());
    let output = run.env("PORTUNUS_CLIENT_SECRET", portunus_testkit::gateway::CLIENT_SECRET).output().expect(0);
    assert!(output.stdout.lines().any(|name| name == "default"), "{}", output.stdout);
}
