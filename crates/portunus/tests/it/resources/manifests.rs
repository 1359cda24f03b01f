//! Manifests: apply, dry run, prune, export.

use portunus_testkit::{Answer, Api};
use serde_json::{Value, json};

use crate::{Gate, portunus};

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    let mut body =
        json!({"apiVersion": "portunus.dev/v1", "kind": kind, "metadata": {"tenant": "default", "name": name}});
    body["spec"] = spec;
    body
}

fn apply(admin: &Api, query: &str, manifests: &[Value]) -> Answer {
    admin.post(&format!("/v1/apply{query}"), &json!({"manifests": manifests}))
}

fn actions(answer: &Answer) -> Vec<String> {
    let changes = answer.json["changes"].as_array().unwrap_or_else(|| panic!("no changes: {}", answer.text()));
    changes.iter().map(|change| change["action"].as_str().unwrap_or_default().to_owned()).collect()
}

/// An API with a consumer that may call it, in an order in which nothing exists before it is referred to.
fn shop(upstream: &str) -> Vec<Value> {
    vec![
        manifest("Credential", "key", json!({"consumer_id": "client"})),
        manifest("Subscription", "sub", json!({"consumer_id": "client", "api_id": "shop"})),
        manifest("Binding", "limit-shop", json!({"policy_id": "limit", "api_id": "shop"})),
        manifest("Policy", "limit", json!({"policy_type": "rate_limit", "config": {"requests_per_hour": 100}})),
        manifest("Consumer", "client", json!({})),
        manifest("Api", "shop", json!({"base_path": "/shop", "upstream_id": "pool"})),
        manifest("Upstream", "pool", json!({"targets": [{"url": upstream}]})),
    ]
}

#[test]
fn apply_makes_everything_in_one_go_and_changes_only_what_differs() {
    let Gate { process, admin, upstream } = Gate::start();
    let mut manifests = shop(&upstream.url());
    let made = apply(&admin, "", &manifests).expect(200);
    assert_eq!(actions(&made), ["created"; 7]);
    let changes = made.json["changes"].as_array().expect("changes");
    let key = changes.iter().find(|change| change["kind"] == "Credential").expect("the credential");
    let key = secret(key);
    assert_eq!(process.get("/shop/x").key(&key).send().expect(200).header("x-ratelimit-limit"), "100");
    let again = apply(&admin, "", &manifests).expect(200);
    assert_eq!(actions(&again), ["unchanged"; 7]);
    assert_eq!(again.json["revision"], made.json["revision"], "nothing changed, so nothing is stored");
    manifests[3]["spec"]["config"]["requests_per_hour"] = json!(50);
    let third = apply(&admin, "", &manifests).expect(200);
    assert_eq!(actions(&third).iter().filter(|action| *action == "updated").count(), 1);
    let change =
        third.json["changes"].as_array().expect("changes").iter().find(|c| c["action"] == "updated").expect("one");
    assert_eq!(change["name"], "limit");
    assert!(change["before"].to_string().contains("100") && change["after"].to_string().contains("50"), "{change}");
    assert_eq!(process.get("/shop/x").key(&key).send().expect(200).header("x-ratelimit-limit"), "50");
}

/// The secret that a change shows once, as a text or under its field's name.
fn secret(change: &Value) -> String {
    let secret = &change["secret"];
    let text = [secret, &secret["api_key"], &secret["value"]].into_iter().find_map(Value::as_str);
    text.unwrap_or_else(|| panic!("no secret: {change}")).to_owned()
}

#[test]
fn a_dry_run_tells_all_and_does_nothing() {
    let Gate { process, admin, upstream } = Gate::start();
    let dry = apply(&admin, "?dry_run=true", &shop(&upstream.url())).expect(200);
    assert_eq!(actions(&dry), ["created"; 7]);
    assert!(!dry.text().contains("\"secret\""), "a key that is not stored must not be shown");
    for plural in ["apis", "consumers", "credentials", "upstreams"] {
        assert_eq!(admin.get(&format!("/v1/tenants/default/{plural}")).expect(200).json["total"], 0, "{plural}");
    }
    process.get("/shop/x").send().is(404);
}

