//! Any head of a request: what is accepted means one thing only, and means the same when it is written anew.
#![no_main]

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderName, Version};
use libfuzzer_sys::fuzz_target;
use portunus_gateway::http1::decode::Framing;
use portunus_gateway::http1::encode::{self, field};
use portunus_gateway::http1::head::end;
use portunus_gateway::http1::head::request::{RequestHead, parse};

const MOST_LINES: usize = 128;

/// The fields of a head, line by line, for a reader that knows no tolerance: names in lower case, values as they stand.
fn lines(head: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    assert!(!text.windows(4).any(|window| window == b"\r\n\r\n"), "it ends at its first empty line");
    let mut lines = Vec::new();
    // Empty lines before a request are passed over (RFC 9112 section 2.2).
    let mut rest = text;
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        rest = after;
    }
    while let Some(at) = rest.windows(2).position(|window| window == b"\r\n") {
        rest = &rest[at + 2..];
        let line = &rest[..rest.windows(2).position(|window| window == b"\r\n").unwrap_or(rest.len())];
        let colon = line.iter().position(|byte| *byte == b':').expect("every line has a colon");
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        assert!(HeaderName::from_bytes(name).is_ok(), "a name is a token: {line:?}");
        assert!(!value.iter().any(|byte| *byte < b' ' && *byte != b'\t' || *byte == 127), "control bytes: {line:?}");
        lines.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    }
    lines
}

/// There is one way to find the end of the body, and it is the one that was found.
fn check_framing(head: &RequestHead, lines: &[(String, Vec<u8>)]) {
    let values =
        |name: &str| lines.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect::<Vec<_>>();
    match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => assert_eq!(head.framing, Framing::Length(0)),
        ([length], []) => {
            assert!(length.iter().all(u8::is_ascii_digit), "{length:?}");
            let length: u64 = String::from_utf8_lossy(length).parse().expect("a length is a number");
            assert_eq!(head.framing, Framing::Length(length));
        }
        ([], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"), "{coding:?}");
            assert_eq!((head.framing, head.parts.version), (Framing::Chunked, Version::HTTP_11));
        }
        other => panic!("readable in two ways: {other:?}"),
    }
    assert!(values("host").len() <= 1, "{lines:?}");
}

/// The head as it would be sent on.
fn write(head: &RequestHead) -> Bytes {
    let mut out = Vec::new();
    out.extend_from_slice(head.parts.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.parts.uri.to_string().as_bytes());
    let is_http_10 = head.parts.version == Version::HTTP_10;
    out.extend_from_slice(if is_http_10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    for (name, value) in head.parts.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH) {
        assert!(!encode::is_own(name), "{name} is of this hop alone");
        field(&mut out, name.as_str().as_bytes(), value.as_bytes());
    }
    encode::framing(&mut out, head.framing);
    match (head.persists, is_http_10, head.websocket) {
        (true, false, true) => out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n"),
        (false, false, true) => out.extend_from_slice(b"connection: close, upgrade\r\nupgrade: websocket\r\n"),
        (true, true, _) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, ..) => out.extend_from_slice(b"connection: close\r\n"),
        (true, false, false) => {}
    }
    if head.expects_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.into()
}

fuzz_target!(|data: &[u8]| {
    let whole = end(data, 0);
    // A head that comes in two pieces is the same head.
    for cut in (0..data.len()).filter(|cut| end(&data[..*cut], 0) == Ok(None)) {
        assert_eq!(end(data, cut), whole, "cut at {cut}");
    }
    let Ok(Some(size)) = whole else { return };
    let Ok(head) = parse(&Bytes::copy_from_slice(&data[..size]), MOST_LINES) else { return };
    let lines = lines(&data[..size]);
    assert!(lines.len() <= MOST_LINES);
    check_framing(&head, &lines);

    let written = write(&head);
    assert_eq!(end(&written, 0), Ok(Some(written.len())), "it ends elsewhere: {written:?}");
    let again = parse(&written, MOST_LINES + 4).unwrap_or_else(|fault| panic!("{fault}: {written:?}"));
    let (mut before, mut after) = (head.parts.headers.clone(), again.parts.headers.clone());
    before.remove(CONTENT_LENGTH);
    after.remove(CONTENT_LENGTH);
    assert_eq!(after, before, "{written:?}");
    assert_eq!(again.parts.uri, head.parts.uri, "{written:?}");
    assert_eq!((&again.parts.method, again.parts.version), (&head.parts.method, head.parts.version));
    assert_eq!(again.parts.headers.get(HOST), head.parts.headers.get(HOST));
    assert_eq!(
        (again.framing, again.persists, again.expects_continue, again.websocket),
        (head.framing, head.persists, head.expects_continue, head.websocket),
        "{written:?}"
    );
});
