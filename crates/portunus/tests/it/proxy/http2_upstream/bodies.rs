//! Bodies and trailers to and from upstreams that speak HTTP/2.

use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, exchange};
use portunus_testkit::upstream::Speaks;
use portunus_testkit::{Upstream, eventually};
use serde_json::json;

use super::orders;
use crate::Gate;

#[test]
fn grpc_goes_through_with_its_trailers() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({}));
    let client = Client::connect(process.gw_address());
    let ask = Ask::new("POST", "/orders/shop.Orders/Get/grpc").header("te", "trailers");
    let ask = ask.header("content-type", "application/grpc").body("\0\0\0\0\x05hello").trailer("x-sum", "7");
    let reply = client.send(ask);
    reply.answer.is(200);
    assert_eq!(reply.answer.body, b"\0\0\0\0\x05hello");
    assert_eq!(reply.trailers.get("grpc-status").map(|value| value.as_bytes()), Some(&b"0"[..]));
    let seen = upstream.last();
    assert_eq!(seen.header("te").as_deref(), Some("trailers"));
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "7".to_owned())]);
}

#[test]
fn trailers_reach_clients_with_http_1_1_and_come_from_them() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({}));
    let request = "POST /orders/grpc HTTP/1.1\r\nhost: x\r\nconnection: close, te\r\nte: trailers\r\n\
                   transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\n\r\n";
    let answer = exchange(process.gw_address(), request.as_bytes(), SOON).text();
    assert!(answer.ends_with("\r\n0\r\ngrpc-status: 0\r\n\r\n"), "{answer}");
    let seen = upstream.last();
    assert_eq!((seen.body.as_slice(), seen.header("te").as_deref()), (&b"hi"[..], Some("trailers")));
    assert_eq!(seen.trailers, [("x-sum".to_owned(), "7".to_owned())], "what frames a message is no trailer");
}

#[test]
fn a_client_with_http_2_reaches_an_upstream_with_http_1_1() {
    let Gate { process, admin, upstream } = Gate::start();
    orders(&admin, &upstream.url(), &json!({"http_version": "http1"}));
    let client = Client::connect(process.gw_address());
    let ask = Ask::new("POST", "/orders/x").header("te", "trailers").body("hello").trailer("x-sum", "7");
    let reply = client.send(ask);
    assert_eq!(reply.answer.expect(200).json["body"], "hello");
    let seen = upstream.last();
    assert_eq!((seen.header("te"), seen.trailers.len()), (None, 1));
}

#[test]
fn answers_and_requests_are_streamed_as_they_come() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({}));
    let mut reader = Connection::open(process.gw_address());
    assert!(reader.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert!(reader.read_text(SOON, "first\n"), "{}", reader.text());
    assert!(!reader.text().contains("last"));
    upstream.release();
    assert!(reader.read_text(SOON, "last\n"), "{}", reader.text());
    let mut writer = Connection::open(process.gw_address());
    writer.send(
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n6\r\nfirst;\r\n",
    );
    eventually(SOON, "the first chunk at the upstream", || (upstream.body_bytes() == 6).then_some(()));
    writer.send(b"4\r\nlast\r\n0\r\n\r\n");
    assert!(writer.read_to_end(SOON));
    assert_eq!(writer.status(), Some(200), "{}", writer.text());
    assert_eq!(upstream.last().body, b"first;last");
}

#[test]
fn large_bodies_go_both_ways_unharmed() {
    const SIZE: usize = 20_000_000;
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({}));
    let content: Vec<u8> = (0..SIZE).map(|i| u8::try_from(i % 251).expect("below 251")).collect();
    let before = process.rss_kb();
    process.call("POST", "/orders/status/204").body(content.clone()).send().is(204);
    assert!(upstream.last().body == content, "every byte arrives");
    let answer = process.get(&format!("/orders/bytes/{SIZE}")).send().expect(200);
    assert_eq!(answer.body.len(), SIZE);
    assert!(answer.body.iter().enumerate().all(|(i, byte)| usize::from(byte - b'a') == i % 26));
    let grown = process.rss_kb().saturating_sub(before);
    assert!(grown < 20_000, "bodies are streamed, not kept: {grown} KiB more");
}

#[test]
fn a_client_that_reads_slowly_stops_its_own_answer_only() {
    const SIZE: usize = 15_000_000;
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    upstream.forget();
    orders(&admin, &upstream.url(), &json!({}));
    let before = process.rss_kb();
    let stalled: Vec<Connection> = (0..8)
        .map(|_| {
            let mut client = Connection::open(process.gw_address());
            client.send(format!("GET /orders/bytes/{SIZE} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
            assert!(client.read_text(SOON, "content-length"));
            client
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(process.get("/orders/bytes/300000").send().expect(200).body.len(), 300_000);
    }
    let grown = process.rss_kb().saturating_sub(before);
    assert!(grown < 30_000, "{grown} KiB more for {} that do not read", stalled.len());
}

#[test]
fn the_limit_of_a_body_holds() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    let api = orders(&admin, &upstream.url(), &json!({}));
    admin.policy_on(&api, "body_limit", &json!({"max_bytes": 1000}));
    let head = "POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunk = format!("190\r\n{}\r\n", "y".repeat(0x190));
    let bad = exchange(process.gw_address(), format!("{head}{chunk}{chunk}{chunk}{chunk}0\r\n\r\n").as_bytes(), SOON);
    assert_eq!(bad.status(), Some(413), "{}", bad.text());
    assert!(upstream.seen().is_empty(), "no whole request arrives");
    process.get("/orders/after").send().is(200);
}

#[test]
fn a_client_that_goes_away_takes_its_stream_along() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(1));
    // With one worker and one stream on each of few connections, streams that stay would use up all of them.
    orders(&admin, &upstream.url(), &json!({"connect_timeout_ms": 2000}));
    for _ in 0..40 {
        let mut waiting = Connection::open(process.gw_address());
        waiting.send(b"GET /orders/delay/60000 HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut sending = Connection::open(process.gw_address());
        sending.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc");
        let mut reading = Connection::open(process.gw_address());
        reading.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(reading.read_text(SOON, "first"), "{}", reading.text());
    }
    process.get("/orders/after").send().is(200);
    assert!(!process.stdout().text().contains("PANIC"));
}
