//! How large a body may be.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, End, exchange};
use serde_json::json;

use super::Bounded;

/// A POST of so many bytes whose length is told.
fn with_length(size: usize) -> Vec<u8> {
    let head = format!("POST /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
    [head.as_bytes(), &vec![b'a'; size]].concat()
}

/// The same in chunks of 100 bytes.
fn in_chunks(size: usize) -> Vec<u8> {
    let mut bytes =
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for start in (0..size).step_by(100) {
        let part = (size - start).min(100);
        bytes.extend_from_slice(format!("{part:x}\r\n{}\r\n", "a".repeat(part)).as_bytes());
    }
    [&bytes, b"0\r\n\r\n".as_slice()].concat()
}

#[track_caller]
fn served(gate: &Bounded, bytes: &[u8]) {
    let client = exchange(gate.process.gw_address(), bytes, SOON);
    assert_eq!(client.status(), Some(200), "{}", client.text());
    assert_eq!(gate.lines().len(), 1);
}

#[track_caller]
fn too_large(gate: &Bounded, bytes: &[u8]) {
    let client = exchange(gate.process.gw_address(), bytes, SOON);
    assert_eq!((client.status(), client.end()), (Some(413), End::Closed), "{}", client.text());
    assert!(client.text().contains("\"code\":\"body_too_large\""), "{}", client.text());
    assert!(gate.upstream.requests().iter().all(|request| !request.is_complete), "the upstream got it all");
    gate.one_line(413, "body_too_large");
}

#[test]
fn a_body_has_at_most_so_many_bytes() {
    let gate = Bounded::start(&[("MAX_BODY_BYTES", "1000")]);
    for body in [with_length, in_chunks] {
        served(&gate, &body(1000));
        too_large(&gate, &body(1001));
        too_large(&gate, &body(50_000));
    }
}

#[test]
fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let gate = Bounded::start(&[("MAX_BODY_BYTES", "1000")]);
    let mut client =
        gate.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n");
    assert!(client.read_to_end(SOON), "{}", client.text());
    assert_eq!(client.status(), Some(413), "without 100 Continue: {}", client.text());
    assert_eq!(gate.upstream.connections(), 0, "the upstream is not bothered");
    gate.one_line(413, "body_too_large");
}

#[test]
fn who_is_still_sending_reads_the_refusal() {
    let gate = Bounded::start(&[("MAX_BODY_BYTES", "1000")]);
    let piece = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n".as_slice(), &piece, b"\r\n"].concat();
    for (framing, part) in [("content-length: 4194304", &piece), ("transfer-encoding: chunked", &chunk)] {
        let mut client = Connection::open(gate.process.gw_address());
        client.send(format!("POST /orders/x HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n").as_bytes());
        for _ in 0..64 {
            assert!(client.send(part), "{framing}: the connection is not reset while the client sends");
        }
        client.read_to_end(SOON);
        assert_eq!(client.status(), Some(413), "{framing}: {:?} {}", client.end(), client.text());
        assert!(client.text().ends_with('}'), "{framing}: {}", client.text());
        gate.one_line(413, "body_too_large");
    }
}

#[test]
fn no_limit_is_none() {
    let gate = Bounded::start(&[("MAX_BODY_BYTES", "0")]);
    served(&gate, &with_length(3_000_000));
}

#[test]
fn a_policy_can_lower_the_limit_and_not_raise_it() {
    let gate = Bounded::start(&[("MAX_BODY_BYTES", "1000")]);
    let admin = gate.process.api();
    let api = admin.get("/v1/tenants/default/apis/orders").expect(200).json;
    let policy = admin.policy_on(&api, "body_limit", &json!({"max_bytes": 200}));
    served(&gate, &in_chunks(200));
    too_large(&gate, &in_chunks(201));
    let path = format!("/v1/tenants/default/policies/{}", policy["id"].as_str().expect("an id"));
    admin.patch(&path, &json!({"config": {"max_bytes": 5000}})).is(200);
    served(&gate, &in_chunks(1000));
    too_large(&gate, &in_chunks(1001));
    too_large(&gate, &with_length(1001));
}
