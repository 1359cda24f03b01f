//! Clients that ask and then do nothing.

use std::time::{Duration, Instant};

use portunus_testkit::eventually;
use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::http2::{Connection, END_HEADERS, field, frame, kind, request};
use portunus_testkit::poll::{SOON, pause};
use portunus_testkit::upstream::Recorder;
use serde_json::json;

use super::{INITIAL_WINDOW_SIZE, code, error_code, get, open};
use crate::{Gate, portunus};

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WRITE_TIMEOUT_MS", "500"));
    admin.create_public_api("orders", &upstream.url());
    // A large answer and a small one.
    for path in ["/orders/bytes/5000000", "/orders/x"] {
        let mut connection = Connection::open(process.gw_address(), &[(INITIAL_WINDOW_SIZE, 0)]);
        let start = Instant::now();
        connection.send(&get(&process, 1, path));
        assert!(connection.wait_closed(SOON), "{path}: a client that takes nothing is waited for");
        assert!(start.elapsed() >= Duration::from_millis(500), "{path}: too early: {:?}", start.elapsed());
    }
    // Who waits for the upstream is not silent.
    let client = Client::connect(process.gw_address());
    client.send(Ask::get("/orders/delay/2500")).answer.is(200);
}

#[test]
fn a_body_that_stalls_is_refused_and_the_upstreams_request_aborted() {
    let (process, upstream) = (portunus().env("PORTUNUS_BODY_TIMEOUT_MS", "500").start(), Recorder::start());
    let fields =
        json!({"access": "public", "upstream": {"targets": [{"url": upstream.url()}], "response_timeout_ms": 20_000}});
    process.api().create_api_with("orders", "", &fields);
    let block = [request("POST", process.gw_address(), "/orders/x"), field("content-length", "10", false)].concat();
    let frames = [frame(kind::HEADERS, END_HEADERS, 1, &block), frame(kind::DATA, 0, 1, b"hello")].concat();
    let start = Instant::now();
    let connection = open(&process, &frames);
    eventually(SOON, "the request at the upstream", || (upstream.requests().len() == 1).then_some(()));
    let heard = connection.wait(SOON, |frame| frame.stream == 1).expect("it is refused");
    assert!(start.elapsed() >= Duration::from_millis(500), "too early: {:?}", start.elapsed());
    assert!(matches!(heard.kind, kind::HEADERS | kind::RST_STREAM) && !heard.is_ok(), "{heard:?}");
    eventually(SOON, "the end of the upstream's connection", || (upstream.open() == 0).then_some(()));
    assert!(upstream.requests().iter().all(|request| !request.is_complete));
    let line = process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!((&line["status"], &line["reason"]), (&408.into(), &"request_timeout".into()));
    assert!(!connection.is_closed(), "the other streams of the connection go on");
}

#[test]
fn a_connection_that_rests_too_long_is_told_to_go() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_IDLE_TIMEOUT_MS", "500"));
    admin.create_public_api("orders", &upstream.url());
    let client = Client::connect(process.gw_address());
    client.send(Ask::get("/orders/x")).answer.is(200);
    // A connection with a request under way does not rest.
    client.send(Ask::get("/orders/delay/2500")).answer.is(200);
    eventually(SOON, "the end of the connection", || client.is_closed().then_some(()));
    let silent = open(&process, &[]);
    let goaway = silent.wait(SOON, |frame| frame.kind == kind::GOAWAY).expect("who never asks is told to go, too");
    assert_eq!(error_code(&goaway.payload), Some(code::NO_ERROR));
}

#[test]
fn half_a_preface_is_not_waited_for() {
    let process = portunus().env("PORTUNUS_HEAD_TIMEOUT_MS", "300").start();
    let mut client = portunus_testkit::raw::Connection::open(process.gw_address());
    client.send(b"PRI * HTTP/2.0\r\n\r\n");
    pause(Duration::from_millis(100));
    client.send(b"SM");
    assert!(client.read_to_end(SOON), "it is waited for: {}", client.text());
}
