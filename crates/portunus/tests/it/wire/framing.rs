//! Where a request ends: `Content-Length` and `Transfer-Encoding`.

use super::table::{Row, refused, run, served, wanted_chunks, wanted_length};

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

/// A POST with these lines in its head and `body` behind it.
fn post(lines: &str, body: &str) -> String {
    format!("POST /orders/x HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n{body}")
}

fn coding(name: &'static str, lines: &str) -> Row {
    refused(name, post(lines, CHUNKS)).with(&[400, 501])
}

fn length(name: &'static str, lines: &str) -> Row {
    refused(name, post(lines, "hello"))
}

#[test]
fn a_request_has_one_length_told_in_one_way() {
    run(&[
        length("TE before CL", "transfer-encoding: chunked\r\ncontent-length: 5"),
        length("CL before TE", "content-length: 5\r\ntransfer-encoding: chunked"),
        length("TE and a CL of zero", "content-length: 0\r\ntransfer-encoding: chunked"),
        refused("TE and CL, both right", post("content-length: 15\r\ntransfer-encoding: chunked", CHUNKS)),
        length("TE identity and CL", "transfer-encoding: identity\r\ncontent-length: 5").with(&[400, 501]),
        refused("TE in HTTP/1.0", format!("POST /orders/x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKS}")),
        refused(
            "TE and CL in HTTP/1.0",
            "POST /orders/x HTTP/1.0\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
        ),
        length("two CL that differ", "content-length: 5\r\ncontent-length: 6"),
        length("two CL that agree", "content-length: 5\r\ncontent-length: 5"),
        length("a list of CL", "content-length: 5, 5"),
        length("a list of CL that differ", "content-length: 5, 6"),
        length("a CL with an empty element", "content-length: 5,"),
    ]);
}

#[test]
fn only_chunked_is_a_transfer_coding() {
    run(&[
        coding("chunked twice in a list", "transfer-encoding: chunked, chunked"),
        coding("chunked twice in lines", "transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        coding("gzip and chunked", "transfer-encoding: gzip, chunked"),
        coding("gzip and chunked in lines", "transfer-encoding: gzip\r\ntransfer-encoding: chunked"),
        coding("chunked and identity", "transfer-encoding: chunked, identity"),
        coding("identity", "transfer-encoding: identity"),
        coding("gzip", "transfer-encoding: gzip"),
        coding("an unknown coding", "transfer-encoding: xchunked"),
        coding("a parameter", "transfer-encoding: chunked;q=1"),
        coding("a vertical tab before", "transfer-encoding: \u{b}chunked"),
        coding("a vertical tab behind", "transfer-encoding: chunked\u{b}"),
        coding("a form feed before", "transfer-encoding: \u{c}chunked"),
        coding("a no-break space before", "transfer-encoding: \u{a0}chunked"),
        coding("quotes", "transfer-encoding: \"chunked\""),
        coding("a comma behind", "transfer-encoding: chunked,"),
        coding("a comma before", "transfer-encoding: ,chunked"),
        coding("an empty value", "transfer-encoding:"),
        coding("a space before the colon", "transfer-encoding : chunked"),
        coding("a dotless letter", "transfer-encoding: chun\u{212a}ed"),
        served("capitals", post("transfer-encoding: CHUNKED", CHUNKS), wanted_chunks("/x", b"hello")),
        served("no space", post("transfer-encoding:chunked", CHUNKS), wanted_chunks("/x", b"hello")),
        served("tabs around", post("transfer-encoding:\t chunked \t", CHUNKS), wanted_chunks("/x", b"hello")),
        served(
            "an underscore is another field",
            post("transfer_encoding: chunked\r\ncontent-length: 5", "hello"),
            wanted_length("/x", b"hello"),
        )
        .or_refused(),
    ]);
}

#[test]
fn a_length_is_digits() {
    run(&[
        length("a plus", "content-length: +5"),
        length("a minus", "content-length: -5"),
        length("a minus zero", "content-length: -0"),
        length("hexadecimal", "content-length: 0x5"),
        length("hexadecimal digits", "content-length: a"),
        length("an empty value", "content-length:"),
        length("digits and a space", "content-length: 1 1"),
        length("a fraction", "content-length: 5.0"),
        length("an exponent", "content-length: 5e0"),
        length("an underscore", "content-length: 1_0"),
        length("a unit", "content-length: 5b"),
        length("quotes", "content-length: \"5\""),
        length("a vertical tab", "content-length: \u{b}5"),
        length("a NUL", "content-length: 5\0"),
        length("wide digits", "content-length: \u{ff15}"),
        length("more than 64 bits", "content-length: 18446744073709551621"),
        length("many more digits", "content-length: 99999999999999999999999999999999"),
        length("a space before the colon", "content-length : 5"),
        served("spaces around", post("content-length: \t5 \t", "hello"), wanted_length("/x", b"hello")),
        served("zeros before", post("content-length: 0005", "hello"), wanted_length("/x", b"hello")).or_refused(),
        served("zero", post("content-length: 0", ""), wanted_length("/x", b"")),
    ]);
}
