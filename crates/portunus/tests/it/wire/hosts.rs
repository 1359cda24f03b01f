//! `Host`: one, and a host.

use super::table::{Row, refused, run, served, wanted};

fn with_host(host: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /orders/x HTTP/1.1\r\nhost: ", host.as_ref(), b"\r\n\r\n"].concat()
}

fn bad(name: &'static str, host: impl AsRef<[u8]>) -> Row {
    refused(name, with_host(host))
}

fn good(name: &'static str, host: &str) -> Row {
    served(name, with_host(host), wanted("GET", "/x"))
}

#[test]
fn a_request_has_one_host_and_it_is_a_host() {
    run(&[
        good("a name", "api.example.com"),
        good("a name and a port", "api.example.com:8080"),
        good("a name in capitals", "API.Example.COM"),
        good("an address", "192.0.2.1:80"),
        good("an address of IPv6", "[2001:db8::1]:80"),
        good("a dot at the end", "api.example.com."),
        refused("none", "GET /orders/x HTTP/1.1\r\nx-a: 1\r\n\r\n"),
        served("none in HTTP/1.0", "GET /orders/x HTTP/1.0\r\n\r\n", wanted("GET", "/x")).closed(),
        refused("two that differ", "GET /orders/x HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
        refused("two that agree", "GET /orders/x HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n"),
        refused("two, apart and in capitals", "GET /orders/x HTTP/1.1\r\nHost: x\r\nx-a: 1\r\nHOST: x\r\n\r\n"),
        refused("two in HTTP/1.0", "GET /orders/x HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n"),
        refused("two and an absolute form", "GET http://x/orders/x HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
        refused("none and an absolute form", "GET http://x/orders/x HTTP/1.1\r\nx-a: 1\r\n\r\n"),
        refused("a space before the colon", "GET /orders/x HTTP/1.1\r\nhost : x\r\n\r\n"),
        bad("user information", "user@x"),
        bad("a user and a password", "user:pass@x"),
        bad("a space", "x y"),
        bad("a path", "x/y"),
        bad("a backslash", "x\\y"),
        bad("a query", "x?y"),
        bad("a fragment", "x#y"),
        bad("a list", "x,y"),
        bad("a list with a space", "x, y"),
        bad("a scheme", "http://x"),
        bad("a port that is no number", "x:y"),
        bad("a port that is too large", "x:99999"),
        bad("a negative port", "x:-1"),
        bad("a port with a plus", "x:+80"),
        bad("two ports", "x:80:80"),
        bad("a bracket that is not closed", "[::1"),
        bad("no address in the brackets", "[x]"),
        bad("bytes behind the brackets", "[::1]x"),
        bad("a NUL", b"x\0"),
        bad("a tab", b"x\ty"),
        bad("bytes beyond ASCII", b"\xc3\xa4"),
        bad("encoding", "x%00"),
        bad("a quote", "x\"y"),
        bad("a brace", "{x}"),
    ]);
}
