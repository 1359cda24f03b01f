//! Several requests on one connection, and what a request asks of its connection.

use portunus_testkit::Message;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, End, exchange};
use portunus_testkit::upstream::Script;
use serde_json::json;

use super::Wire;
use super::table::{broken, refused, run, served, wanted, wanted_length};
use crate::Gate;

fn get(path: &str, lines: &str) -> String {
    format!("GET /orders{path} HTTP/1.1\r\nhost: x\r\n{lines}\r\n")
}

fn post(lines: &str, body: &str) -> String {
    format!("POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{lines}\r\n{body}", body.len())
}

#[test]
fn requests_are_answered_in_their_order_up_to_the_first_refusal() {
    let inner = "GET /orders/inner HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunked = "POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    run(&[
        served("three", [get("/a", ""), post("", "hello"), get("/c", "")].concat(), wanted("GET", "/c"))
            .after(vec![wanted("GET", "/a"), wanted_length("/x", b"hello")]),
        refused("a bad one between", [get("/a", ""), get("/b", "host: y\r\n"), get("/c", "")].concat())
            .after(vec![wanted("GET", "/a")]),
        refused("both lengths, and a request behind", {
            post("transfer-encoding: chunked\r\n", &format!("0\r\n\r\n{inner}"))
        }),
        broken("a bad chunk, and a request behind", format!("{chunked}5\r\nhello0\r\n\r\n{inner}")),
        broken("a chunk too long, and a request behind", format!("{chunked}2\r\nhello\r\n0\r\n\r\n{inner}")),
        refused("a head too large, and a request behind", {
            [get("/a", &format!("x-a: {}\r\n", "a".repeat(70 * 1024))), inner.to_owned()].concat()
        })
        .with(&[431]),
        served("the text of a request as body", post("", inner), wanted_length("/x", inner.as_bytes())),
        served("close, and a request behind", [get("/a", "connection: close\r\n"), get("/b", "")].concat(), {
            wanted("GET", "/a")
        })
        .closed(),
        served("close among others", get("/a", "connection: x-a, CLOSE\r\n"), wanted("GET", "/a")).closed(),
        served("an empty line behind a body", [post("", "hello"), "\r\n".into()].concat(), {
            wanted_length("/x", b"hello")
        }),
    ]);
}

#[test]
fn http_1_0_keeps_a_connection_only_when_it_is_asked_to() {
    let get = |lines: &str| format!("GET /orders/x HTTP/1.0\r\nhost: x\r\n{lines}\r\n");
    run(&[
        served("nothing said", get(""), wanted("GET", "/x")).closed(),
        served("close", get("connection: close\r\n"), wanted("GET", "/x")).closed(),
        served("keep-alive", get("connection: keep-alive\r\n"), wanted("GET", "/x")),
        served("keep-alive in capitals", get("connection: Keep-Alive\r\n"), wanted("GET", "/x")),
        served("keep-alive and close", get("connection: keep-alive, close\r\n"), wanted("GET", "/x")).closed(),
        served("a length", "POST /orders/x HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello", wanted_length("/x", b"hello"))
            .closed(),
        served("a wish to continue", get("expect: 100-continue\r\n"), wanted("GET", "/x")).closed(),
    ]);
}

#[test]
fn what_a_request_asks_of_the_connection_ends_here() {
    run(&[
        served(
            "an upgrade to h2c",
            get(
                "/x",
                "connection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
                http2-settings: AAMAAABkAAQAAP__\r\n",
            ),
            wanted("GET", "/x"),
        ),
        served("an upgrade to something", get("/x", "connection: upgrade\r\nupgrade: foo/2\r\n"), wanted("GET", "/x")),
        served("an upgrade that is not named", get("/x", "upgrade: h2c\r\n"), wanted("GET", "/x")),
        served("the length as a field of the connection", post("connection: content-length\r\n", "hello"), {
            wanted_length("/x", b"hello")
        })
        .or_refused(),
        served("the host as a field of the connection", get("/x", "connection: host\r\n"), wanted("GET", "/x"))
            .or_refused(),
        served("trailers are welcome", get("/x", "connection: te\r\nte: trailers\r\n"), wanted("GET", "/x")),
        served("a wish to continue without a body", get("/x", "expect: 100-continue\r\n"), wanted("GET", "/x")),
        served("a wish to continue", post("expect: 100-Continue\r\n", "hello"), wanted_length("/x", b"hello")),
        refused("another wish", get("/x", "expect: 200-ok\r\n")).with(&[417]).or_kept(),
        refused("another wish too", get("/x", "expect: 100-continue, x\r\n")).with(&[417]).or_kept(),
    ]);
}

