//! How many requests are being answered at once.

use portunus_testkit::eventually;
use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::upstream::Script;

use super::{Bounded, GET, OK};

/// Requests that the upstream has and does not answer.
fn under_way(gate: &Bounded, count: usize) -> Vec<Connection> {
    gate.upstream.set(Script::answer("").then(OK));
    let held = (0..count).map(|_| gate.send(GET)).collect();
    eventually(SOON, "the requests at the upstream", || (gate.upstream.requests().len() == count).then_some(()));
    held
}

#[test]
fn past_the_limit_a_request_is_refused_and_may_come_again() {
    let gate = Bounded::start(&[("MAX_REQUESTS_IN_FLIGHT", "2")]);
    let held = under_way(&gate, 2);
    let mut client = gate.send(GET);
    assert!(client.read_text(SOON, "\"code\":\"overloaded\""), "{}", client.text());
    assert_eq!(client.status(), Some(503), "{}", client.text());
    assert!(client.text().contains("\r\nretry-after: 1\r\n"), "{}", client.text());
    assert_eq!(gate.upstream.requests().len(), 2, "the upstream sees nothing of it");
    let line = gate.process.wait_log(SOON, |entry| entry["status"] == 503);
    assert_eq!((&line["reason"], &line["path"]), (&"overloaded".into(), &"/orders/x".into()));
    gate.upstream.release();
    for mut client in held {
        assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    }
    // The same connection is good for another attempt.
    gate.upstream.set(Script::answer(OK));
    client.send(GET);
    assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    let statuses: Vec<_> = gate.lines().iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [503, 200, 200, 200]);
}

#[test]
fn who_leaves_makes_room() {
    let gate = Bounded::start(&[("MAX_REQUESTS_IN_FLIGHT", "1")]);
    let held = under_way(&gate, 1);
    let refused = gate.send(GET).read_text(SOON, "overloaded");
    assert!(refused, "the second one is refused");
    drop(held);
    eventually(SOON, "the end of the upstream's connection", || (gate.upstream.open() == 0).then_some(()));
    let statuses: Vec<_> = gate.lines().iter().filter_map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [503, 499]);
}

#[test]
fn requests_over_http2_count_too() {
    let gate = Bounded::start(&[("MAX_REQUESTS_IN_FLIGHT", "2")]);
    gate.upstream.set(Script::answer("").then(OK));
    let client = Client::connect(gate.process.gw_address());
    let held = [client.begin(Ask::get("/orders/x")), client.begin(Ask::get("/orders/x"))];
    eventually(SOON, "the requests at the upstream", || (gate.upstream.requests().len() == 2).then_some(()));
    let refused = client.send(Ask::get("/orders/x")).answer.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    gate.upstream.release();
    for pending in held {
        pending.wait().answer.is(200);
    }
    gate.upstream.set(Script::answer(OK));
    client.send(Ask::get("/orders/x")).answer.is(200);
}
