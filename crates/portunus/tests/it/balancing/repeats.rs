//! What is sent to another target when one dies under a request.

use portunus_testkit::upstream::Canned;
use serde_json::{Value, json};

use crate::Gate;

/// A server that takes a request and closes without an answer.
fn dying() -> Canned {
    Canned::start("")
}

fn over(targets: &[&str]) -> Value {
    let targets: Vec<Value> = targets.iter().map(|url| json!({"url": url})).collect();
    json!({"access": "public", "upstream": {"targets": targets}})
}

#[test]
fn a_get_that_a_target_dies_under_is_answered_by_another() {
    let Gate { process, admin, upstream } = Gate::start();
    let bad = dying();
    admin.create_api_with("orders", "", &over(&[&bad.url(), &upstream.url()]));
    for _ in 0..10 {
        process.get("/orders/x").send().is(200);
    }
    assert!(bad.count() > 0, "the target was never asked");
}

#[test]
fn a_post_is_never_sent_twice() {
    let Gate { process, admin, upstream } = Gate::start();
    let bad = dying();
    admin.create_api_with("orders", "", &over(&[&bad.url(), &upstream.url()]));
    for _ in 0..10 {
        let status = process.call("POST", "/orders/x").send().status;
        assert!(matches!(status, 200 | 502), "{status}");
    }
    assert!(bad.count() > 0, "the target was never asked");
    assert_eq!(bad.count() + upstream.count(), 10);
}

#[test]
fn a_request_that_kills_is_sent_to_two_targets_at_most() {
    let Gate { process, admin, .. } = Gate::start();
    let bad = [dying(), dying(), dying()];
    let urls = bad.each_ref().map(Canned::url);
    admin.create_api_with("orders", "", &over(&urls.each_ref().map(String::as_str)));
    process.get("/orders/x").send().problem(502, "upstream_error");
    assert_eq!(bad.iter().map(Canned::count).sum::<u64>(), 2);
    admin.create_api_with("alone", "", &over(&[&urls[0]]));
    process.get("/alone/x").send().problem(502, "upstream_error");
}
