//! Bodies and the fields behind them.

use portunus_testkit::eventually;
use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::http2::{END_HEADERS, END_STREAM, field, frame, kind, request};
use portunus_testkit::poll::SOON;
use portunus_testkit::upstream::{Recorder, Script};

use super::{code, error_code, open};
use crate::{Gate, portunus};

#[test]
fn large_bodies_pass_in_both_directions() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let client = Client::connect(process.gw_address());
    let size = 5_000_000;
    let body: Vec<u8> = (0..size).map(|i| b'a' + (i % 26) as u8).collect();
    let sent = client.begin(Ask::new("POST", "/orders/x").body(body.clone()));
    let got = client.begin(Ask::get(&format!("/orders/bytes/{size}")));
    let got = got.wait().answer.expect(200);
    assert!(got.body == body, "the answer is another one");
    assert_eq!(got.header("content-length"), size.to_string());
    sent.wait().answer.is(200);
    assert!(upstream.seen().iter().any(|seen| seen.body == body), "the upstream got another one");
}

#[test]
fn trailers_pass_in_both_directions() {
    let (process, upstream) = (portunus().start(), Recorder::start());
    process.api().create_public_api("orders", &upstream.url());
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-checksum: 7\r\n\r\n";
    upstream.set(Script::answer(answer));
    let client = Client::connect(process.gw_address());
    let reply = client.send(Ask::new("POST", "/orders/x").body("hello").trailer("x-digest", "5"));
    assert_eq!((reply.answer.status, &*reply.answer.body), (200, b"ok".as_slice()));
    assert_eq!(reply.trailers.get("x-checksum").map(|value| value.as_bytes()), Some(b"7".as_slice()));
    let request = upstream.requests().pop().expect("the upstream was asked");
    assert_eq!((&*request.body, request.is_complete), (b"hello".as_slice(), true));
    assert_eq!(request.trailers, [("x-digest".to_owned(), b"5".to_vec())]);
}

#[test]
fn trailers_cannot_frame_route_or_authenticate() {
    let (process, upstream) = (portunus().start(), Recorder::start());
    process.api().create_public_api("orders", &upstream.url());
    let names =
        ["content-length", "host", "authorization", "cookie", "expect", "trailer", "proxy-authorization", "x-kept"];
    let ask = Ask::new("POST", "/orders/x").body("hello");
    let ask = names.into_iter().fold(ask, |ask, name| ask.trailer(name, "5"));
    Client::connect(process.gw_address()).send(ask).answer.is(200);
    let request = upstream.requests().pop().expect("the upstream was asked");
    assert_eq!(request.trailers, [("x-kept".to_owned(), b"5".to_vec())]);
}

#[test]
fn a_body_has_at_most_so_many_bytes() {
    let (process, upstream) = (portunus().env("PORTUNUS_MAX_BODY_BYTES", "1000").start(), Recorder::start());
    process.api().create_public_api("orders", &upstream.url());
    let client = Client::connect(process.gw_address());
    client.send(Ask::new("POST", "/orders/x").body(vec![b'a'; 1000])).answer.is(200);
    upstream.take();
    client.send(Ask::new("POST", "/orders/x").body(vec![b'a'; 1001])).answer.problem(413, "body_too_large");
    // Without a length, as with trailers, it is counted.
    let ask = Ask::new("POST", "/orders/x").body(vec![b'a'; 5000]).trailer("x-digest", "5");
    client.send(ask).answer.problem(413, "body_too_large");
    assert!(upstream.requests().iter().all(|request| !request.is_complete), "the upstream got it all");
    client.send(Ask::get("/orders/x")).answer.is(200);
    for _ in 0..2 {
        let is_refusal = |entry: &serde_json::Value| entry["status"] == 413 && entry["reason"] == "body_too_large";
        process.wait_log(SOON, is_refusal);
    }
}

/// A POST that says that its body has ten bytes, and these pieces of it; the last one ends it.
fn ten_bytes(process: &portunus_testkit::Portunus, pieces: &[&str]) -> Vec<u8> {
    let block = [request("POST", process.gw_address(), "/orders/x"), field("content-length", "10", false)].concat();
    let mut frames = frame(kind::HEADERS, END_HEADERS, 1, &block);
    for (number, piece) in pieces.iter().enumerate() {
        let flags = if number + 1 == pieces.len() { END_STREAM } else { 0 };
        frames.extend(frame(kind::DATA, flags, 1, piece.as_bytes()));
    }
    frames
}

#[test]
fn a_body_of_another_length_than_told_is_not_believed() {
    let (process, upstream) = (portunus().start(), Recorder::start());
    process.api().create_public_api("orders", &upstream.url());
    let connection = open(&process, &ten_bytes(&process, &["hello", "world"]));
    connection.wait(SOON, |frame| frame.stream == 1 && frame.is_ok()).expect("ten are ten");
    assert_eq!(upstream.take().len(), 1);
    for pieces in
        [&["hello"][..], &["hello", "wor"], &["hello world"], &["hello", "world", "!"], &["GET / HTTP/1.1\r\n\r\n"]]
    {
        let connection = open(&process, &ten_bytes(&process, pieces));
        let heard = connection.wait(SOON, |frame| frame.stream == 1).expect("it is refused");
        let is_reset = heard.kind == kind::RST_STREAM && error_code(&heard.payload) == Some(code::PROTOCOL_ERROR);
        // The status 400 is entry 12 of the static table.
        assert!(is_reset || heard.payload.first() == Some(&0x8c), "{pieces:?}: {heard:?}");
        process.get("/orders/after").send().is(200);
        eventually(SOON, "an end of what was begun", || (upstream.open() <= 1).then_some(()));
        let complete: Vec<_> = upstream.take().into_iter().filter(|request| request.is_complete).collect();
        assert!(complete.len() == 1 && complete[0].start.contains("/after"), "{pieces:?}: {complete:?}");
        assert!(upstream.faults().is_empty(), "{pieces:?}: {:?}", upstream.faults());
    }
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_be_broken() {
    let (process, upstream) = (portunus().start(), Recorder::start());
    process.api().create_public_api("orders", &upstream.url());
    let client = Client::connect(process.gw_address());
    for broken in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n",
    ] {
        upstream.set(Script::closing(broken));
        let reply = client.begin(Ask::get("/orders/x")).try_wait();
        assert!(reply.is_err(), "{broken:?} looks whole: {reply:?}");
    }
    upstream.set(Script::closing("nonsense\r\n\r\n"));
    client.send(Ask::get("/orders/x")).answer.problem(502, "upstream_error");
    assert!(!client.is_closed(), "the other streams of the connection go on");
}
