//! How many connections are let in.

use std::net::IpAddr;

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::{Call, eventually};

use super::{Bounded, GET};

/// The address `127.0.0.n`.
fn local(n: u8) -> IpAddr {
    [127, 0, 0, n].into()
}

/// A connection from this address that is let in: it has had an answer, and stays open.
#[track_caller]
fn let_in(gate: &Bounded, source: IpAddr) -> Connection {
    let mut client = Connection::open_from(source, gate.process.gw_address());
    client.send(GET);
    assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    client
}

/// Insists that a connection from this address is refused, whether it begins with a request or waits.
#[track_caller]
fn not_let_in(gate: &Bounded, source: IpAddr) {
    for request in [GET, b""] {
        let mut client = Connection::open_from(source, gate.process.gw_address());
        client.send(request);
        client.read_to_end(SOON);
        let text = client.text();
        assert_eq!(client.status(), Some(503), "{:?} {text}", client.end());
        for wanted in ["\r\nretry-after: 1\r\n", "\r\nconnection: close\r\n", "\"code\":\"overloaded\""] {
            assert!(text.contains(wanted), "{wanted:?} is missing: {text}");
        }
    }
}

fn metric(gate: &Bounded, name: &str) -> u64 {
    let text = Call::get(&gate.process.api_url("/metrics")).send().expect(200).text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("no {name}: {text}")).round() as u64
}

#[test]
fn so_many_connections_are_let_in() {
    let gate = Bounded::start(&[("MAX_CONNECTIONS", "3")]);
    let mut held: Vec<Connection> = (1..=3).map(|n| let_in(&gate, local(n))).collect();
    for _ in 0..5 {
        not_let_in(&gate, local(4));
    }
    assert_eq!((metric(&gate, "portunus_connections"), metric(&gate, "portunus_connections_refused_total")), (3, 10));
    // Who is in is served as before, and who leaves makes room.
    let first = &mut held[0];
    first.send(GET);
    assert!(first.read_until(SOON, |read| read.windows(6).filter(|w| w == b"\r\n\r\nok").count() == 2));
    drop(held.remove(1));
    eventually(SOON, "room", || (metric(&gate, "portunus_connections") == 2).then_some(()));
    held.push(let_in(&gate, local(4)));
    not_let_in(&gate, local(1));
    drop(held);
    eventually(SOON, "room", || (metric(&gate, "portunus_connections") == 0).then_some(()));
    assert_eq!(gate.lines().len(), 5, "a connection that is not let in has no request");
}

#[test]
fn so_many_connections_of_an_address_are_let_in() {
    let gate = Bounded::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "2")]);
    let mut held = vec![let_in(&gate, local(1)), let_in(&gate, local(1))];
    not_let_in(&gate, local(1));
    held.extend([let_in(&gate, local(2)), let_in(&gate, local(2))]);
    not_let_in(&gate, local(2));
    assert_eq!(metric(&gate, "portunus_connections_refused_total"), 4);
    drop(held.remove(0));
    eventually(SOON, "room", || (metric(&gate, "portunus_connections") == 3).then_some(()));
    held.push(let_in(&gate, local(1)));
    not_let_in(&gate, local(1));
    not_let_in(&gate, local(2));
}