#[test]
fn one_fault_stops_the_whole_and_all_faults_are_listed() {
    let process = portunus().start();
    let admin = process.api();
    let manifests = [
        manifest("Consumer", "good", json!({})),
        manifest(
            "Api",
            "bad",
            json!({"base_path": "no-slash", "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}, "colour": "red"}),
        ),
        manifest("Subscription", "lost", json!({"consumer_id": "nobody", "api_id": "nothing"})),
        manifest("Gizmo", "what", json!({})),
        json!({"apiVersion": "portunus.dev/v9", "kind": "Consumer", "metadata": {"tenant": "default", "name": "future"}, "spec": {}}),
        manifest("Policy", "p", json!({"policy_type": "rate_limit", "config": {"burst": 0}})),
    ];
    let refused = apply(&admin, "", &manifests).refused(422);
    let paths = refused.fault_paths();
    for wanted in [
        "/manifests/1/spec/colour",
        "/manifests/2/spec/consumer_id",
        "/manifests/2/spec/api_id",
        "/manifests/3/kind",
        "/manifests/4/apiVersion",
        "/manifests/5/spec/config/burst",
    ] {
        assert!(paths.contains(&wanted.to_owned()), "{wanted} is missing in {paths:?}");
    }
    assert_eq!(admin.get("/v1/tenants/default/consumers").expect(200).json["total"], 0, "nothing is half stored");
}

#[test]
fn the_same_thing_twice_in_one_go_is_refused() {
    let process = portunus().start();
    let admin = process.api();
    let twice = [manifest("Consumer", "a", json!({})), manifest("Consumer", "a", json!({"company": "x"}))];
    let refused = apply(&admin, "", &twice).refused(422);
    assert!(refused.fault_paths().iter().any(|path| path.starts_with("/manifests/1")), "{}", refused.text());
    let paths = [
        manifest("Api", "a", json!({"base_path": "/same", "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}})),
        manifest("Api", "b", json!({"base_path": "/same", "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}})),
    ];
    let refused = apply(&admin, "", &paths);
    assert!(matches!(refused.status, 409 | 422), "{}", refused.text());
    assert_eq!(admin.get("/v1/tenants/default/apis").expect(200).json["total"], 0);
}

#[test]
fn prune_removes_what_is_not_mentioned_of_the_kinds_that_are() {
    let Gate { process, admin, upstream } = Gate::start();
    let manifests = shop(&upstream.url());
    let more = [
        manifest("Consumer", "second", json!({})),
        manifest("Subscription", "second-sub", json!({"consumer_id": "second", "api_id": "shop"})),
    ];
    apply(&admin, "", &[&manifests[..], &more[..]].concat()).is(200);
    admin.create("plans", &json!({"name": "not-a-matter-of-these-manifests"}));
    let kept = apply(&admin, "", &manifests).expect(200);
    assert_eq!(actions(&kept), ["unchanged"; 7]);
    let dry = apply(&admin, "?prune=true&dry_run=true", &manifests).expect(200);
    admin.get("/v1/tenants/default/subscriptions/second-sub").is(200);
    let pruned = apply(&admin, "?prune=true", &manifests).expect(200);
    for answer in [dry, pruned] {
        let deleted = actions(&answer).iter().filter(|action| *action == "deleted").count();
        assert_eq!(deleted, 2, "{}", answer.text());
    }
    admin.get("/v1/tenants/default/subscriptions/second-sub").is(404);
    admin.get("/v1/tenants/default/consumers/second").is(404);
    admin.get("/v1/tenants/default/plans/not-a-matter-of-these-manifests").is(200);
    process.get("/shop/x").send().is(401);
}

#[test]
fn an_export_can_be_applied_elsewhere() {
    let Gate { process, admin, upstream } = Gate::start();
    apply(&admin, "", &shop(&upstream.url())).is(200);
    let export = admin.get("/v1/export?tenant=default").expect(200).json;
    let list = export["manifests"].as_array().expect("manifests").clone();
    let api = list.iter().find(|one| one["kind"] == "Api" && one["metadata"]["name"] == "shop").expect("the API");
    assert_eq!(api["spec"]["upstream_id"], "pool", "references are written as names");
    assert_eq!(api["apiVersion"], "portunus.dev/v1");
    let second = portunus().start();
    let there = second.api();
    let unowned: Vec<Value> = list
        .iter()
        .filter(|one| !["Role", "User", "ServiceAccount"].contains(&one["kind"].as_str().unwrap_or_default()))
        .cloned()
        .collect();
    apply(&there, "", &unowned).is(200);
    let mut back =
        there.get("/v1/export?tenant=default&kind=Api,Policy,Binding,Upstream,Consumer,Subscription").expect(200).json;
    let here =
        admin.get("/v1/export?tenant=default&kind=Api,Policy,Binding,Upstream,Consumer,Subscription").expect(200).json;
    back["manifests"].as_array_mut().expect("manifests").sort_by_key(Value::to_string);
    let mut here_sorted = here["manifests"].as_array().expect("manifests").clone();
    here_sorted.sort_by_key(Value::to_string);
    assert_eq!(back["manifests"], json!(here_sorted));
    let again = apply(&admin, "?dry_run=true", &unowned).expect(200);
    assert!(actions(&again).iter().all(|action| action == "unchanged"), "{}", again.text());
    drop(process);
}
