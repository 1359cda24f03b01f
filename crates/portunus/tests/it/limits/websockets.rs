//! How long a WebSocket may rest, and what becomes of it at a stop.

use std::time::{Duration, Instant};

use portunus_testkit::eventually;
use portunus_testkit::poll::{SOON, pause};
use portunus_testkit::raw::{Connection, End};
use portunus_testkit::upstream::Script;

use super::Bounded;

const UPGRADE: &[u8] = b"GET /orders/ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// A WebSocket through the gateway. What the upstream gets on it are single bytes.
fn open(gate: &Bounded) -> Connection {
    gate.upstream.set(Script::answer(SWITCHED).then("news"));
    let mut client = gate.send(UPGRADE);
    assert!(client.read_text(SOON, "\r\n\r\n"), "{}", client.text());
    assert_eq!(client.status(), Some(101), "{}", client.text());
    client
}

#[test]
fn a_websocket_that_rests_too_long_is_closed() {
    let gate = Bounded::start(&[("WEBSOCKET_TIMEOUT_MS", "600"), ("IDLE_TIMEOUT_MS", "100")]);
    let mut client = open(&gate);
    let before = gate.upstream.bytes();
    // Each direction keeps it open, also beyond the limit.
    for sent in 1..=8 {
        client.send(b"a");
        eventually(SOON, "the byte at the upstream", || (gate.upstream.bytes() == before + sent).then_some(()));
        pause(Duration::from_millis(100));
    }
    pause(Duration::from_millis(300));
    let start = Instant::now();
    gate.upstream.release();
    assert!(client.read_text(SOON, "news"), "{}", client.text());
    assert!(client.read_to_end(SOON), "it stays open");
    assert!(start.elapsed() >= Duration::from_millis(550), "too early: {:?}", start.elapsed());
    assert_ne!(client.end(), End::Open);
    eventually(SOON, "the end of the upstream's connection", || (gate.upstream.open() == 0).then_some(()));
    let lines = gate.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["status"], &lines[0]["bytes"]), (&101.into(), &4.into()));
}

#[test]
fn a_websocket_is_closed_at_the_end_of_a_stop() {
    let mut gate = Bounded::start(&[("DRAIN_SECONDS", "1")]);
    let mut client = open(&gate);
    let start = Instant::now();
    gate.process.terminate();
    assert_eq!(gate.process.wait(SOON).expect("it ends after the drain").code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(900), "it gets the time of the drain: {:?}", start.elapsed());
    assert!(client.read_to_end(SOON));
    gate.process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["status"] == 101);
}
