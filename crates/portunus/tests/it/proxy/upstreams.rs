//! Several targets, slow ones, broken ones and ones that come back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use portunus_testkit::upstream::{Canned, Silent, free_port, refused_url};
use portunus_testkit::{Upstream, eventually};
use serde_json::json;

use crate::{Gate, portunus};

#[test]
fn targets_take_turns() {
    let Gate { process, admin, upstream } = Gate::start();
    let others = [Upstream::start(), Upstream::start()];
    let targets = json!([{"url": upstream.url()}, {"url": others[0].url()}, {"url": others[1].url()}]);
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": {"targets": targets}}));
    for _ in 0..30 {
        process.get("/orders/x").send().is(200);
    }
    for each in [&upstream, &others[0], &others[1]] {
        assert!((8..=12).contains(&each.count()), "{} of 30", each.count());
    }
}

#[test]
fn weights_share_out_the_requests() {
    let Gate { process, admin, upstream } = Gate::start();
    let (light, none) = (Upstream::start(), Upstream::start());
    let targets = json!([
        {"url": upstream.url(), "weight": 3}, {"url": light.url(), "weight": 1}, {"url": none.url(), "weight": 0},
    ]);
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": {"targets": targets}}));
    let mut order = HashMap::<_, u32>::new();
    for _ in 0..40 {
        let port = process.get("/orders/x").send().expect(200).json["port"].as_u64();
        *order.entry(port).or_default() += 1;
    }
    assert!((26..=34).contains(&upstream.count()), "{order:?}");
    assert!((6..=14).contains(&light.count()), "{order:?}");
    assert_eq!(none.count(), 0);
}

#[test]
fn a_slow_answer_is_504_and_names_the_upstream() {
    let Gate { process, admin, upstream } = Gate::start();
    let slow = json!({"targets": [{"url": upstream.url()}], "response_timeout_ms": 150});
    admin.create_api_with("slow", "", &json!({"access": "public", "upstream": slow}));
    let start = Instant::now();
    let answer = process.get("/slow/delay/20000").send().problem(504, "upstream_timeout");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let detail = answer.json["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&upstream.address()), "{detail}");
    process.get("/slow/delay/1").send().is(200);
}

#[test]
fn a_connection_that_is_never_made_is_504() {
    let Gate { process, admin, .. } = Gate::start();
    let silent = Silent::start();
    let slow = json!({"targets": [{"url": silent.url()}], "connect_timeout_ms": 150});
    admin.create_api_with("silent", "", &json!({"access": "public", "upstream": slow}));
    let start = Instant::now();
    let answer = process.get("/silent/x").send().problem(504, "upstream_timeout");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let detail = answer.json["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(silent.url().trim_start_matches("http://")), "{detail}");
}

#[test]
fn an_answer_that_is_none_is_502() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("closes", &upstream.url());
    let answer = process.get("/closes/close").send().problem(502, "upstream_error");
    assert!(answer.json["detail"].as_str().unwrap_or_default().contains(&upstream.address()), "{}", answer.text());
    let rubbish = [
        "this is not HTTP\r\n\r\n",
        "HTTP/1.1 abc Bad\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: minus\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "",
    ];
    for (i, bytes) in rubbish.into_iter().enumerate() {
        let canned = Canned::start(bytes);
        admin.create_public_api(&format!("rubbish-{i}"), &canned.url());
        let answer = process.get(&format!("/rubbish-{i}/x")).send();
        assert_eq!(
            (answer.status, answer.json["code"].as_str()),
            (502, Some("upstream_error")),
            "{bytes:?}: {}",
            answer.text()
        );
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_passed_off_as_whole() {
    let Gate { process, admin, .. } = Gate::start();
    let short = Canned::start("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
    let chunk = Canned::start("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n");
    admin.create_public_api("short", &short.url());
    admin.create_public_api("chunk", &chunk.url());
    for path in ["/short/x", "/chunk/x"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = exchange(process.gw_address(), request.as_bytes(), SOON);
        let text = answer.text();
        assert!(answer.status() == Some(502) || (text.contains("only this") && !text.ends_with("0\r\n\r\n")), "{text}");
    }
}

#[test]
fn an_upstream_that_closes_to_end_its_answer_is_understood() {
    let Gate { process, admin, .. } = Gate::start();
    let old = Canned::start("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end");
    admin.create_public_api("old", &old.url());
    let answer = process.get("/old/x").send().expect(200);
    assert_eq!(answer.text(), "until the end");
}

#[test]
fn interim_answers_are_skipped() {
    let Gate { process, admin, .. } = Gate::start();
    let canned = Canned::start(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nfinal",
    );
    admin.create_public_api("early", &canned.url());
    assert_eq!(process.get("/early/x").send().expect(200).text(), "final");
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let Gate { process, admin, .. } = Gate::start();
    let port = free_port();
    admin.create_public_api("orders", &format!("http://127.0.0.1:{port}"));
    process.get("/orders/x").send().is(502);
    let upstream = Upstream::start_at(port);
    eventually(SOON, "the upstream's answer", || (process.get("/orders/x").send().status == 200).then_some(()));
    drop(upstream);
    process.get("/orders/x").send().is(502);
}

#[test]
fn a_connection_that_the_upstream_closed_while_idle_costs_no_request() {
    let Gate { process, admin, .. } = Gate::with(portunus().env("PORTUNUS_WORKERS", "1"));
    let first = Upstream::start();
    let port = first.port();
    admin.create_public_api("orders", &first.url());
    process.get("/orders/x").send().is(200);
    drop(first);
    let second = Upstream::start_at(port);
    process.get("/orders/x").send().is(200);
    assert_eq!(second.count(), 1);
}

#[test]
fn connections_to_the_upstream_are_used_again() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "1"));
    admin.create_public_api("orders", &upstream.url());
    for _ in 0..20 {
        process.get("/orders/x").send().is(200);
    }
    assert!(upstream.connections() <= 2, "{} connections for 20 requests in a row", upstream.connections());
}

#[test]
fn a_targets_own_path_is_put_before_the_requests() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &format!("{}/v3/", upstream.url()));
    process.get("/orders/items/1?a=b").send().is(200);
    assert_eq!(upstream.last().target, "/v3/items/1?a=b");
}

