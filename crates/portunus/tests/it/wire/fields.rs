//! Header fields: how they are written, how many, how large.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;

use super::Wire;
use super::table::{Row, refused, run, served, wanted};

/// A GET whose head has these bytes behind the Host.
fn get(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /orders/x HTTP/1.1\r\nhost: x\r\n", lines.as_ref(), b"\r\n"].concat()
}

fn bad(name: &'static str, lines: impl AsRef<[u8]>) -> Row {
    refused(name, get(lines))
}

fn good(name: &'static str, lines: impl AsRef<[u8]>) -> Row {
    served(name, get(lines), wanted("GET", "/x"))
}

#[test]
fn lines_of_a_head_end_with_cr_and_lf() {
    run(&[
        refused("LF everywhere", "GET /orders/x HTTP/1.1\nhost: x\n\n"),
        refused("LF behind the request line", "GET /orders/x HTTP/1.1\nhost: x\r\n\r\n"),
        refused("LF at the end", "GET /orders/x HTTP/1.1\r\nhost: x\r\n\n"),
        refused("LF behind a field", "GET /orders/x HTTP/1.1\r\nhost: x\nx-a: 1\r\n\r\n"),
        refused("CR everywhere", "GET /orders/x HTTP/1.1\rhost: x\r\r\r\n\r\n"),
        refused("CR behind a field", "GET /orders/x HTTP/1.1\r\nhost: x\rx-a: 1\r\n\r\n"),
        refused("CR CR LF behind a field", "GET /orders/x HTTP/1.1\r\nhost: x\r\r\nx-a: 1\r\n\r\n"),
        refused("CR CR LF behind the request line", "GET /orders/x HTTP/1.1\r\r\nhost: x\r\n\r\n"),
        refused("CR and another byte at the end", "GET /orders/x HTTP/1.1\r\nhost: x\r\n\rX\r\n\r\n"),
        refused("LF CR", "GET /orders/x HTTP/1.1\n\rhost: x\n\r\n\r\r\n\r\n"),
        bad("a bare CR in a value", "x-a: 1\r2\r\n"),
        bad("a bare LF in a value", "x-a: 1\n2: 3\r\n"),
        bad("a bare CR in a name", "x\r-a: 1\r\n"),
        bad("a bare LF in a name", "x\n-a: 1\r\n"),
        refused("LF before the request line", "\nGET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n"),
        refused("CR before the request line", "\rGET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n"),
        served("an empty line before", "\r\nGET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n", wanted("GET", "/x")),
        served("two empty lines before", "\r\n\r\nGET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n", wanted("GET", "/x")),
    ]);
}

