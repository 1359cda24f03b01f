//! Bodies: streamed, large, limited, absent.

use portunus_testkit::eventually;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, exchange};
use serde_json::json;

use crate::Gate;

#[test]
fn an_answer_is_streamed_as_it_comes() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    assert!(client.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert!(client.read_text(SOON, "first\n"), "{}", client.text());
    assert!(!client.text().contains("last"));
    upstream.release();
    assert!(client.read_text(SOON, "last\n"), "{}", client.text());
    let whole = process.get("/orders/stream").send().expect(200).text();
    assert_eq!(whole, "chunk 1\nchunk 2\nchunk 3\nchunk 4\nchunk 5\n");
}

#[test]
fn a_request_is_streamed_as_it_comes() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    client.send(
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n6\r\nfirst;\r\n",
    );
    eventually(SOON, "the first chunk at the upstream", || (upstream.body_bytes() == 6).then_some(()));
    client.send(b"4\r\nlast\r\n0\r\n\r\n");
    assert!(client.read_to_end(SOON));
    assert_eq!(client.status(), Some(200), "{}", client.text());
    assert_eq!(upstream.last().body, b"first;last");
}

#[test]
fn large_bodies_go_both_ways_unharmed() {
    const SIZE: usize = 20_000_000;
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    upstream.forget();
    let content: Vec<u8> = (0..SIZE).map(|i| u8::try_from(i % 251).expect("below 251")).collect();
    let before = process.rss_kb();
    process.call("POST", "/orders/status/204").body(content).send().is(204);
    assert_eq!(upstream.body_bytes(), SIZE as u64);
    let answer = process.get(&format!("/orders/bytes/{SIZE}")).send().expect(200);
    assert_eq!(answer.body.len(), SIZE);
    assert!(answer.body.iter().enumerate().all(|(i, byte)| usize::from(byte - b'a') == i % 26));
    let grown = process.rss_kb().saturating_sub(before);
    assert!(grown < 20_000, "bodies are streamed, not kept: {grown} KiB more");
}

#[test]
fn head_has_the_fields_and_no_body() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let request = b"HEAD /orders/bytes/1234 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(process.gw_address(), request, SOON);
    let text = answer.text().to_lowercase();
    assert!(text.contains("content-length: 1234\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    assert_eq!(upstream.last().method, "HEAD");
}

#[test]
fn answers_without_a_body_stay_so() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    for status in ["204", "304"] {
        client.send(format!("GET /orders/status/{status} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        assert!(client.read_text(SOON, &format!("HTTP/1.1 {status} ")), "{}", client.text());
    }
    client.send(b"GET /orders/after HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(client.read_text(SOON, "\"path\":\"/after\""), "{}", client.text());
}

#[test]
fn requests_in_one_packet_are_answered_in_their_order() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let requests = "GET /orders/one HTTP/1.1\r\nhost: x\r\n\r\n\
                    POST /orders/two HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc\
                    GET /orders/three HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(process.gw_address(), requests.as_bytes(), SOON).text();
    let at = |path: &str| answer.find(&format!("\"path\":\"{path}\"")).unwrap_or_else(|| panic!("{path}: {answer}"));
    assert!(at("/one") < at("/two") && at("/two") < at("/three"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    client.send(
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
    );
    assert!(client.read_text(SOON, "HTTP/1.1 100 Continue\r\n\r\n"), "{}", client.text());
    client.send(b"hello");
    assert!(client.read_text(SOON, "\"body\":\"hello\""), "{}", client.text());
}

#[test]
fn an_http_1_0_client_is_served_and_let_go() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let answer = exchange(process.gw_address(), b"GET /orders/stream HTTP/1.0\r\nhost: x\r\n\r\n", SOON);
    let text = answer.text();
    assert_eq!(answer.status(), Some(200), "{text}");
    assert!(!text.to_lowercase().contains("transfer-encoding"), "{text}");
    assert!(text.ends_with("chunk 5\n"), "{text}");
}

#[test]
fn body_limit_refuses_what_is_announced_too_large() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "body_limit", &json!({"max_bytes": 1000}));
    process.call("POST", "/orders/x").body(vec![b'x'; 1000]).send().is(200);
    let request = b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\nconnection: close\r\n\r\n";
    let answer = exchange(process.gw_address(), request, SOON);
    assert_eq!(answer.status(), Some(413), "refused before the body is sent: {}", answer.text());
    assert!(answer.text().contains("body_too_large"), "{}", answer.text());
    assert_eq!(upstream.count(), 1, "the upstream was not asked");
}

#[test]
fn body_limit_refuses_chunks_that_become_too_large() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    admin.policy_on(&api, "body_limit", &json!({"max_bytes": 1000}));
    let head = "POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunk = format!("190\r\n{}\r\n", "y".repeat(0x190));
    let good = exchange(process.gw_address(), format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes(), SOON);
    assert_eq!(good.status(), Some(200), "{}", good.text());
    let bad = exchange(process.gw_address(), format!("{head}{chunk}{chunk}{chunk}{chunk}0\r\n\r\n").as_bytes(), SOON);
    assert_eq!(bad.status(), Some(413), "{}", bad.text());
    assert!(bad.text().contains("body_too_large"), "{}", bad.text());
    assert!(upstream.seen().iter().all(|seen| seen.body.len() <= 1000));
    process.get("/orders/after").send().is(200);
}

#[test]
fn a_client_that_goes_away_takes_its_request_along() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    for _ in 0..5 {
        let mut client = Connection::open(process.gw_address());
        client.send(b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc");
        let mut reader = Connection::open(process.gw_address());
        reader.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(reader.read_text(SOON, "first"));
    }
    process.get("/orders/after").send().is(200);
    assert!(!process.stdout().text().contains("PANIC"));
}

#[test]
fn a_client_that_leaves_has_its_one_line_in_the_log() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    client.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(client.read_text(SOON, "first"));
    drop(client);
    let mut early = Connection::open(process.gw_address());
    early.send(b"GET /orders/delay/20000 HTTP/1.1\r\nhost: x\r\n\r\n");
    eventually(SOON, "the request at the upstream", || (upstream.count() == 2).then_some(()));
    drop(early);
    for path in ["/orders/held", "/orders/delay/20000"] {
        process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["path"] == path);
    }
    process.get("/orders/after").send().is(200);
    process.wait_log(SOON, |entry| entry["path"] == "/orders/after");
    let lines = process.stdout().entries();
    assert_eq!(lines.iter().filter(|entry| entry["message"] == "request completed").count(), 3);
}
