//! Clients that stop sending and wait, and clients that are gone.

use std::time::{Duration, Instant};

use portunus_testkit::eventually;
use portunus_testkit::poll::{SOON, pause};
use portunus_testkit::raw::End;
use portunus_testkit::upstream::Script;

use super::{Bounded, GET, OK};

const LIMIT: Duration = Duration::from_millis(1500);
const MS: &str = "1500";

#[test]
fn who_stops_sending_gets_the_answer_within_the_limit() {
    let gate = Bounded::start(&[("HALF_CLOSE_TIMEOUT_MS", MS)]);
    gate.upstream.set(Script::answer("").then(OK));
    let mut client = gate.send(GET);
    client.finish();
    eventually(SOON, "the request at the upstream", || (gate.upstream.requests().len() == 1).then_some(()));
    pause(Duration::from_millis(300));
    gate.upstream.release();
    assert!(client.read_to_end(SOON), "{}", client.text());
    assert!(client.text().ends_with("\r\n\r\nok"), "{}", client.text());
    assert_eq!(gate.lines().len(), 1);
}

#[test]
fn who_stops_sending_is_given_up_after_the_limit() {
    let gate = Bounded::start(&[("HALF_CLOSE_TIMEOUT_MS", MS)]);
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello"] {
        gate.upstream.set(Script::answer(begun));
        let start = Instant::now();
        let mut client = gate.send(GET);
        client.finish();
        eventually(SOON, "the request at the upstream", || (gate.upstream.requests().len() == 1).then_some(()));
        assert!(client.read_to_end(SOON), "{begun:?}: the connection stays open");
        assert!(start.elapsed() >= LIMIT, "{begun:?}: too early: {:?}", start.elapsed());
        assert_ne!(client.end(), End::Open);
        assert_eq!(client.text().is_empty(), begun.is_empty(), "{}", client.text());
        eventually(SOON, "the end of the upstream's connection", || (gate.upstream.open() == 0).then_some(()));
        let lines = gate.lines();
        let status = if begun.is_empty() { 499 } else { 200 };
        assert_eq!(lines.iter().map(|line| line["status"].as_u64()).collect::<Vec<_>>(), [Some(status)]);
    }
}
