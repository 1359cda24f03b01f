//! Targets that fail requests are out for a while.

use portunus_testkit::poll::SOON;
use portunus_testkit::upstream::refused_url;
use portunus_testkit::{Upstream, eventually};
use serde_json::json;

use super::{gauge, orders, told};
use crate::Gate;

#[test]
fn a_target_that_fails_is_out_and_comes_back() {
    let Gate { process, admin, upstream } = Gate::start();
    let bad = Upstream::start();
    let ejection = json!({"consecutive_failures": 3, "base_time_ms": 2000, "statuses": ["500-599"]});
    orders(&admin, &[&upstream, &bad], &json!({"ejection": ejection}));
    bad.answer_with(500);
    let statuses: Vec<u16> = (0..30).map(|_| process.get("/orders/x").send().status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 3, "{statuses:?}");
    assert_eq!(gauge(&process, "portunus_upstream_target_up", &bad), Some(0.0));
    assert_eq!(told(&process, "target_ejected", &bad), 1);
    bad.answer_with(200);
    let before = bad.count();
    eventually(SOON, "its return", || {
        process.get("/orders/x").send().is(200);
        (bad.count() > before).then_some(())
    });
    assert_eq!(gauge(&process, "portunus_upstream_target_up", &bad), Some(1.0));
}

#[test]
fn answers_in_between_and_other_statuses_keep_a_target_in() {
    let Gate { process, admin, upstream } = Gate::start();
    let other = Upstream::start();
    orders(&admin, &[&upstream, &other], &json!({"ejection": {"consecutive_failures": 2}}));
    for _ in 0..4 {
        for status in [503, 503, 200, 200] {
            process.get(&format!("/orders/status/{status}")).send().is(status);
        }
        for _ in 0..4 {
            process.get("/orders/status/500").send().is(500);
        }
    }
    assert_eq!([told(&process, "target_ejected", &upstream), told(&process, "target_ejected", &other)], [0, 0]);
}

#[test]
fn connections_that_are_not_made_count_and_cost_no_more_time() {
    let Gate { process, admin, upstream } = Gate::start();
    let dead = refused_url();
    let fields = json!({
        "targets": [{"url": upstream.url()}, {"url": dead}],
        "ejection": {"consecutive_failures": 2},
    });
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": fields}));
    for _ in 0..10 {
        process.get("/orders/x").send().is(200);
    }
    let out = process.wait_log(SOON, |entry| entry["message"] == "target_ejected");
    assert_eq!(out["target"], dead);
}

#[test]
fn no_more_than_the_share_is_out_and_when_all_are_all_are_called() {
    for (percent, out) in [(50, 1), (100, 2)] {
        let Gate { process, admin, upstream } = Gate::start();
        let other = Upstream::start();
        let ejection = json!({"consecutive_failures": 1, "max_percent": percent});
        orders(&admin, &[&upstream, &other], &json!({"ejection": ejection}));
        upstream.answer_with(502);
        other.answer_with(502);
        for _ in 0..20 {
            let answer = process.get("/orders/x").send().expect(502);
            assert!(answer.json["port"].is_number(), "a target's own answer: {}", answer.text());
        }
        let told = told(&process, "target_ejected", &upstream) + told(&process, "target_ejected", &other);
        assert_eq!(told, out, "{percent} %");
    }
}