#[test]
fn names_are_resolved() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &format!("http://localhost:{}", upstream.port()));
    process.get("/orders/x").send().is(200);
}

#[test]
fn a_shared_upstream_changes_for_all_its_apis_at_once() {
    let Gate { process, admin, upstream } = Gate::start();
    let next = Upstream::start();
    admin.create("upstreams", &json!({"name": "pool", "targets": [{"url": upstream.url()}]}));
    for name in ["one", "two"] {
        let body = json!({"name": name, "base_path": format!("/{name}"), "access": "public", "upstream_id": "pool"});
        admin.create("apis", &body);
        assert_eq!(process.get(&format!("/{name}/x")).send().expect(200).json["port"], upstream.port());
    }
    let change = json!({"targets": [{"url": next.url()}]});
    admin.patch("/v1/tenants/default/upstreams/pool", &change).is(200);
    for name in ["one", "two"] {
        assert_eq!(process.get(&format!("/{name}/x")).send().expect(200).json["port"], next.port());
    }
}

#[test]
fn one_broken_api_does_not_disturb_another() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("good", &upstream.url());
    admin.create_public_api("bad", &refused_url());
    for _ in 0..10 {
        process.get("/bad/x").send().is(502);
        process.get("/good/x").send().is(200);
    }
}

#[test]
fn a_dead_targets_share_goes_to_the_others() {
    let Gate { process, admin, upstream } = Gate::start();
    let targets = json!([{"url": refused_url()}, {"url": upstream.url()}, {"url": refused_url()}]);
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": {"targets": targets}}));
    for i in 0..12 {
        let answer = process.call("POST", "/orders/x").body(format!("body {i}")).send().expect(200);
        assert_eq!(answer.json["body"], format!("body {i}"));
    }
    assert_eq!(upstream.count(), 12);
}

#[test]
fn every_worker_sees_every_change() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "4"));
    let next = Upstream::start();
    admin.create("upstreams", &json!({"name": "pool", "targets": [{"url": upstream.url()}]}));
    admin.create("apis", &json!({"name": "a", "base_path": "/a", "access": "public", "upstream_id": "pool"}));
    let request = b"GET /a/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let asked = |port: u16| {
        for _ in 0..24 {
            let answer = exchange(process.gw_address(), request, SOON).text();
            assert!(answer.contains(&format!("\"port\":{port}")), "{answer}");
        }
    };
    asked(upstream.port());
    for (url, port) in [(next.url(), next.port()), (upstream.url(), upstream.port())] {
        admin.patch("/v1/tenants/default/upstreams/pool", &json!({"targets": [{"url": url}]})).is(200);
        asked(port);
    }
}