#[test]
fn the_upstream_learns_nothing_of_the_clients_connection() {
    let wire = Wire::start();
    let lines = "connection: upgrade, x-hop, host, x-forwarded-for, x-request-id, close\r\nupgrade: h2c\r\nx-hop: 1\r\n\
                 x-forwarded-for: 192.0.2.9\r\nkeep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nte: gzip\r\n\
                 expect: 100-continue\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    let answer = exchange(wire.process.gw_address(), get("/x", lines).as_bytes(), SOON);
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    let request = wire.upstream.take().pop().expect("the upstream was asked");
    for name in ["upgrade", "x-hop", "keep-alive", "proxy-connection", "te", "expect"] {
        assert_eq!(request.field(name), None, "{name}: {request:?}");
    }
    assert!(request.field("host").is_some(), "{request:?}");
    assert_eq!(request.field("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert!(request.field("x-request-id").is_some(), "{request:?}");
    let connection = request.field("connection").unwrap_or_default().to_lowercase();
    assert!(!connection.contains("upgrade") && !connection.contains("x-hop"), "{connection}");
}

#[test]
fn http_1_0_gets_no_chunks_and_no_interim_answer() {
    let wire = Wire::start();
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    wire.upstream.set(Script::answer(format!("{hint}{chunks}")));
    for lines in ["", "connection: keep-alive\r\n"] {
        let request = format!("GET /orders/x HTTP/1.0\r\nhost: x\r\n{lines}\r\n");
        let answer = exchange(wire.process.gw_address(), request.as_bytes(), SOON);
        assert_eq!(answer.end(), End::Closed);
        let answers = Message::answers(answer.received(), false).expect("HTTP");
        assert_eq!(answers.len(), 1, "{}", answer.text());
        assert_eq!((answers[0].status(), answers[0].body.as_slice()), (200, b"hello".as_slice()));
        assert_eq!(answers[0].field("transfer-encoding"), None);
    }
    wire.upstream.set(Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    let mut client = Connection::open(wire.process.gw_address());
    client.send(b"GET /orders/x HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n");
    assert!(client.read_text(SOON, "ok"), "{}", client.text());
    assert!(client.text().to_lowercase().contains("connection: keep-alive"), "{}", client.text());
}

#[test]
fn answers_that_have_no_body_send_none() {
    let wire = Wire::start();
    let tell = |answer: &str| wire.upstream.set(Script::answer(answer));
    let mut client = Connection::open(wire.process.gw_address());
    let mut ask = |method: &str, to_head: bool| -> Message {
        let start = client.received().len();
        client.send(format!("{method} /orders/x HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        let whole =
            |read: &[u8]| Message::answer(&read[start..], to_head).is_ok_and(|a| a.is_some_and(|a| a.is_complete));
        assert!(client.read_until(SOON, whole), "{}", client.text());
        let answer = Message::answer(&client.received()[start..], to_head).expect("HTTP").expect("a whole head");
        assert_eq!(client.received().len(), start + answer.size, "{}", client.text());
        answer
    };
    tell("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\nx-a: 1\r\n\r\n");
    let head = ask("HEAD", true);
    assert_eq!((head.field("content-length").as_deref(), head.field("x-a").as_deref()), (Some("1234"), Some("1")));
    tell("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(ask("HEAD", true).status(), 200);
    tell("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(ask("GET", false).status(), 204);
    tell("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\ncontent-length: 1234\r\n\r\n");
    assert_eq!(ask("GET", false).field("etag").as_deref(), Some("\"1\""));
    tell("HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(ask("GET", false).status(), 205);
    tell("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(ask("GET", false).body, b"ok");
}

#[test]
fn an_early_hint_comes_before_the_answer() {
    let wire = Wire::start();
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
    wire.upstream.set(Script::answer(hint).then("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    let mut client = Connection::open(wire.process.gw_address());
    client.send(get("/x", "").as_bytes());
    assert!(client.read_text(SOON, "\r\n\r\n"), "the hint comes while the answer is waited for: {}", client.text());
    assert_eq!(client.status(), Some(103), "{}", client.text());
    wire.upstream.release();
    assert!(client.read_text(SOON, "\r\n\r\nok"), "{}", client.text());
    let answers = Message::answers(client.received(), false).expect("HTTP");
    assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [103, 200]);
    assert!(answers[0].field("link").is_some_and(|link| link.contains("style.css")), "{answers:?}");
}

#[test]
fn who_is_refused_is_not_told_to_continue() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_api("closed", &upstream.url());
    let open = admin.create_public_api("open", &upstream.url());
    admin.policy_on(&open, "body_limit", &json!({"max_bytes": 1000}));
    for (path, length, status) in [("/closed/x", 5, 401), ("/open/x", 1001, 413), ("/nowhere", 5, 404)] {
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n");
        let mut client = Connection::open(process.gw_address());
        client.send(request.as_bytes());
        assert!(client.read_text(SOON, "request_id"), "{path}: {}", client.text());
        assert_eq!(client.status(), Some(status), "{path}: {}", client.text());
    }
    let request = b"POST /open/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut client = Connection::open(process.gw_address());
    client.send(request);
    assert!(client.read_text(SOON, "HTTP/1.1 100 Continue\r\n\r\n"), "{}", client.text());
    client.send(b"hello");
    assert!(client.read_text(SOON, "\"body\":\"hello\""), "{}", client.text());
    assert_eq!(upstream.count(), 1);
}
