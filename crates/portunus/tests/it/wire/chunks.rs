//! Chunked bodies: sizes, line ends, extensions, trailers.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, End, exchange};

use super::Wire;
use super::table::{Row, broken, run, served, wanted, wanted_chunks};

const HEAD: &str = "POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";

fn bad(name: &'static str, body: &str) -> Row {
    broken(name, format!("{HEAD}{body}"))
}

fn good(name: &'static str, body: &str) -> Row {
    served(name, format!("{HEAD}{body}"), wanted_chunks("/x", b"hello"))
}

#[test]
fn a_chunk_has_a_size_and_ends_there() {
    run(&[
        good("one chunk", "5\r\nhello\r\n0\r\n\r\n"),
        good("two chunks", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        good("zeros before the size", "0000005\r\nhello\r\n000\r\n\r\n"),
        good("sixteen digits", "0000000000000005\r\nhello\r\n0\r\n\r\n").or_refused(),
        served(
            "a request behind",
            format!("{HEAD}5\r\nhello\r\n0\r\n\r\nGET /orders/y HTTP/1.1\r\nhost: x\r\n\r\n"),
            wanted("GET", "/y"),
        )
        .after(vec![wanted_chunks("/x", b"hello")]),
        bad("0x before", "0x5\r\nhello\r\n0\r\n\r\n"),
        bad("a plus", "+5\r\nhello\r\n0\r\n\r\n"),
        bad("a minus", "-5\r\nhello\r\n0\r\n\r\n"),
        bad("a space before", " 5\r\nhello\r\n0\r\n\r\n"),
        bad("a space behind", "5 \r\nhello\r\n0\r\n\r\n"),
        bad("a tab behind", "5\t\r\nhello\r\n0\r\n\r\n"),
        bad("a vertical tab behind", "5\u{b}\r\nhello\r\n0\r\n\r\n"),
        bad("an underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
        bad("no digit", "g\r\nhello\r\n0\r\n\r\n"),
        bad("an empty size", "\r\nhello\r\n0\r\n\r\n"),
        bad("an extension without a size", ";a=b\r\nhello\r\n0\r\n\r\n"),
        bad("a comma behind", "5,\r\nhello\r\n0\r\n\r\n"),
        bad("a NUL behind", "5\0\r\nhello\r\n0\r\n\r\n"),
        bad("seventeen digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("seventeen digits, zeros before", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("data longer than the size", "5\r\nhello!\r\n0\r\n\r\n"),
        bad("no line end behind the data", "5\r\nhello0\r\n\r\n"),
        bad("two other bytes behind the data", "5\r\nhelloXX0\r\n\r\n"),
        bad("a second chunk too long", "2\r\nhe\r\n2\r\nllo\r\n0\r\n\r\n"),
    ]);
}

#[test]
fn lines_of_a_chunked_body_end_with_cr_and_lf() {
    run(&[
        bad("LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        bad("CR behind the size", "5\rhello\r\n0\r\n\r\n"),
        bad("CR and another byte behind the size", "5\rXhello\r\n0\r\n\r\n"),
        bad("CR CR LF behind the size", "5\r\r\nhello\r\n0\r\n\r\n"),
        bad("LF CR behind the size", "5\n\rhello\r\n0\r\n\r\n"),
        bad("LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        bad("CR behind the data", "5\r\nhello\r0\r\n\r\n"),
        bad("LF behind the last size", "5\r\nhello\r\n0\n\r\n"),
        bad("LF at the end", "5\r\nhello\r\n0\r\n\n"),
        bad("CR and another byte at the end", "5\r\nhello\r\n0\r\n\rX\r\n\r\n"),
        bad("LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        bad("CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        bad("LF in a quoted extension", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
        bad("NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"),
        bad("LF in the last extension", "5\r\nhello\r\n0;a\nb\r\n\r\n"),
        bad("LF behind a trailer", "5\r\nhello\r\n0\r\nx-a: 1\n\r\n"),
        bad("CR in a trailer", "5\r\nhello\r\n0\r\nx-a: 1\rb\r\n\r\n"),
        bad("NUL in a trailer", "5\r\nhello\r\n0\r\nx-a: \0\r\n\r\n"),
        bad("a folded trailer", "5\r\nhello\r\n0\r\nx-a: 1\r\n 2\r\n\r\n"),
        bad("a trailer without a colon", "5\r\nhello\r\n0\r\nx-a\r\n\r\n"),
        bad("a trailer without a name", "5\r\nhello\r\n0\r\n: 1\r\n\r\n"),
        bad("a trailer with a space before the colon", "5\r\nhello\r\n0\r\nx-a : 1\r\n\r\n"),
        bad("a request line as trailer", "5\r\nhello\r\n0\r\nGET /orders/y HTTP/1.1\r\nhost: x\r\n\r\n"),
    ]);
}

#[test]
fn extensions_are_dropped_and_bounded() {
    let many = format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "e".repeat(100)).repeat(100));
    let few = format!("{}0\r\n\r\n", format!("1;{}\r\na\r\n", "e".repeat(100)).repeat(5));
    run(&[
        good("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
        good("a quoted extension", "5;a=\"b;c\"\r\nhello\r\n0;d\r\n\r\n"),
        good("an extension without a value", "5;a\r\nhello\r\n0\r\n\r\n"),
        served("five of 100 bytes", format!("{HEAD}{few}"), wanted_chunks("/x", b"aaaaa")),
        good("one of 3 KiB", &format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(3 * 1024))),
        bad("one of 5 KiB", &format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(5 * 1024))),
        bad("one that never ends", &format!("5;{}", "e".repeat(100 * 1024))),
        bad("a hundred of 100 bytes", &many),
    ]);
}

#[test]
fn trailers_are_passed_on_without_what_would_frame_or_route() {
    let wire = Wire::start();
    let body = "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nx-other:  a b \r\ntransfer-encoding: chunked\r\ncontent-length: 7\r\n\
                host: y\r\nconnection: x-other\r\n\r\n";
    let answer = exchange(
        wire.process.gw_address(),
        format!("{}{body}", HEAD.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")).as_bytes(),
        SOON,
    );
    let request = wire.upstream.take().pop().expect("the upstream was asked");
    if answer.status() == Some(200) {
        let names: Vec<_> = request.trailers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"x-checksum"), "{names:?}");
        for name in ["transfer-encoding", "content-length", "host", "connection"] {
            assert!(!names.contains(&name), "{names:?}");
        }
    } else {
        assert_eq!(answer.status(), Some(400), "{}", answer.text());
        assert!(!request.is_complete);
    }
}

#[test]
fn trailers_are_bounded() {
    let wire = Wire::start();
    for trailers in [format!("x-a: {}\r\n", "a".repeat(70 * 1024)), "x-a: 1\r\n".repeat(200)] {
        let mut client = Connection::open(wire.process.gw_address());
        client.send(format!("{HEAD}5\r\nhello\r\n0\r\n{trailers}\r\n").as_bytes());
        client.read_to_end(SOON);
        assert!(matches!(client.status(), Some(400 | 431)), "{}", client.text());
        assert_eq!(client.end(), End::Closed);
        assert!(wire.upstream.take().iter().all(|request| !request.is_complete));
    }
}
