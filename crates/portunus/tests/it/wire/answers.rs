//! Upstreams that answer wrongly, too little, too much, or too soon.

use portunus_testkit::poll::{SOON, within};
use portunus_testkit::raw::{Connection, End, exchange};
use portunus_testkit::upstream::Script;
use portunus_testkit::{Message, eventually};

use super::Wire;

const GET: &[u8] = b"GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers whose head is wrong.
fn bad_heads() -> Vec<(&'static str, Vec<u8>)> {
    let with = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{body}").into_bytes();
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        ("both lengths", with("transfer-encoding: chunked\r\ncontent-length: 5", chunks)),
        ("both lengths, the other way", with("content-length: 5\r\ntransfer-encoding: chunked", chunks)),
        ("two lengths that differ", with("content-length: 5\r\ncontent-length: 6", "hello")),
        ("two lengths that agree", with("content-length: 5\r\ncontent-length: 5", "hello")),
        ("a list of lengths", with("content-length: 5, 5", "hello")),
        ("a length with a plus", with("content-length: +5", "hello")),
        ("a negative length", with("content-length: -5", "hello")),
        ("an empty length", with("content-length:", "hello")),
        ("a hexadecimal length", with("content-length: 0x5", "hello")),
        ("a length of more than 64 bits", with("content-length: 18446744073709551621", "hello")),
        ("gzip and chunked", with("transfer-encoding: gzip, chunked", chunks)),
        ("chunked twice", with("transfer-encoding: chunked\r\ntransfer-encoding: chunked", chunks)),
        ("identity", with("transfer-encoding: identity", "hello")),
        ("chunks in HTTP/1.0", format!("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}").into_bytes()),
        ("a NUL in a field", with("content-length: 5\r\nx-a: \0", "hello")),
        ("a bare CR in a field", with("content-length: 5\r\nx-a: 1\r2", "hello")),
        ("a control byte in a field", with("content-length: 5\r\nx-a: \u{1}", "hello")),
        ("a space before the colon", with("content-length : 5", "hello")),
        ("a line without a colon", with("content-length: 5\r\nx-a", "hello")),
        ("a field without a name", with("content-length: 5\r\n: 1", "hello")),
        ("a space in a name", with("content-length: 5\r\nx a: 1", "hello")),
        ("a head of 300 KiB", with(&format!("content-length: 5\r\nx-a: {}", "a".repeat(300 * 1024)), "hello")),
        ("two digits", b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("four digits", b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("no digits", b"HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("a status of zero", b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("no status", b"HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("two spaces", b"HTTP/1.1  200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("another version", b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("small letters", b"http/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("another protocol", b"ICY 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("a request", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        ("text", b"hello world\r\n\r\n".to_vec()),
        ("a switch that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_vec()),
    ]
}

#[test]
fn a_wrong_head_is_answered_502_and_its_connection_closed() {
    let wire = Wire::start();
    let mut wrong = Vec::new();
    for (name, bytes) in bad_heads() {
        wire.upstream.set(Script::answer(bytes));
        let answer = exchange(wire.process.gw_address(), GET, SOON);
        if answer.status() != Some(502) {
            wrong.push(format!(
                "{name}: {:?} {:?}",
                answer.status(),
                answer.text().chars().take(200).collect::<String>()
            ));
        }
        if within(SOON, || (wire.upstream.open() == 0).then_some(())).is_none() {
            wrong.push(format!("{name}: the connection to the upstream stays open"));
        }
        wire.upstream.set(Script::closing(OK));
        let next = exchange(wire.process.gw_address(), GET, SOON);
        if !next.text().ends_with("\r\n\r\nok") {
            wrong.push(format!("{name}: the next answer is {}", next.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_body_that_goes_wrong_is_never_completed() {
    let wire = Wire::start();
    let chunked = |body: &str| Script::answer(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"));
    let cut = |script: Script| Script { closes: true, ..script };
    let mut wrong = Vec::new();
    for (name, script) in [
        ("no size", chunked("zz\r\nhello\r\n0\r\n\r\n")),
        ("0x before a size", chunked("0x5\r\nhello\r\n0\r\n\r\n")),
        ("an empty size", chunked("5\r\nhello\r\n\r\n0\r\n\r\n")),
        ("a size of 17 digits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n")),
        ("a chunk too long", chunked("5\r\nhello!\r\n0\r\n\r\n")),
        ("a second chunk too long", chunked("5\r\nhello\r\n2\r\nhello\r\n0\r\n\r\n")),
        ("no line end behind the data", chunked("5\r\nhello0\r\n\r\n")),
        ("a trailer without a colon", chunked("5\r\nhello\r\n0\r\nx-a\r\n\r\n")),
        ("an end before the last chunk", cut(chunked("5\r\nhello\r\n"))),
        ("an end in a chunk", cut(chunked("5\r\nhel"))),
        ("an end in the last lines", cut(chunked("5\r\nhello\r\n0\r\n"))),
        ("an end before the length", Script::closing("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")),
        ("an end in the head", Script::closing("HTTP/1.1 200 OK\r\ncontent-le")),
        ("an end before anything", Script::closing("")),
    ] {
        wire.upstream.set(script);
        let answer = exchange(wire.process.gw_address(), GET, SOON);
        let message = Message::answer(answer.received(), false);
        let is_502 = answer.status() == Some(502);
        let is_cut = answer.end() != End::Open && message.is_ok_and(|m| m.is_some_and(|m| !m.is_complete));
        if !is_502 && !is_cut {
            wrong.push(format!("{name}: {:?} {:?}", answer.end(), answer.text()));
        }
        if within(SOON, || (wire.upstream.open() == 0).then_some(())).is_none() {
            wrong.push(format!("{name}: the connection to the upstream stays open"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_an_upstream_sends_too_much_answers_nobody() {
    let wire = Wire::start();
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for answer in [
        format!("{OK}{evil}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{evil}"),
        format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 45\r\n\r\n{evil}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
    ] {
        wire.upstream.set(Script::answer(answer));
        let first = exchange(wire.process.gw_address(), GET, SOON);
        assert!(!first.text().contains("evil"), "{}", first.text());
        wire.upstream.set(Script::answer(OK));
        let second = exchange(wire.process.gw_address(), GET, SOON);
        assert!(second.text().ends_with("\r\n\r\nok"), "{}", second.text());
    }
}

#[test]
fn what_an_idle_upstream_sends_answers_nobody() {
    let wire = Wire::start();
    wire.upstream.set(Script::answer(OK).then("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"));
    let first = exchange(wire.process.gw_address(), GET, SOON);
    assert!(first.text().ends_with("\r\n\r\nok"), "{}", first.text());
    wire.upstream.set(Script::answer(OK));
    wire.upstream.release();
    for _ in 0..20 {
        let next = exchange(wire.process.gw_address(), GET, SOON);
        assert!(next.text().ends_with("\r\n\r\nok"), "{}", next.text());
    }
    assert!(wire.upstream.connections() > 1, "the connection with the surplus answer is not used again");
}

#[test]
fn a_fold_in_an_answer_reaches_nobody() {
    let wire = Wire::start();
    wire.upstream.set(Script::closing("HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok"));
    let answer = exchange(wire.process.gw_address(), GET, SOON);
    assert!(!answer.text().contains("\r\n "), "{}", answer.text());
    assert!(matches!(answer.status(), Some(200 | 502)), "{}", answer.text());
}

#[test]
fn an_answer_before_the_end_of_the_request_is_passed_on_and_both_connections_closed() {
    let wire = Wire::start();
    for (status, framing) in [(413, "content-length: 1000000"), (401, "transfer-encoding: chunked")] {
        wire.upstream.set(Script::early(format!("HTTP/1.1 {status} No\r\ncontent-length: 5\r\n\r\nearly")));
        let mut client = Connection::open(wire.process.gw_address());
        client.send(format!("POST /orders/x HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n").as_bytes());
        client.send(b"5\r\nhello\r\n");
        assert!(client.read_text(SOON, "early"), "{}", client.text());
        assert_eq!(client.status(), Some(status), "{}", client.text());
        assert!(client.read_to_end(SOON), "the client's connection is closed");
        assert_eq!(client.end(), End::Closed);
        eventually(SOON, "the end of the connection to the upstream", || (wire.upstream.open() == 0).then_some(()));
        assert!(wire.upstream.take().iter().all(|request| !request.is_complete));
    }
    wire.process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["status"] == 401);
}
