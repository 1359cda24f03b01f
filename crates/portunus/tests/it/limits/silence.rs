//! How long a client may be silent, and what is not its fault.

use std::time::{Duration, Instant};

use portunus_testkit::eventually;
use portunus_testkit::poll::{SOON, pause};
use portunus_testkit::raw::{Connection, End};
use portunus_testkit::upstream::Script;
use serde_json::json;

use super::{Bounded, GET, OK};

/// The limit of the tests that wait for one.
const LIMIT: Duration = Duration::from_millis(400);
const MS: &str = "400";

/// Waits until the gateway closes, insists that it did not do so too early, and gives what was read.
#[track_caller]
fn closed_after_the_limit(client: &mut Connection, start: Instant) -> String {
    assert!(client.read_to_end(SOON), "the connection stays open: {}", client.text());
    assert!(start.elapsed() >= LIMIT, "too early: {:?}", start.elapsed());
    assert_eq!(client.end(), End::Closed);
    client.text()
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_an_answer() {
    let gate = Bounded::start(&[("FIRST_BYTE_TIMEOUT_MS", MS)]);
    let start = Instant::now();
    let mut client = gate.send(b"");
    assert_eq!(closed_after_the_limit(&mut client, start), "");
    assert_eq!(gate.lines().len(), 0, "there was no request");
}

#[test]
fn a_head_that_trickles_is_refused() {
    let gate = Bounded::start(&[("HEAD_TIMEOUT_MS", MS)]);
    let start = Instant::now();
    let mut client = gate.send(b"GET /orders/x HTTP/1.1\r\nhost: x\r\nx-slow: ");
    while client.send(b"a") && !client.read_until(Duration::from_millis(50), |read| !read.is_empty()) {
        assert!(start.elapsed() < SOON, "a head may take for ever");
    }
    let text = closed_after_the_limit(&mut client, start);
    assert_eq!(client.status(), Some(408), "{text}");
    assert!(text.contains("request_timeout") && text.contains("connection: close\r\n"), "{text}");
    gate.one_line(408, "request_timeout");
}

#[test]
fn a_body_that_stalls_is_refused_and_the_upstreams_request_aborted() {
    let gate = Bounded::start(&[("BODY_TIMEOUT_MS", MS)]);
    for (framing, part) in [
        ("content-length: 10", "hello"),
        ("content-length: 10", ""),
        ("transfer-encoding: chunked", "5\r\nhello\r\n"),
        ("transfer-encoding: chunked", "5\r\nhel"),
    ] {
        let start = Instant::now();
        let mut client = gate.send(format!("POST /orders/x HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n{part}").as_bytes());
        eventually(SOON, "the request at the upstream", || (gate.upstream.requests().len() == 1).then_some(()));
        let text = closed_after_the_limit(&mut client, start);
        assert_eq!(client.status(), Some(408), "{framing} {part:?}: {text}");
        eventually(SOON, "the end of the upstream's connection", || (gate.upstream.open() == 0).then_some(()));
        assert!(gate.upstream.requests().iter().all(|request| !request.is_complete), "{framing} {part:?}");
        gate.one_line(408, "request_timeout");
    }
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let gate = Bounded::start(&[("WRITE_TIMEOUT_MS", MS)]);
    let size = 20_000_000;
    let answer = [format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").into_bytes(), vec![b'a'; size]];
    gate.upstream.set(Script::answer(answer.concat()));
    let start = Instant::now();
    let mut client = gate.send(GET);
    eventually(SOON, "the request at the upstream", || (gate.upstream.open() == 1).then_some(()));
    eventually(SOON, "the end of the upstream's connection", || (gate.upstream.open() == 0).then_some(()));
    assert!(start.elapsed() >= LIMIT, "too early: {:?}", start.elapsed());
    client.read_to_end(SOON);
    assert!(client.received().len() < size, "it got everything");
    assert_ne!(client.end(), End::Open);
    let lines = gate.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0]["bytes"].as_u64().is_some_and(|bytes| bytes < size as u64), "{lines:?}");
}

#[test]
fn a_client_that_reads_slowly_gets_everything() {
    let gate = Bounded::start(&[("WRITE_TIMEOUT_MS", "2000")]);
    let size = 20_000_000;
    let answer = [format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").into_bytes(), vec![b'a'; size]];
    gate.upstream.set(Script::answer(answer.concat()));
    let start = Instant::now();
    let mut client = gate.send(GET);
    while client.received().len() < size {
        let wanted = client.received().len() + 500_000;
        client.read_until(Duration::from_secs(5), |read| read.len() >= wanted || read.len() >= size);
        assert_eq!(
            client.end(),
            End::Open,
            "cut off after {:?} and {} bytes",
            start.elapsed(),
            client.received().len()
        );
        pause(Duration::from_millis(100));
    }
    assert!(start.elapsed() > Duration::from_secs(3), "that was not slow");
}

#[test]
fn a_connection_that_rests_too_long_is_closed() {
    let gate = Bounded::start(&[("IDLE_TIMEOUT_MS", MS)]);
    let start = Instant::now();
    let mut client = gate.send(GET);
    assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    let before = client.text();
    assert_eq!(closed_after_the_limit(&mut client, start), before, "without a word");
    assert_eq!(gate.lines().len(), 1);
}

#[test]
fn each_limit_is_for_its_own_part_of_a_connection() {
    let gate = Bounded::start(&[
        ("FIRST_BYTE_TIMEOUT_MS", MS),
        ("HEAD_TIMEOUT_MS", MS),
        ("BODY_TIMEOUT_MS", MS),
        ("WRITE_TIMEOUT_MS", MS),
    ]);
    let mut client = gate.send(GET);
    assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    // Between two requests only the idle timeout counts, and while the upstream works none does.
    pause(2 * LIMIT);
    gate.upstream.set(Script::answer("").then(OK));
    client.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello");
    eventually(SOON, "the request at the upstream", || (gate.upstream.requests().len() == 2).then_some(()));
    pause(2 * LIMIT);
    gate.upstream.release();
    let count = |read: &[u8]| String::from_utf8_lossy(read).matches("\r\n\r\nok").count();
    assert!(client.read_until(SOON, |read| count(read) == 2), "{}", client.text());
}

#[test]
fn a_body_that_comes_slowly_is_not_the_upstreams_fault() {
    let gate = Bounded::start(&[("BODY_TIMEOUT_MS", "1000")]);
    let upstream = json!({"targets": [{"url": gate.upstream.url()}], "response_timeout_ms": 500});
    gate.process.api().patch("/v1/tenants/default/apis/orders", &json!({"upstream": upstream})).is(200);
    let mut client = gate.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n");
    for _ in 0..10 {
        pause(Duration::from_millis(150));
        client.send(b"a");
    }
    assert!(client.read_text(SOON, "\r\n\r\n"), "{}", client.text());
    assert_eq!(client.status(), Some(200), "{}", client.text());
    assert_eq!(gate.upstream.requests().last().map(|request| request.body.len()), Some(10));
}
