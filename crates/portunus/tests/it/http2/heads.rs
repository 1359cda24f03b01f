//! Heads that could mean two things, or are too large.

use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::http2::{Connection, END_HEADERS, END_STREAM, field, frame, kind, request};
use portunus_testkit::poll::SOON;

use super::{code, error_code, get, open};
use crate::{Gate, portunus};

const LARGEST_FRAME: usize = 16_384;

/// The frames of a GET with these further fields.
fn with_fields(gate: &Gate, stream: u32, fields: &[u8]) -> Vec<u8> {
    let block = [&request("GET", gate.process.gw_address(), "/orders/x"), fields].concat();
    let mut pieces = block.chunks(LARGEST_FRAME).peekable();
    let mut frames = Vec::new();
    let mut kind = kind::HEADERS;
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let flags = if kind == kind::HEADERS { END_STREAM | end } else { end };
        frames.extend(frame(kind, flags, stream, piece));
        kind = kind::CONTINUATION;
    }
    frames
}

fn gate(settings: &[(&str, &str)]) -> Gate {
    let builder = settings.iter().fold(portunus(), |builder, (name, value)| builder.env(name, value));
    let gate = Gate::with(builder);
    gate.admin.create_public_api("orders", &gate.upstream.url());
    gate
}

/// Insists that a request on the same connection is served, or, when the gateway has closed that, on a new one.
#[track_caller]
fn others_are_served(gate: &Gate, connection: &mut Connection) {
    let before = gate.upstream.count();
    connection.send(&get(&gate.process, 1001, "/orders/after"));
    if connection.wait(SOON, |frame| frame.stream == 1001 && frame.is_ok()).is_none() {
        assert!(connection.is_closed(), "the next stream is neither served nor told to go elsewhere");
        gate.process.get("/orders/after").send().is(200);
    }
    assert_eq!(gate.upstream.count(), before + 1, "the upstream saw more than the good request");
}

#[test]
fn two_hosts_are_refused() {
    let gate = gate(&[]);
    let client = Client::connect(gate.process.gw_address());
    client.send(Ask::get("/orders/x").header("host", "other.example")).answer.problem(400, "bad_request");
    assert_eq!(gate.upstream.count(), 0);
    let line = gate.process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!((&line["status"], &line["reason"]), (&400.into(), &"bad_request".into()));
    let mut connection = open(&gate.process, &with_fields(&gate, 1, &field("host", gate.process.gw_address(), false)));
    connection.wait(SOON, |frame| frame.stream == 1 && frame.is_ok()).expect("twice the same is one host");
    others_are_served(&gate, &mut connection);
}

#[test]
fn what_http2_does_not_allow_resets_the_stream_and_no_more() {
    let gate = gate(&[]);
    for (name, value) in [
        ("connection", "keep-alive"),
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("X-Upper", "1"),
        ("x y", "1"),
        ("x:y", "1"),
        ("", "1"),
        ("x-line", "a\r\ninjected: 1"),
        ("x-nul", "a\0b"),
        (":path", "/orders/second"),
        (":unknown", "1"),
        ("content-length", "5"),
        ("content-length", "+0"),
    ] {
        let mut connection = open(&gate.process, &with_fields(&gate, 1, &field(name, value, false)));
        let heard = connection.wait(SOON, |frame| frame.stream == 1 || frame.kind == kind::GOAWAY);
        let heard = heard.unwrap_or_else(|| panic!("{name}: {value:?} is not refused"));
        let is_refused = match heard.kind {
            kind::RST_STREAM | kind::GOAWAY => error_code(&heard.payload) != Some(code::NO_ERROR),
            // The status 400 is entry 12 of the static table.
            _ => heard.payload.first() == Some(&0x8c),
        };
        assert!(is_refused, "{name}: {value:?} is let through: {heard:?}");
        others_are_served(&gate, &mut connection);
    }
    assert!(gate.upstream.seen().iter().all(|seen| seen.target == "/after"), "{:?}", gate.upstream.seen());
}

