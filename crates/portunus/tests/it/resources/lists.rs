//! Lists: pages, cursors, search and filters.

use std::collections::BTreeSet;

use portunus_testkit::Api;
use serde_json::{Value, json};

use crate::portunus;

/// Makes consumers `c000`, `c001` ...
fn consumers(admin: &Api, count: usize) {
    let manifests: Vec<Value> = (0..count)
        .map(|i| {
            json!({
                "apiVersion": "portunus.dev/v1", "kind": "Consumer",
                "metadata": {"tenant": "default", "name": format!("c{i:03}")},
                "spec": {
                    "display_name": format!("Number {i}"),
                    "company": if i % 2 == 0 { "Even" } else { "Odd" },
                    "status": if i % 10 == 0 { "suspended" } else { "active" },
                },
            })
        })
        .collect();
    admin.post("/v1/apply", &json!({"manifests": manifests})).is(200);
}

fn list(admin: &Api, query: &str) -> Value {
    admin.get(&format!("/v1/tenants/default/consumers{query}")).expect(200).json
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no items: {list}"));
    items.iter().filter_map(|item| item["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn pages_hold_what_they_are_asked_to_and_no_more_than_100() {
    let process = portunus().start();
    let admin = process.api();
    consumers(&admin, 150);
    let first = list(&admin, "");
    assert_eq!([&first["total"], &first["page"], &first["page_size"]], [150, 1, 20]);
    assert_eq!(names(&first).len(), 20);
    let last = list(&admin, "?page=2&page_size=100");
    assert_eq!([&last["total"], &last["page"], &last["page_size"]], [150, 2, 100]);
    assert_eq!(names(&last).len(), 50);
    assert_eq!(names(&list(&admin, "?page=99")).len(), 0);
    let over = admin.get("/v1/tenants/default/consumers?page_size=101").refused(400);
    assert!(over.text().contains("100"), "{}", over.text());
    for query in ["?page=0", "?page=-1", "?page=x", "?page_size=0", "?cursor=nonsense"] {
        admin.get(&format!("/v1/tenants/default/consumers{query}")).refused(400);
    }
}

#[test]
fn pages_and_cursors_show_everything_exactly_once() {
    let process = portunus().start();
    let admin = process.api();
    consumers(&admin, 130);
    let mut seen = Vec::new();
    for page in 1..=7 {
        seen.extend(names(&list(&admin, &format!("?page={page}"))));
    }
    assert_eq!(seen.len(), 130);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 130);
    let mut walked = Vec::new();
    let mut page = list(&admin, "?page_size=50");
    loop {
        walked.extend(names(&page));
        assert!(walked.len() <= 130, "the walk does not end");
        let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) else { break };
        page = list(&admin, &format!("?page_size=50&cursor={cursor}"));
    }
    assert_eq!(walked.len(), 130);
    assert_eq!(walked.iter().collect::<BTreeSet<_>>().len(), 130);
}

#[test]
fn a_walk_by_cursor_is_not_disturbed_by_what_is_deleted_behind_it() {
    let process = portunus().start();
    let admin = process.api();
    consumers(&admin, 40);
    let first = list(&admin, "?page_size=10");
    for name in names(&first) {
        admin.delete(&format!("/v1/tenants/default/consumers/{name}"));
    }
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let rest = list(&admin, &format!("?page_size=100&cursor={cursor}"));
    assert_eq!(names(&rest).len(), 30);
}

#[test]
fn search_and_filters_find_what_they_should() {
    let process = portunus().start();
    let admin = process.api();
    consumers(&admin, 60);
    assert_eq!(names(&list(&admin, "?q=c042")), ["c042"]);
    assert_eq!(names(&list(&admin, "?q=C04")).len(), 10, "search does not look at case");
    assert_eq!(list(&admin, "?q=Number%2055")["total"], 1, "search looks at the texts of a resource");
    assert_eq!(list(&admin, "?q=no-such-thing")["total"], 0);
    assert_eq!(list(&admin, "?q=%25")["total"], 0, "a search is no pattern");
    assert_eq!(list(&admin, "?status=suspended")["total"], 6);
    assert_eq!(list(&admin, "?company=Odd")["total"], 30);
    assert_eq!(list(&admin, "?company=Even&status=suspended")["total"], 6);
    assert_eq!(list(&admin, "?name=c007")["total"], 1);
    assert_eq!(list(&admin, "?company=Odd&q=c00&page_size=2")["total"], 5);
    let unknown = admin.get("/v1/tenants/default/consumers?colour=red").refused(400);
    assert!(unknown.text().contains("colour"), "{}", unknown.text());
}

#[test]
fn references_filter_by_id_and_by_name() {
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_api("orders", "http://127.0.0.1:9");
    admin.subscription("a", &api);
    admin.subscription("b", &api);
    let consumer = admin.get("/v1/tenants/default/consumers/a").expect(200).json;
    let id = consumer["id"].as_str().expect("an id");
    let total = |query: &str| {
        admin.get(&format!("/v1/tenants/default/subscriptions?{query}")).expect(200).json["total"].clone()
    };
    assert_eq!(total(&format!("consumer_id={id}")), 1);
    assert_eq!(total("consumer_id=a"), 1);
    assert_eq!(total("api_id=orders"), 2);
}

#[test]
fn the_list_of_tenants_begins_with_the_two_that_are_built_in() {
    let process = portunus().start();
    let admin = process.api();
    let tenants = admin.get("/v1/tenants").expect(200).json;
    let names = names(&tenants);
    assert!(names.contains(&"default".to_owned()) && names.contains(&"platform".to_owned()), "{names:?}");
}
