//! Who closes a connection, when, and how.

use std::time::Duration;

use portunus_testkit::eventually;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, End};
use portunus_testkit::upstream::Script;
use serde_json::json;

use super::Wire;
use crate::Gate;

const GET: &[u8] = b"GET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// What counts as "a few seconds" when a client has gone.
const FEW_SECONDS: Duration = Duration::from_secs(5);

#[test]
fn who_has_finished_sending_still_gets_the_answer() {
    let wire = Wire::start();
    wire.upstream.set(Script::answer("").then(OK));
    let mut client = Connection::open(wire.process.gw_address());
    client.send(GET);
    client.finish();
    eventually(SOON, "the request at the upstream", || (wire.upstream.requests().len() == 1).then_some(()));
    assert!(!client.read_until(Duration::from_millis(300), |_| false));
    assert_eq!(client.end(), End::Open, "the answer is still waited for");
    wire.upstream.release();
    assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    assert!(client.read_to_end(SOON), "nothing more can be asked on it");
}

#[test]
fn a_client_that_goes_takes_its_call_to_the_upstream_along() {
    let wire = Wire::start();
    for (name, script, sent) in [
        ("before the answer", Script::answer(""), GET),
        ("in the answer", Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello"), GET),
        (
            "in the request",
            Script::answer(OK),
            b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhello".as_slice(),
        ),
        (
            "in a chunk",
            Script::answer(OK),
            b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello".as_slice(),
        ),
    ] {
        wire.upstream.take();
        wire.upstream.set(script);
        let mut client = Connection::open(wire.process.gw_address());
        client.send(sent);
        eventually(SOON, "the request at the upstream", || (wire.upstream.requests().len() == 1).then_some(()));
        if name == "in the answer" {
            assert!(client.read_text(SOON, "hello"), "{}", client.text());
        }
        drop(client);
        let what = format!("the end of the upstream's connection after a client left {name}");
        eventually(FEW_SECONDS, &what, || (wire.upstream.open() == 0).then_some(()));
        let is_whole = wire.upstream.take().iter().any(|request| request.is_complete);
        assert!(!is_whole || sent == GET, "{name}: the upstream must not believe that it got all");
    }
}

#[test]
fn a_fault_in_the_body_aborts_the_call_to_the_upstream() {
    let wire = Wire::start();
    for fault in ["x\r\nhello\r\n0\r\n\r\n", "3\r\nhello\r\n0\r\n\r\n", "0\r\nno colon\r\n\r\n"] {
        let mut client = Connection::open(wire.process.gw_address());
        client.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
        let has_begun = || wire.upstream.requests().first().is_some_and(|request| request.body == b"hello");
        eventually(SOON, "the first chunk at the upstream", || has_begun().then_some(()));
        client.send(fault.as_bytes());
        assert!(client.read_to_end(SOON), "{fault:?}: the connection is closed");
        assert_eq!((client.status(), client.end()), (Some(400), End::Closed), "{fault:?}: {}", client.text());
        eventually(SOON, "the end of the upstream's connection", || (wire.upstream.open() == 0).then_some(()));
        assert!(wire.upstream.take().iter().all(|request| !request.is_complete), "{fault:?}");
    }
    let is_line = |line: &String| line.contains("\"request completed\"");
    eventually(SOON, "a line for each", || (wire.access_lines() >= 3).then_some(()));
    wire.process.get("/orders/after").send().is(200);
    eventually(SOON, "the last line", || wire.process.stdout().text().contains("/orders/after").then_some(()));
    assert_eq!(wire.process.logs().iter().filter(|line| is_line(line)).count(), 4);
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let Gate { process, admin, upstream } = Gate::start();
    let open = admin.create_public_api("open", &upstream.url());
    admin.policy_on(&open, "body_limit", &json!({"max_bytes": 1000}));
    admin.create_api("closed", &upstream.url());
    let piece = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n".as_slice(), &piece, b"\r\n"].concat();
    for (path, framing, part, status) in [
        ("/open/x", "content-length: 4194304", &piece, 413),
        ("/open/x", "transfer-encoding: chunked", &chunk, 413),
        ("/closed/x", "content-length: 4194304", &piece, 401),
    ] {
        let mut client = Connection::open(process.gw_address());
        client.send(format!("POST {path} HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n").as_bytes());
        for _ in 0..64 {
            if !client.send(part) {
                break;
            }
        }
        client.read_to_end(SOON);
        assert_eq!(client.status(), Some(status), "{path} {framing}: {:?} {}", client.end(), client.text());
        assert!(client.text().ends_with('}'), "{path} {framing}: {}", client.text());
    }
    assert!(upstream.seen().is_empty(), "the upstream got no whole request");
}
