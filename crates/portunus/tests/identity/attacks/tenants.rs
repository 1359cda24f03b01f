//! Every route of the OpenAPI document with what belongs to somebody else.

use std::collections::HashMap;

use portunus_testkit::{Answer, Api};
use serde_json::{Value, json};

use crate::portunus;

/// What no account of another tenant may see.
const MARKER: &str = "only-for-beta";

/// Makes one resource of each kind that needs little in `beta`; gives their ids by plural.
fn beta(admin: &Api) -> HashMap<String, String> {
    admin.post("/v1/tenants", &json!({"name": "beta", "description": MARKER})).is(201);
    let url = "http://127.0.0.1:9";
    let bodies = [
        ("upstreams", json!({"name": MARKER, "targets": [{"url": url}]})),
        ("apis", json!({"name": MARKER, "base_path": "/beta", "upstream": {"targets": [{"url": url}]}})),
        ("policies", json!({"name": MARKER, "policy_type": "cors", "config": {"origins": ["https://a.example"]}})),
        ("bindings", json!({"name": MARKER, "policy_id": MARKER, "api_id": MARKER})),
        ("plans", json!({"name": MARKER})),
        ("consumers", json!({"name": MARKER})),
        ("subscriptions", json!({"name": MARKER, "consumer_id": MARKER, "api_id": MARKER, "plan_id": MARKER})),
        ("credentials", json!({"name": MARKER, "consumer_id": MARKER})),
        ("roles", json!({"name": MARKER, "permissions": ["api:read"]})),
        ("users", json!({"name": MARKER, "email": "beta@example.com"})),
        ("service-accounts", json!({"name": MARKER})),
    ];
    let make = |(plural, body): (&str, Value)| {
        let made = admin.post(&format!("/v1/tenants/beta/{plural}"), &body).expect(201).json;
        (plural.to_owned(), made["id"].as_str().expect("an id").to_owned())
    };
    bodies.into_iter().map(make).collect()
}

/// The path with its parameters filled in: the tenant, and ids of what stands before them.
fn filled(path: &str, tenant: &str, ids: &HashMap<String, String>) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let fill = |(index, part): (usize, &&str)| match *part {
        "{tenant}" => tenant.to_owned(),
        "{realm}" => "portunus".to_owned(),
        part if part.starts_with('{') => {
            let kind = index.checked_sub(1).map(|before| parts[before]).unwrap_or_default();
            ids.get(kind)
                .or_else(|| ids.get("policies").filter(|_| path.contains("polic")))
                .unwrap_or(&ids["apis"])
                .clone()
        }
        part => part.to_owned(),
    };
    parts.iter().enumerate().map(fill).collect::<Vec<_>>().join("/")
}

/// Bodies that the document itself gives as examples.
fn examples(operation: &Value) -> Vec<Value> {
    let content = &operation["requestBody"]["content"];
    let media = content.as_object().into_iter().flatten().map(|(_, media)| media);
    let given = media.flat_map(|media| media["examples"].as_object().into_iter().flatten().take(1));
    given.map(|(_, example)| example["value"].clone()).chain([json!({})]).collect()
}

fn call(caller: &Api, method: &str, path: &str, body: &Value) -> Answer {
    let call = caller.call(method, path);
    if matches!(method, "GET" | "DELETE") { call.send() } else { call.json(body).send() }
}

#[test]
fn no_route_gives_away_what_belongs_to_another_tenant() {
    let process = portunus().start();
    let admin = process.api();
    let ids = beta(&admin);
    let tenant = admin.get("/v1/tenants/beta").expect(200).json["id"].as_str().expect("an id").to_owned();
    // By its id: some of what is tried gives its own tenant another name.
    let alpha = admin.post("/v1/tenants", &json!({"name": "alpha"})).expect(201).json;
    let alpha = alpha["id"].as_str().expect("an id").to_owned();
    let before = admin.get("/v1/export?tenant=beta").expect(200).json;
    let document = admin.get("/v1/openapi.json").expect(200).json;
    let paths = document["paths"].as_object().expect("paths");
    let operations: Vec<(&str, &str, &Value)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let operations = item.as_object().expect("operations");
            operations.iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        // What needs no account shows nothing of tenants; what is about the caller has tests of its own.
        .filter(|(_, _, operation)| operation["security"] != json!([]) && operation["x-permission"] != "account")
        .collect();
    // A fresh account for each, so that one that ends its own token ends no other. All of them come first: what is tried
    // may make rules for what comes after.
    let callers: Vec<Api> =
        (0..operations.len()).map(|n| admin.account(&alpha, &format!("robot-{n}"), &["*:*"])).collect();
    let (mut asked, mut refused) = (0, 0);
    for ((path, method, operation), caller) in operations.into_iter().zip(&callers) {
        let method = method.to_ascii_uppercase();
        let places = if path.contains("{tenant}") { vec![alpha.as_str(), "beta", &tenant] } else { vec!["beta"] };
        for place in places {
            let filled = filled(path, place, &ids);
            for body in examples(operation) {
                let answer = call(caller, &method, &filled, &body);
                asked += 1;
                let text = answer.text();
                assert!(answer.status < 500, "{method} {filled}: {text}");
                assert!(!text.contains(MARKER), "{method} {filled}: {text}");
                let is_own = place == alpha || !path.contains('{');
                let is_about_others = path.contains('{') && place != alpha;
                assert!(
                    is_own || !is_about_others || answer.status >= 400,
                    "{method} {filled}: {} {text}",
                    answer.status
                );
                refused += u32::from(matches!(answer.status, 403 | 404));
            }
        }
    }
    assert!(refused > 150, "{refused} of {asked}");
    assert_eq!(admin.get("/v1/export?tenant=beta").expect(200).json, before);
}
