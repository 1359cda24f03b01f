//! Upstreams that speak HTTP/2 badly, or not at all.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use portunus_testkit::upstream::{Canned, Deed, Frames, refused_url};
use portunus_testkit::{Api, Call, Portunus, Upstream};
use serde_json::json;

use super::{one_worker, orders};

/// A gateway before an upstream that does these deeds.
fn before(deeds: &[Deed]) -> (Portunus, Api, Frames) {
    let process = one_worker();
    let (admin, upstream) = (process.api(), Frames::start(deeds));
    orders(&admin, &upstream.url(), &json!({"response_timeout_ms": 500, "read_timeout_ms": 500}));
    (process, admin, upstream)
}

fn post(process: &Portunus) -> Call {
    process.call("POST", "/orders/x").body("a body")
}

#[test]
fn what_was_not_looked_at_is_sent_again_whatever_the_method() {
    for deeds in [&[Deed::Refuse, Deed::Refuse][..], &[Deed::GoAway, Deed::GoAway], &[Deed::Answer, Deed::GoAway]] {
        let (process, _, upstream) = before(deeds);
        for _ in 0..2 {
            post(&process).send().is(200);
        }
        assert_eq!(upstream.count(), 2 + deeds.iter().filter(|deed| !matches!(deed, Deed::Answer)).count());
    }
}

#[test]
fn it_is_not_sent_again_and_again() {
    let (process, _, upstream) = before(&[Deed::Refuse; 100]);
    let answer = post(&process).send().problem(502, "upstream_error");
    assert!(answer.text().contains("reset the stream"), "{}", answer.text());
    assert_eq!(upstream.count(), 3);
}

#[test]
fn what_may_have_been_looked_at_is_sent_again_only_if_that_does_no_harm() {
    let (process, _, upstream) = before(&[Deed::Answer, Deed::Close, Deed::Answer, Deed::Close]);
    process.get("/orders/x").send().is(200);
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.count(), 3, "a GET on a connection that was used before");
    post(&process).send().problem(502, "upstream_error");
    assert_eq!(upstream.count(), 4);
    process.get("/orders/x").send().is(200);
}

#[test]
fn an_answer_that_breaks_off_is_not_passed_off_as_whole() {
    for deed in [Deed::BreakOff, Deed::CloseMidway] {
        let (process, _, _upstream) = before(&[deed]);
        let answer = exchange(process.gw_address(), b"GET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n", SOON).text();
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.ends_with("0\r\n\r\n"), "{answer}");
        let entry = process.wait_log(SOON, |entry| entry["message"] == "request completed");
        assert!(entry["error"].as_str().is_some_and(|why| why.contains("broke off")), "{entry}");
        process.get("/orders/x").send().is(200);
    }
}

#[test]
fn a_connection_on_which_nothing_comes_is_left() {
    let (process, _, upstream) = before(&[Deed::Answer, Deed::Silence]);
    process.get("/orders/x").send().is(200);
    let answer = process.get("/orders/x").send().problem(504, "upstream_timeout");
    assert!(answer.text().contains("no answer within 500 ms"), "{}", answer.text());
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn who_speaks_no_http_2_is_told_apart() {
    let process = one_worker();
    let (admin, old) = (process.api(), Upstream::start());
    let rubbish = Canned::start("this is not HTTP/2 at all, not even a little");
    for (name, url) in [("old", old.url()), ("rubbish", rubbish.url()), ("refused", refused_url())] {
        let fields = json!({"targets": [{"url": url}], "http_version": "http2", "response_timeout_ms": 1000});
        admin.create_api_with(name, "", &json!({"access": "public", "upstream": fields}));
        let answer = process.get(&format!("/{name}/x")).send();
        assert_eq!(answer.status, 502, "{name}: {}", answer.text());
        let detail = answer.json["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(url.trim_start_matches("http://")), "{detail}");
    }
    assert!(old.seen().is_empty());
}
