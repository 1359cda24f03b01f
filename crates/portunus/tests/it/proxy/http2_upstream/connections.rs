//! How many connections there are to an upstream that speaks HTTP/2, and for how long.

use std::time::{Duration, Instant};

use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::origin::{Kind, Origin};
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::upstream::Speaks;
use portunus_testkit::{Portunus, Upstream, eventually};
use serde_json::json;

use super::{one_worker, orders};

/// Sends so many requests at once and reads all answers; how many were 200.
fn at_once(process: &Portunus, path: &str, count: usize) -> usize {
    let client = Client::connect(process.gw_address());
    let pending: Vec<_> = (0..count).map(|_| client.begin(Ask::get(path))).collect();
    pending.into_iter().map(|one| one.wait().answer.status).filter(|status| *status == 200).count()
}

#[test]
fn requests_share_a_connection_as_far_as_its_streams_go() {
    let process = one_worker();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&process.api(), &upstream.url(), &json!({}));
    for _ in 0..20 {
        process.get("/orders/x").send().is(200);
    }
    assert_eq!(at_once(&process, "/orders/delay/50", 50), 50);
    assert_eq!(upstream.connections(), 1);
    assert!(upstream.most_at_work() > 20, "{}", upstream.most_at_work());
}

#[test]
fn there_are_more_connections_when_the_streams_run_out() {
    let process = one_worker();
    let upstream = Upstream::speaking(Speaks::Http2(10));
    orders(&process.api(), &upstream.url(), &json!({}));
    assert_eq!(at_once(&process, "/orders/delay/100", 200), 200);
    let connections = upstream.connections();
    assert!((8..=16).contains(&connections), "{connections}");
    assert!(upstream.most_at_work() > 50, "{}", upstream.most_at_work());
    assert_eq!(at_once(&process, "/orders/delay/1", 100), 100);
    assert!(upstream.connections() <= 16, "they are used again: {}", upstream.connections());
}

#[test]
fn who_finds_no_stream_waits_as_long_as_connecting_may_take() {
    let process = one_worker();
    let upstream = Upstream::speaking(Speaks::Http2(1));
    orders(&process.api(), &upstream.url(), &json!({"connect_timeout_ms": 300}));
    let held: Vec<_> = (0..16)
        .map(|_| {
            let mut client = Connection::open(process.gw_address());
            client.send(b"GET /orders/delay/20000 HTTP/1.1\r\nhost: x\r\n\r\n");
            client
        })
        .collect();
    eventually(SOON, "all connections", || (upstream.count() == 16).then_some(()));
    let start = Instant::now();
    process.get("/orders/x").send().problem(504, "upstream_timeout");
    assert!((300..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(upstream.connections(), 16);
    drop(held);
    eventually(SOON, "room", || (process.get("/orders/x").send().status == 200).then_some(()));
}

#[test]
fn a_server_that_leaves_costs_no_request() {
    let process = one_worker();
    let upstream = Upstream::speaking(Speaks::Http2(20));
    orders(&process.api(), &upstream.url(), &json!({}));
    let client = Client::connect(process.gw_address());
    for round in 0..10 {
        let pending: Vec<_> = (0..60)
            .map(|number| {
                let ask = match number % 2 {
                    0 => Ask::get("/orders/delay/5"),
                    _ => Ask::new("POST", "/orders/delay/5").body(format!("body {number}")),
                };
                client.begin(ask)
            })
            .collect();
        upstream.go_away();
        for one in pending {
            assert_eq!(one.wait().answer.status, 200, "round {round}");
        }
    }
    assert!(upstream.connections() > 3, "{}", upstream.connections());
}

#[test]
fn nginx_that_ends_its_connections_early_costs_no_request() {
    let process = one_worker();
    let origin = Origin::start(Kind::NginxHttp2);
    orders(&process.api(), &origin.url(), &json!({}));
    let client = Client::connect(process.gw_address());
    for round in 0..10 {
        let pending: Vec<_> = (0..100)
            .map(|number| match number % 2 {
                0 => client.begin(Ask::get("/orders/x")),
                _ => client.begin(Ask::new("POST", "/orders/x").body("a body")),
            })
            .collect();
        for one in pending {
            let answer = one.wait().answer;
            assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
        }
    }
    assert_eq!(origin.seen().len(), 1000, "each is looked at once");
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let process = one_worker();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&process.api(), &upstream.url(), &json!({"idle_timeout_ms": 200}));
    process.get("/orders/x").send().is(200);
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.connections(), 1);
    eventually(SOON, "its end", || (upstream.open_connections() == 0).then_some(()));
    process.get("/orders/x").send().is(200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_old_connection_is_used_for_nothing_new() {
    let process = one_worker();
    for (name, speaks, version) in [("new", Speaks::Http2(100), "http2"), ("old", Speaks::Http1, "http1")] {
        let upstream = Upstream::speaking(speaks);
        let fields = json!({"targets": [{"url": upstream.url()}], "http_version": version, "connection_age_ms": 1000});
        process.api().create_api_with(name, "", &json!({"access": "public", "upstream": fields}));
        let start = Instant::now();
        let ask = || process.get(&format!("/{name}/x")).send().is(200);
        ask();
        ask();
        assert!(upstream.connections() == 1 || start.elapsed() > Duration::from_secs(1));
        eventually(SOON, "another connection", || {
            ask();
            (upstream.connections() > 1).then_some(())
        });
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    }
}
