//! How many requests a target works on, and who waits.

use std::time::{Duration, Instant};

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::{Portunus, Upstream, eventually};
use serde_json::json;

use super::{gauge, orders};
use crate::{Gate, portunus};

/// Begins a request and does not wait for anything.
fn begin(process: &Portunus, path: &str) -> Connection {
    let mut connection = Connection::open(process.gw_address());
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    connection
}

/// Begins a request whose answer has begun and does not end.
fn hold(process: &Portunus) -> Connection {
    let mut connection = begin(process, "/orders/held");
    assert!(connection.read_text(SOON, "first"), "{}", connection.text());
    connection
}

#[test]
fn past_the_limit_a_call_is_refused_at_once_on_every_worker() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "4"));
    orders(&admin, &[&upstream], &json!({"max_connections": 2, "max_pending": 0}));
    let held = [hold(&process), hold(&process)];
    let start = Instant::now();
    for _ in 0..16 {
        let mut connection = begin(&process, "/orders/x");
        assert!(connection.read_text(SOON, "upstream_overloaded"), "{}", connection.text());
        assert_eq!(connection.status(), Some(503));
        assert!(connection.text().contains("retry-after: 1\r\n"), "{}", connection.text());
    }
    assert!(start.elapsed() < Duration::from_secs(4), "at once: {:?}", start.elapsed());
    assert_eq!(upstream.count(), 2, "the target saw none of them");
    upstream.release();
    for mut connection in held {
        assert!(connection.read_text(SOON, "last"));
    }
    process.get("/orders/x").send().is(200);
}

#[test]
fn a_full_target_is_passed_over() {
    let Gate { process, admin, upstream } = Gate::start();
    let other = Upstream::start();
    orders(&admin, &[&upstream, &other], &json!({"max_connections": 1, "max_pending": 0}));
    let _held = [hold(&process), hold(&process)];
    assert_eq!([upstream.count(), other.count()], [1, 1]);
    process.get("/orders/x").send().problem(503, "upstream_overloaded");
    other.release();
    eventually(SOON, "room", || (gauge(&process, "portunus_upstream_target_requests", &other)? < 1.0).then_some(()));
    for _ in 0..5 {
        assert_eq!(process.get("/orders/x").send().expect(200).json["port"], other.port());
    }
}

#[test]
fn those_who_wait_are_served_in_order() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "2"));
    orders(&admin, &[&upstream], &json!({"max_connections": 1, "max_pending": 6, "connect_timeout_ms": 20_000}));
    let mut held = hold(&process);
    let mut waiting: Vec<Connection> = (1..=6)
        .map(|place| {
            let connection = begin(&process, &format!("/orders/place/{place}"));
            eventually(SOON, "its place", || {
                (gauge(&process, "portunus_upstream_target_waiting", &upstream)? as u32 == place).then_some(())
            });
            connection
        })
        .collect();
    process.get("/orders/too-many").send().problem(503, "upstream_overloaded");
    assert_eq!(gauge(&process, "portunus_upstream_target_requests", &upstream), Some(1.0));
    // One of them gives up; it must not keep its place, nor take a turn.
    drop(waiting.remove(2));
    eventually(SOON, "its leaving", || {
        (gauge(&process, "portunus_upstream_target_waiting", &upstream)? < 6.0).then_some(())
    });
    upstream.release();
    assert!(held.read_text(SOON, "last"));
    for mut connection in waiting {
        assert!(connection.read_text(SOON, "\"port\""), "{}", connection.text());
    }
    let order: Vec<String> = upstream.seen().into_iter().skip(1).map(|seen| seen.target).collect();
    assert_eq!(order, ["/place/1", "/place/2", "/place/4", "/place/5", "/place/6"]);
}

#[test]
fn waiting_ends_with_the_connect_timeout() {
    let Gate { process, admin, upstream } = Gate::start();
    orders(&admin, &[&upstream], &json!({"max_connections": 1, "connect_timeout_ms": 300}));
    let _held = hold(&process);
    let start = Instant::now();
    let answer = process.get("/orders/x").send().problem(503, "upstream_overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert!((300..5_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[test]
fn a_client_that_leaves_makes_room() {
    let Gate { process, admin, upstream } = Gate::start();
    orders(&admin, &[&upstream], &json!({"max_connections": 1, "max_pending": 0}));
    let held = hold(&process);
    process.get("/orders/x").send().is(503);
    drop(held);
    eventually(SOON, "room", || (process.get("/orders/x").send().status == 200).then_some(()));
}

#[test]
fn a_limit_holds_for_all_apis_of_an_upstream_and_can_be_raised() {
    let Gate { process, admin, upstream } = Gate::start();
    let pool = json!({"name": "pool", "targets": [{"url": upstream.url()}], "max_connections": 1, "max_pending": 0});
    admin.create("upstreams", &pool);
    for name in ["orders", "more"] {
        let body = json!({"name": name, "base_path": format!("/{name}"), "access": "public", "upstream_id": "pool"});
        admin.create("apis", &body);
    }
    let _held = hold(&process);
    process.get("/more/x").send().problem(503, "upstream_overloaded");
    admin.patch("/v1/tenants/default/upstreams/pool", &json!({"max_connections": 2})).is(200);
    process.get("/more/x").send().is(200);
    let _another = hold(&process);
    process.get("/more/x").send().problem(503, "upstream_overloaded");
}
