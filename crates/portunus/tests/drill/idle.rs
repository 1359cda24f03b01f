//! Clients that are there and say nothing: what they cost, and that nothing drops them.

use std::time::{Duration, Instant};

use portunus_testkit::crowd::Crowd;
use portunus_testkit::websocket::{EchoSockets, Sockets};
use portunus_testkit::{Portunus, Upstream, descriptors, eventually};
use serde_json::json;

use crate::{figure, portunus};

const CONNECTIONS: usize = 20_000;
const WEBSOCKETS: usize = 5_000;
/// Files and sockets that a process has open besides those for its clients, and some to spare.
const OTHERS: usize = 300;
/// The most memory that an idle connection may cost, in bytes. A WebSocket has two.
const MOST: usize = 20 * 1024;

/// As many as wanted, or as the machine's limit of open files allows when a process needs `each` for one.
fn affordable(wanted: usize, each: usize) -> usize {
    let most = descriptors::raise();
    let count = wanted.min(most.saturating_sub(OTHERS) / each);
    assert!(
        count * 4 >= wanted * 3,
        "{most} open files are too few for {wanted} clients; raise the limit (ulimit -Hn)"
    );
    count
}

/// A gateway that has answered at `path` before anything is measured, and so has what it needs anyway.
fn warm(process: &Portunus, path: &str) {
    let (mut crowd, _) = Crowd::gather(process.gw_address(), path, 100);
    for _ in 0..10 {
        let tally = crowd.ask(path);
        assert!(tally.is_all(200), "{tally:?}");
    }
}

/// Publishes a change of the API `other` and waits until it is live.
fn publish(process: &Portunus) -> Duration {
    let start = Instant::now();
    process.api().patch("/v1/tenants/default/apis/other", &json!({"base_path": "/moved"})).is(200);
    eventually(Duration::from_secs(10), "the change", || (process.get("/moved/x").send().status == 200).then_some(()));
    start.elapsed()
}

/// Prints and judges what `count` clients cost.
fn cost(name: &str, count: usize, before: u64, after: u64, most: usize) {
    let each = after.saturating_sub(before) * 1024 / count as u64;
    figure(&format!("{name}_memory_before"), before, "KiB");
    figure(&format!("{name}_memory_after"), after, "KiB");
    figure(&format!("{name}_memory_each"), each, "bytes");
    assert!(each <= most as u64, "{each} bytes each");
}

#[test]
fn idle_connections() {
    let count = affordable(CONNECTIONS, 1);
    let upstream = Upstream::start();
    upstream.forget();
    let process = portunus().env("PORTUNUS_IDLE_TIMEOUT_MS", "600000").start();
    process.api().create_public_api("orders", &upstream.url());
    process.api().create_public_api("other", &upstream.url());
    warm(&process, "/orders/x");
    let before = process.rss_kb();
    let start = Instant::now();
    let (mut crowd, tally) = Crowd::gather(process.gw_address(), "/orders/x", count);
    assert!(tally.is_all(200), "{tally:?}");
    figure("idle_connections", count, "connections");
    figure("idle_connections_opened_and_asked_in", format!("{:.1}", start.elapsed().as_secs_f64()), "s");
    cost("idle_connections", count, before, process.rss_kb(), MOST);
    publish(&process);
    let tally = crowd.ask("/orders/x");
    figure("idle_connections_dropped", count - tally.statuses.values().sum::<usize>(), "connections");
    assert!(tally.is_all(200), "{tally:?}");
}

#[test]
fn idle_websockets() {
    let count = affordable(WEBSOCKETS, 2);
    let (upstream, echo) = (EchoSockets::start(), Upstream::start());
    let process = portunus().start();
    process.api().create_public_api("chat", &upstream.url());
    process.api().create_public_api("other", &echo.url());
    let mut sockets = Sockets::open(process.gw_address(), "/chat/room", 100);
    assert_eq!(sockets.say("warm").len(), 0);
    let before = process.rss_kb();
    let mut sockets = Sockets::open(process.gw_address(), "/chat/room", count);
    let failures = sockets.say("hello");
    assert!(failures.is_empty(), "{failures:?}");
    figure("idle_websockets", sockets.count(), "WebSockets");
    cost("idle_websockets", count, before, process.rss_kb(), 2 * MOST);
    publish(&process);
    let failures = sockets.say("still there?");
    figure("idle_websockets_dropped", count - sockets.count(), "WebSockets");
    assert!(failures.is_empty(), "{failures:?}");
}
