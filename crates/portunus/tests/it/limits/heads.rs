//! How large a head may be.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{End, exchange};

use super::{Bounded, GET};

/// A head of exactly so many bytes.
fn head_of(size: usize) -> String {
    let (start, end) = ("GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-pad: ", "\r\n\r\n");
    format!("{start}{}{end}", "a".repeat(size - start.len() - end.len()))
}

/// A head with exactly so many fields.
fn head_with(fields: usize) -> String {
    format!("GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n", "x-more: 1\r\n".repeat(fields - 2))
}

/// A head whose path and query have exactly so many bytes.
fn head_for(target: usize) -> String {
    let path = "/orders/x?q=";
    format!("GET {path}{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(target - path.len()))
}

#[track_caller]
fn served(gate: &Bounded, bytes: &str) {
    let client = exchange(gate.process.gw_address(), bytes.as_bytes(), SOON);
    assert_eq!(client.status(), Some(200), "{}", client.text());
    assert_eq!(gate.lines().len(), 1);
}

/// Refused and closed in order, with one line; the upstream saw nothing.
#[track_caller]
fn refused(gate: &Bounded, bytes: &str, status: u16, code: &str) {
    let client = exchange(gate.process.gw_address(), bytes.as_bytes(), SOON);
    assert_eq!((client.status(), client.end()), (Some(status), End::Closed), "{}", client.text());
    let text = client.text();
    assert!(text.contains(&format!("\"code\":\"{code}\"")) && text.contains("connection: close\r\n"), "{text}");
    assert!(gate.upstream.requests().is_empty(), "the upstream saw it");
    gate.one_line(status, code);
}

#[test]
fn a_head_has_at_most_so_many_bytes() {
    let gate = Bounded::start(&[("MAX_HEAD_BYTES", "2048")]);
    served(&gate, &head_of(2048));
    refused(&gate, &head_of(2049), 431, "head_too_large");
    refused(&gate, &head_of(100_000), 431, "head_too_large");
    // What has no end is not waited for.
    refused(&gate, head_of(4096).trim_end(), 431, "head_too_large");
    refused(&gate, &format!("GET /orders/{}", "a".repeat(4096)), 414, "uri_too_long");
}

#[test]
fn a_head_has_at_most_so_many_fields() {
    let gate = Bounded::start(&[("MAX_HEAD_FIELDS", "5")]);
    served(&gate, &head_with(5));
    refused(&gate, &head_with(6), 431, "head_too_large");
    refused(&gate, &head_with(400), 431, "head_too_large");
}

#[test]
fn a_target_has_at_most_so_many_bytes() {
    let gate = Bounded::start(&[("MAX_URI_BYTES", "256")]);
    served(&gate, &head_for(256));
    refused(&gate, &head_for(257), 414, "uri_too_long");
}

#[test]
fn the_usual_limits_are_wide() {
    let gate = Bounded::start(&[]);
    served(&gate, &head_of(60_000));
    served(&gate, &head_with(128));
    served(&gate, &head_for(16_384));
    refused(&gate, &head_of(70_000), 431, "head_too_large");
    refused(&gate, &head_with(129), 431, "head_too_large");
    refused(&gate, &head_for(16_385), 414, "uri_too_long");
}

#[test]
fn a_connection_has_at_most_so_many_requests() {
    let gate = Bounded::start(&[("MAX_REQUESTS_PER_CONNECTION", "3")]);
    let mut client = gate.send(&GET.repeat(5));
    assert!(client.read_to_end(SOON), "{}", client.text());
    let text = client.text();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert_eq!(text.matches("connection: close\r\n").count(), 1, "only the last one says so: {text}");
    let last = text.rfind("HTTP/1.1 200 OK");
    assert!(text.rfind("connection: close\r\n") > last, "{text}");
    assert_eq!(gate.upstream.requests().len(), 3, "what came after them is not carried out");
    assert_eq!(gate.lines().len(), 3);
}
