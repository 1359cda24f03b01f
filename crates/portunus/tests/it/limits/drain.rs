//! A stop while requests are under way.

use std::net::TcpStream;
use std::time::Duration;

use portunus_testkit::eventually;
use portunus_testkit::poll::SOON;
use portunus_testkit::upstream::Script;

use super::{Bounded, GET, OK};

const LONG: &str = "60";

#[test]
fn what_is_under_way_is_answered_and_what_rests_is_closed_at_once() {
    let mut gate = Bounded::start(&[("DRAIN_SECONDS", LONG)]);
    let mut resting = gate.send(GET);
    assert!(resting.read_text(SOON, "\r\n\r\nok"), "{}", resting.text());
    let mut fresh = gate.send(b"");
    gate.upstream.set(Script::answer("").then(OK));
    // More than one request on a connection: the one under way is answered, the next one is not begun.
    let mut waiting = gate.send(&GET.repeat(2));
    eventually(SOON, "the request at the upstream", || (gate.upstream.requests().len() == 2).then_some(()));
    gate.process.terminate();
    assert!(resting.read_to_end(SOON) && fresh.read_to_end(SOON), "what rests is closed");
    assert!(fresh.received().is_empty(), "{}", fresh.text());
    let address = gate.process.gw_address().to_owned();
    eventually(SOON, "the end of the listener", || TcpStream::connect(&address).err());
    assert!(!waiting.read_until(Duration::from_millis(100), |read| !read.is_empty()) && gate.process.is_running());
    gate.upstream.release();
    assert!(waiting.read_to_end(SOON), "{}", waiting.text());
    let text = waiting.text();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nok"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
    assert_eq!(gate.process.wait(SOON).expect("it ends when all are answered").code(), Some(0));
}

#[test]
fn a_body_on_its_way_comes_to_its_end() {
    let mut gate = Bounded::start(&[("DRAIN_SECONDS", LONG)]);
    let mut client = gate.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello");
    eventually(SOON, "the request at the upstream", || (gate.upstream.requests().len() == 1).then_some(()));
    let mut resting = gate.send(GET);
    assert!(resting.read_text(SOON, "\r\n\r\nok"), "{}", resting.text());
    gate.process.terminate();
    assert!(resting.read_to_end(SOON), "the stop has begun");
    client.send(b"world");
    assert!(client.read_to_end(SOON), "{}", client.text());
    assert_eq!(client.status(), Some(200), "{}", client.text());
    assert!(client.text().contains("\r\nconnection: close\r\n"), "{}", client.text());
    assert_eq!(gate.process.wait(SOON).expect("it ends when all are answered").code(), Some(0));
}