#[test]
fn a_field_is_a_name_a_colon_and_a_value() {
    run(&[
        bad("a space before the colon", "x-a : 1\r\n"),
        bad("a tab before the colon", "x-a\t: 1\r\n"),
        bad("a folded line, space", "x-a: 1\r\n 2\r\n"),
        bad("a folded line, tab", "x-a: 1\r\n\t2\r\n"),
        bad("a folded line that is empty", "x-a: 1\r\n \r\n"),
        bad("a folded framing", "content-length:\r\n 0\r\n"),
        refused("a space before the first field", "GET /orders/x HTTP/1.1\r\n host: x\r\nhost: x\r\n\r\n"),
        refused("a tab before the first field", "GET /orders/x HTTP/1.1\r\n\thost: x\r\nhost: x\r\n\r\n"),
        refused("a line of space before the first field", "GET /orders/x HTTP/1.1\r\n \r\nhost: x\r\n\r\n"),
        bad("no colon", "x-a\r\n"),
        bad("no colon but an equals sign", "x-a=1\r\n"),
        bad("a request line", "GET /orders/y HTTP/1.1\r\n"),
        bad("an empty name", ": 1\r\n"),
        bad("an empty name and value", ":\r\n"),
        bad("a space in a name", "x a: 1\r\n"),
        bad("a slash in a name", "x/a: 1\r\n"),
        bad("a parenthesis in a name", "x(a): 1\r\n"),
        bad("quotes in a name", "\"x-a\": 1\r\n"),
        bad("a bracket in a name", "x[a]: 1\r\n"),
        bad("a semicolon in a name", "x;a: 1\r\n"),
        bad("a NUL in a name", b"x\0a: 1\r\n"),
        bad("a control byte in a name", b"x\x01a: 1\r\n"),
        bad("a DEL in a name", b"x\x7fa: 1\r\n"),
        bad("a letter beyond ASCII in a name", "x-\u{e4}: 1\r\n"),
        bad("a NUL in a value", b"x-a: 1\0\r\n"),
        bad("a control byte in a value", b"x-a: \x01\r\n"),
        bad("an escape in a value", b"x-a: \x1b[1m\r\n"),
        bad("a backspace in a value", b"x-a: \x08\r\n"),
        bad("a vertical tab in a value", b"x-a: \x0b\r\n"),
        bad("a DEL in a value", b"x-a: \x7f\r\n"),
        good("a tab in a value", "x-a: 1\t2\r\n"),
        good("an empty value", "x-a:\r\n"),
        good("bytes beyond ASCII in a value", b"x-a: \xe4\xff\r\n"),
        good("every character of a token in a name", "!#$%&'*+-.^_`|~09azAZ: 1\r\n"),
        good("a name in capitals", "X-A: 1\r\n"),
    ]);
}

#[test]
fn a_head_is_bounded() {
    let lines = |count: usize| "x-a: 1\r\n".repeat(count);
    let too_large = &[431];
    run(&[
        good("a field of 60 KiB", format!("x-a: {}\r\n", "a".repeat(60 * 1024))),
        bad("a field of 70 KiB", format!("x-a: {}\r\n", "a".repeat(70 * 1024))).with(too_large),
        bad("a name of 70 KiB", format!("{}: 1\r\n", "a".repeat(70 * 1024))).with(too_large),
        bad("70 fields of 1 KiB", format!("x-a: {}\r\n", "a".repeat(1024)).repeat(70)).with(too_large),
        refused("a head without end", format!("GET /orders/x HTTP/1.1\r\nhost: x\r\nx-a: {}", "a".repeat(100 * 1024)))
            .with(too_large),
        good("120 lines", lines(119)),
        bad("200 lines", lines(199)).with(too_large),
        bad("2000 lines", lines(1999)).with(too_large),
    ]);
}

#[test]
fn bytes_that_are_no_http_are_refused() {
    let any = &[400, 431, 505];
    let ended = |bytes: Vec<u8>| [bytes, b"\r\n\r\n".to_vec()].concat();
    run(&[
        refused("a greeting of TLS", ended(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20))).with(any),
        refused("NULs", ended(b"\0".repeat(300))).with(any),
        refused("binary bytes", ended((0..=255).collect())).with(any),
        refused("a line of text", "hello world\r\n\r\n").with(any),
        refused("an answer", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").with(any),
        refused("a request for SMTP", "EHLO there\r\n\r\n").with(any),
        refused("a PROXY line", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n")
            .with(any),
    ]);
}

#[test]
fn values_are_passed_on_byte_for_byte() {
    let wire = Wire::start();
    let lines = b"x-a: \xe4\xff \t b\r\nx-empty:\r\nx-two: 1\r\nX-Two:  2, \"3\" \r\nconnection: close\r\n";
    let answer = exchange(wire.process.gw_address(), &get(lines), SOON);
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    let request = wire.upstream.take().pop().expect("the upstream was asked");
    let values = |name: &str| -> Vec<&[u8]> {
        request.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_slice()).collect()
    };
    assert_eq!(values("x-a"), [b"\xe4\xff \t b".as_slice()]);
    assert_eq!(values("x-empty"), [b"".as_slice()]);
    assert_eq!(values("x-two"), [b"1".as_slice(), b"2, \"3\""]);
}