#[test]
fn a_request_without_its_parts_is_malformed() {
    let gate = gate(&[]);
    // The static table: 2 is GET, 6 is http, 4 is `/`.
    for (what, block) in [
        ("no path", vec![0x82, 0x86]),
        ("no method", vec![0x86, 0x84]),
        ("no scheme", vec![0x82, 0x84]),
        ("nothing", vec![]),
        ("a status", vec![0x82, 0x86, 0x84, 0x88]),
    ] {
        let mut connection = open(&gate.process, &frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &block));
        let heard = connection.wait(SOON, |frame| frame.stream == 1 || frame.kind == kind::GOAWAY);
        let heard = heard.unwrap_or_else(|| panic!("{what} is not refused"));
        let reason = error_code(&heard.payload);
        assert!(
            heard.kind == kind::RST_STREAM && reason == Some(code::PROTOCOL_ERROR)
                || heard.payload.first() == Some(&0x8c),
            "{what}: {heard:?}"
        );
        others_are_served(&gate, &mut connection);
    }
}

#[test]
fn a_host_in_place_of_the_authority_is_good() {
    let gate = gate(&[]);
    // A path of literals behind GET and http; no authority.
    let mut block = vec![0x82, 0x86, 0x04, 9];
    block.extend_from_slice(b"/orders/x");
    block.extend(field("host", "orders.example", false));
    let connection = open(&gate.process, &frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &block));
    connection.wait(SOON, |frame| frame.stream == 1 && frame.is_ok()).expect("it is served");
    assert_eq!(gate.upstream.last().header("x-forwarded-host").as_deref(), Some("orders.example"));
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let gate = gate(&[("PORTUNUS_MAX_HEAD_BYTES", "4096"), ("PORTUNUS_MAX_URI_BYTES", "512")]);
    let many: Vec<u8> = (0..100).flat_map(|i| field(&format!("x-{i}"), &"v".repeat(100), false)).collect();
    for fields in [field("x-large", &"a".repeat(8000), false), field("x-large", &"a".repeat(60_000), false), many] {
        let mut connection = open(&gate.process, &with_fields(&gate, 1, &fields));
        let heard = connection.wait(SOON, |frame| frame.stream == 1 || frame.kind == kind::GOAWAY);
        let heard = heard.expect("it is refused");
        // 431 is not in the static table: its name is entry 8, then come three digits, plain or packed.
        let is_431 = heard.kind == kind::HEADERS && !heard.is_ok();
        let is_reset = matches!(heard.kind, kind::RST_STREAM | kind::GOAWAY);
        assert!(is_431 || is_reset, "{heard:?}");
        others_are_served(&gate, &mut connection);
    }
    let client = Client::connect(gate.process.gw_address());
    client.send(Ask::get(&format!("/orders/{}", "a".repeat(600)))).answer.problem(414, "uri_too_long");
}

#[test]
fn a_head_has_at_most_so_many_fields() {
    let gate = gate(&[("PORTUNUS_MAX_HEAD_FIELDS", "8")]);
    let few: Vec<u8> = (0..5).flat_map(|i| field(&format!("x-{i}"), "v", false)).collect();
    let many: Vec<u8> = (0..50).flat_map(|i| field(&format!("x-{i}"), "v", false)).collect();
    let mut connection = open(&gate.process, &with_fields(&gate, 1, &few));
    connection.wait(SOON, |frame| frame.stream == 1 && frame.is_ok()).expect("a few are fine");
    connection.send(&with_fields(&gate, 3, &many));
    let heard = connection.wait(SOON, |frame| frame.stream == 3).expect("too many are refused");
    assert!(!heard.is_ok(), "{heard:?}");
    let line = gate.process.wait_log(SOON, |entry| entry["status"] == 431);
    assert_eq!(line["reason"], "head_too_large");
    others_are_served(&gate, &mut connection);
}
