//! Requests as any client sends them.

use portunus_testkit::eventually;
use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::http2::{END_HEADERS, END_STREAM, frame, kind, request};
use portunus_testkit::poll::SOON;

use super::{code, error_code, get, open};
use crate::{Gate, portunus};

fn gate() -> (Gate, Client) {
    let gate = Gate::start();
    gate.admin.create_public_api("orders", &gate.upstream.url());
    let client = Client::connect(gate.process.gw_address());
    (gate, client)
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let (gate, client) = gate();
    let ask = Ask::new("PATCH", "/orders/a%20b//c?x=1&y=%2F").header("x-custom", "kept").header("te", "trailers");
    let reply = client.send(ask.body("hello")).answer.expect(200);
    assert!(!reply.header("x-request-id").is_empty(), "{reply:?}");
    assert_eq!(reply.header("via"), "1.1 portunus");
    let seen = gate.upstream.last();
    assert_eq!((&*seen.method, &*seen.target, &*seen.body), ("PATCH", "/a%20b//c?x=1&y=%2F", b"hello".as_slice()));
    assert_eq!(seen.header("x-custom").as_deref(), Some("kept"));
    assert_eq!(seen.header("via").as_deref(), Some("2.0 portunus"));
    assert_eq!(seen.header("content-length").as_deref(), Some("5"));
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some(gate.process.gw_address()));
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    let line = gate.process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!((&line["method"], &line["status"]), (&"PATCH".into(), &200.into()));
}

#[test]
fn answers_are_those_of_http1() {
    let (gate, client) = gate();
    for path in
        ["/orders/x", "/orders/text", "/orders/status/404", "/orders/bytes/100000", "/orders/stream", "/nowhere"]
    {
        let one = gate.process.get(path).send();
        let two = client.send(Ask::get(path)).answer;
        assert_eq!(one.status, two.status, "{path}");
        let is_fixed = ["text", "100000", "stream"].iter().any(|end| path.ends_with(end));
        assert!(!is_fixed || one.body == two.body, "{path}");
        for name in ["content-type", "x-upstream", "set-cookie"] {
            assert_eq!(one.header_list(name), two.header_list(name), "{path} {name}");
        }
    }
    client.send(Ask::get("/nowhere")).answer.problem(404, "no_route");
    client.send(Ask::get("/orders/%2fx")).answer.problem(400, "bad_request");
    for name in ["connection", "keep-alive", "proxy-connection", "x-private", "transfer-encoding"] {
        let reply = client.send(Ask::get("/orders/hop")).answer.expect(200);
        assert_eq!(reply.header(name), "", "{name} is of the hop behind");
    }
}

#[test]
fn head_and_empty_answers_have_no_body() {
    let (_gate, client) = gate();
    let reply = client.send(Ask::new("HEAD", "/orders/bytes/1000")).answer.expect(200);
    assert_eq!((reply.body.len(), reply.header("content-length")), (0, "1000"));
    for status in [204, 304] {
        let reply = client.send(Ask::get(&format!("/orders/status/{status}"))).answer.expect(status);
        assert!(reply.body.is_empty());
    }
    client.send(Ask::get("/orders/x")).answer.is(200);
}

#[test]
fn cookies_that_come_apart_are_joined() {
    let (gate, client) = gate();
    let ask = Ask::get("/orders/x").header("cookie", "a=1").header("cookie", "b=2").header("cookie", "c=3; d=4");
    client.send(ask).answer.is(200);
    let cookies: Vec<_> = gate.upstream.last().headers.into_iter().filter(|(name, _)| name == "cookie").collect();
    assert_eq!(cookies, [("cookie".to_owned(), "a=1; b=2; c=3; d=4".to_owned())]);
}

#[test]
fn a_hundred_requests_share_a_connection() {
    let (gate, client) = gate();
    let pending: Vec<_> = (0..100).map(|i| client.begin(Ask::get(&format!("/orders/{i}/held")))).collect();
    eventually(SOON, "all of them at the upstream", || (gate.upstream.count() == 100).then_some(()));
    assert!(pending.iter().all(|pending| !pending.is_done()));
    // One more is answered while a hundred wait.
    client.send(Ask::get("/orders/x")).answer.is(200);
    gate.upstream.release();
    for pending in pending {
        let reply = pending.wait().answer.expect(200);
        assert_eq!(reply.text(), "first\nlast\n");
    }
}

#[test]
fn past_the_limit_a_stream_is_refused() {
    let gate = Gate::with(portunus().env("PORTUNUS_MAX_STREAMS_PER_CONNECTION", "4"));
    gate.admin.create_public_api("orders", &gate.upstream.url());
    let frames: Vec<u8> = (0..4).flat_map(|i| get(&gate.process, 2 * i + 1, "/orders/held")).collect();
    let mut connection = open(&gate.process, &frames);
    eventually(SOON, "four requests at the upstream", || (gate.upstream.count() == 4).then_some(()));
    connection.send(&get(&gate.process, 9, "/orders/x"));
    let reset = connection.wait(SOON, |frame| frame.stream == 9).expect("the fifth stream hears something");
    assert_eq!((reset.kind, error_code(&reset.payload)), (kind::RST_STREAM, Some(code::REFUSED_STREAM)));
    gate.upstream.release();
    for stream in [1, 3, 5, 7] {
        connection.wait(SOON, |frame| frame.stream == stream && frame.ends_stream()).expect("the others go on");
    }
    connection.send(&get(&gate.process, 11, "/orders/x"));
    connection.wait(SOON, |frame| frame.stream == 11 && frame.is_ok()).expect("there is room again");
    assert_eq!(gate.upstream.count(), 5);
    // A client that keeps to what it is told never meets the limit.
    let client = Client::connect(gate.process.gw_address());
    // Once it has been told, that is.
    client.begin(Ask::get("/orders/x")).wait().answer.is(200);
    let pending: Vec<_> = (0..20).map(|_| client.begin(Ask::get("/orders/delay/20"))).collect();
    for pending in pending {
        pending.wait().answer.is(200);
    }
}

#[test]
fn a_stream_that_is_reset_takes_its_call_to_the_upstream_along() {
    let upstream = portunus_testkit::upstream::Recorder::start();
    let process = portunus().start();
    process.api().create_public_api("orders", &upstream.url());
    upstream.set(portunus_testkit::upstream::Script::answer(""));
    let mut connection = open(&process, &get(&process, 1, "/orders/x"));
    eventually(SOON, "the request at the upstream", || (upstream.requests().len() == 1).then_some(()));
    connection.send(&frame(kind::RST_STREAM, 0, 1, &code::CANCEL.to_be_bytes()));
    eventually(SOON, "the end of the upstream's connection", || (upstream.open() == 0).then_some(()));
    process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["status"] == 499);
    assert!(!connection.is_closed());
}

#[test]
fn only_the_preface_makes_it_http2() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    // Neither an upgrade nor a second request turns a connection into HTTP/2.
    let upgrade = "GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
        http2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    let bytes = [upgrade.as_bytes(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].concat();
    let client = portunus_testkit::raw::exchange(process.gw_address(), &bytes, SOON);
    let text = client.text();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("HTTP/1.1 505 ") || text.contains("HTTP/1.1 400 "), "{text}");
    assert_eq!(upstream.count(), 1);
    assert!(upstream.last().header("upgrade").is_none() && upstream.last().header("http2-settings").is_none());
    let block = request("GET", process.gw_address(), "/orders/x");
    let connection = open(&process, &frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &block));
    assert!(connection.wait(SOON, |frame| frame.stream == 1 && frame.is_ok()).is_some());
}
