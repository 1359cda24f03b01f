//! Request lines: method, target, version.

use super::table::{Row, refused, run, served, wanted};

fn line(line: &str) -> String {
    format!("{line}\r\nhost: x\r\n\r\n")
}

fn bad(name: &'static str, text: &str) -> Row {
    refused(name, line(text))
}

fn bad_target(name: &'static str, target: impl AsRef<[u8]>) -> Row {
    refused(name, [b"GET ", target.as_ref(), b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat())
}

/// The request is well framed, so that the connection may be kept.
fn bad_path(name: &'static str, path: &str) -> Row {
    bad_target(name, path).or_kept()
}

fn good_target(name: &'static str, target: &str, forwarded: &'static str) -> Row {
    served(name, line(&format!("GET {target} HTTP/1.1")), wanted("GET", forwarded))
}

#[test]
fn a_request_line_is_method_target_and_version() {
    let version = &[400, 505];
    run(&[
        bad("two spaces before the target", "GET  /orders/x HTTP/1.1"),
        bad("two spaces before the version", "GET /orders/x  HTTP/1.1"),
        bad("a tab before the target", "GET\t/orders/x HTTP/1.1"),
        bad("a tab before the version", "GET /orders/x\tHTTP/1.1"),
        bad("a space before the method", " GET /orders/x HTTP/1.1"),
        bad("a space behind the version", "GET /orders/x HTTP/1.1 "),
        bad("a fourth word", "GET /orders/x HTTP/1.1 x"),
        bad("a space in the target", "GET /orders/x y HTTP/1.1"),
        bad("no version", "GET /orders/x"),
        bad("no version but a space", "GET /orders/x "),
        bad("a method alone", "GET"),
        bad("an empty method", " /orders/x HTTP/1.1"),
        bad("an empty target", "GET  HTTP/1.1"),
        bad("a method with a slash", "G/T /orders/x HTTP/1.1"),
        bad("a method with a colon", "GET: /orders/x HTTP/1.1"),
        bad("a method with a NUL", "GE\0T /orders/x HTTP/1.1"),
        bad("a method beyond ASCII", "G\u{c9}T /orders/x HTTP/1.1"),
        bad("a version in small letters", "GET /orders/x http/1.1").with(version),
        bad("HTTP/0.9", "GET /orders/x HTTP/0.9").with(version),
        bad("HTTP/1.2", "GET /orders/x HTTP/1.2").with(version),
        bad("HTTP/2.0", "GET /orders/x HTTP/2.0").with(version),
        bad("HTTP/2", "GET /orders/x HTTP/2").with(version),
        bad("HTTP/3.0", "GET /orders/x HTTP/3.0").with(version),
        bad("HTTP/01.1", "GET /orders/x HTTP/01.1").with(version),
        bad("HTTP/1.01", "GET /orders/x HTTP/1.01").with(version),
        bad("HTTP/1.10", "GET /orders/x HTTP/1.10").with(version),
        bad("HTTP/1,1", "GET /orders/x HTTP/1,1").with(version),
        bad("HTTP/1", "GET /orders/x HTTP/1").with(version),
        bad("HTTP/+1.1", "GET /orders/x HTTP/+1.1").with(version),
        bad("another protocol", "GET /orders/x HTTPS/1.1").with(version),
        bad("a CONNECT", "CONNECT x:80 HTTP/1.1").with(&[400, 405, 501]),
        bad("a CONNECT to a path", "CONNECT /orders/x HTTP/1.1").with(&[400, 405, 501]),
        served("a method that nobody knows", line("BREW /orders/x HTTP/1.1"), wanted("BREW", "/x")),
        served("a method in small letters", line("get /orders/x HTTP/1.1"), wanted("get", "/x")).or_refused(),
    ]);
}

#[test]
fn a_target_is_a_path_and_a_query() {
    run(&[
        good_target("a query", "/orders/x?a=1&b=%20?/:@c", "/x?a=1&b=%20?/:@c"),
        good_target("an empty query", "/orders/x?", "/x?"),
        good_target("an absolute form", "http://x/orders/x?a=1", "/x?a=1"),
        good_target("an absolute form in capitals", "HTTP://X/orders/x", "/x"),
        bad_target("a fragment", "/orders/x#y"),
        bad_target("a fragment in the query", "/orders/x?a#y"),
        bad_target("a fragment alone", "#y"),
        bad_target("a NUL", b"/orders/\0"),
        bad_target("a control byte", b"/orders/\x01"),
        bad_target("a DEL", b"/orders/\x7f"),
        bad_target("a control byte in the query", b"/orders/x?a=\x01"),
        bad_target("a vertical tab", b"/orders/x\x0b"),
        bad_target("a host that is empty", "http:///orders/x"),
        bad_target("a host that is empty and nothing else", "http://"),
        bad_target("another host than the Host", "http://y/orders/x"),
        bad_target("another port than the Host", "http://x:81/orders/x"),
        bad_target("user information", "http://u:p@x/orders/x"),
        bad_target("an authority", "x:80"),
        bad_target("a star", "*"),
        bad_target("a star and a path", "*/orders/x"),
        bad_target("a path without a slash", "orders/x"),
        bad_target("a query without a path", "?a=1"),
        bad_target("one slash too few", "http:/x/orders/x"),
        refused("a star for a POST", "POST * HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"),
    ]);
}

#[test]
fn one_spelling_of_each_path_is_matched_and_forwarded() {
    run(&[
        good_target("a dot segment", "/orders/./x", "/x"),
        good_target("two dots", "/orders/a/../x", "/x"),
        good_target("encoded dots", "/orders/a/%2e%2E/x", "/x"),
        good_target("half encoded dots", "/orders/a/.%2e/x", "/x"),
        good_target("two dots beyond the root", "/../../orders/x", "/x"),
        good_target("out of the API and in again", "/orders/../orders/x", "/x"),
        good_target("dots at the end", "/orders/x/y/..", "/x/"),
        good_target("dots in an absolute form", "http://x/orders/a/../x", "/x"),
        good_target("dots in the query stay", "/orders/x?a=/../b", "/x?a=/../b"),
        good_target("double encoding stays", "/orders/%252e%252e/x", "/%252e%252e/x"),
        good_target("double encoding of a slash stays", "/orders/%252f", "/%252f"),
        good_target("encoded letters", "/%6frders/%78", "/x"),
        good_target("an encoded space stays", "/orders/a%20b", "/a%20b"),
        good_target("empty segments stay", "/orders//x//", "//x//"),
        good_target("a parameter stays", "/orders/x;v=1/..;/y", "/x;v=1/..;/y"),
        bad_path("an encoded slash", "/orders/a%2fb"),
        bad_path("an encoded slash in capitals", "/orders/a%2Fb"),
        bad_path("dots and an encoded slash", "/orders/..%2f..%2fx"),
        bad_path("an encoded backslash", "/orders/a%5cb"),
        bad_path("a backslash", "/orders/..\\x"),
        bad_path("an encoded NUL", "/orders/x%00"),
        bad_path("broken encoding", "/orders/%zz"),
        bad_path("half an encoding", "/orders/%4"),
        bad_path("a percent sign alone", "/orders/%"),
    ]);
}

#[test]
fn a_target_is_bounded() {
    let long = |length: usize| format!("/orders/{}", "a".repeat(length));
    let too_long = &[414];
    run(&[
        bad_target("a path of 20 KiB", long(20 * 1024)).with(too_long),
        bad_target("a query of 20 KiB", format!("/orders/x?{}", "a".repeat(20 * 1024))).with(too_long),
        bad_target("a path of 200 KiB", long(200 * 1024)).with(too_long),
        refused("a request line without end", format!("GET {}", long(100 * 1024))).with(too_long),
        refused("a method without end", "A".repeat(100 * 1024)).with(&[400, 414, 431, 501]),
    ]);
}
