//! Random requests and answers. All are well formed, and in the spelling that the gateway does not change.

use proptest::collection::vec;
use proptest::prelude::*;

/// A request and the answer that the upstream gives to it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The method.
    pub method: String,
    /// How many bytes the client sends at once.
    pub piece: usize,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Body,
    status: u16,
    answer_fields: Vec<(String, Vec<u8>)>,
    answer_body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    None,
    Length(Content),
    Chunked { content: Content, chunk: usize, trailers: Vec<(String, Vec<u8>)> },
    UntilClose(Content),
}

/// Bytes that look random and shrink as two numbers.
#[derive(Debug, Clone)]
struct Content {
    length: usize,
    seed: u64,
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        let mut state = self.seed | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        (0..self.length).map(next).collect()
    }
}

impl Case {
    /// The bytes of the request, with `prefix` before its path.
    pub fn request(&self, prefix: &str) -> Vec<u8> {
        let start = format!("{} {prefix}{} HTTP/1.1\r\nhost: x\r\n", self.method, self.target);
        message(&start, &self.fields, &self.body)
    }

    /// The bytes of the answer.
    pub fn answer(&self) -> Vec<u8> {
        message(&format!("HTTP/1.1 {} Reason\r\n", self.status), &self.answer_fields, &self.answer_body)
    }

    /// Whether the answer ends with the connection.
    pub fn answer_closes(&self) -> bool {
        matches!(self.answer_body, Body::UntilClose(_))
    }
}

fn message(start: &str, fields: &[(String, Vec<u8>)], body: &Body) -> Vec<u8> {
    let mut bytes = start.as_bytes().to_vec();
    put_fields(&mut bytes, fields);
    match body {
        Body::None => bytes.extend_from_slice(b"\r\n"),
        Body::UntilClose(content) => {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend(content.bytes());
        }
        Body::Length(content) => {
            bytes.extend(format!("content-length: {}\r\n\r\n", content.length).into_bytes());
            bytes.extend(content.bytes());
        }
        Body::Chunked { content, chunk, trailers } => {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for piece in content.bytes().chunks(*chunk) {
                bytes.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n");
            put_fields(&mut bytes, trailers);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

fn put_fields(bytes: &mut Vec<u8>, fields: &[(String, Vec<u8>)]) {
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
}

/// Any case.
pub fn case() -> impl Strategy<Value = Case> {
    let request = (method(), target(), fields(REQUEST_NAMES), request_body());
    let answer = (status(), fields(ANSWER_NAMES), answer_body());
    let piece = prop_oneof![Just(usize::MAX), 1..2000_usize, Just(1_usize)];
    (request, answer, piece).prop_map(
        |((method, target, fields, body), (status, answer_fields, answer_body), piece)| {
            let has_no_body = method == "HEAD" || matches!(status, 204 | 304);
            let answer_body = match answer_body {
                Body::UntilClose(_) | Body::Chunked { .. } | Body::Length(_) if has_no_body => Body::None,
                _ if status == 205 => Body::Length(Content { length: 0, seed: 1 }),
                Body::None if !has_no_body => Body::Length(Content { length: 0, seed: 1 }),
                body => body,
            };
            // One byte at a time is for what fits in a moment.
            let piece = match &body {
                Body::Length(content) | Body::Chunked { content, .. } => piece.max(content.length / 1000),
                _ => piece,
            };
            Case { method, piece, target, fields, body, status, answer_fields, answer_body }
        },
    )
}

/// A case with small bodies.
pub fn small_case() -> impl Strategy<Value = Case> {
    case().prop_map(|mut case| {
        for body in [&mut case.body, &mut case.answer_body] {
            if let Body::Length(content) | Body::Chunked { content, .. } | Body::UntilClose(content) = body {
                content.length = content.length.min(40);
            }
        }
        case
    })
}

fn method() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &["GET", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "REPORT", "M-SEARCH"];
    prop_oneof![8 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => "X[A-Z]{1,10}"]
}

/// Characters that need no encoding, and bytes that do, in capitals.
fn target() -> impl Strategy<Value = String> {
    let path = "(/([A-Za-z0-9_~!$&'()*+,;=:@-]|%[89A-F][0-9A-F]|%20|%25|%3C){0,12}){1,6}";
    let query = "([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2}){0,60}";
    (path, proptest::option::of(query)).prop_map(|(path, query)| match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    })
}

const REQUEST_NAMES: &[&str] =
    &["Accept", "accept-encoding", "Authorization", "Content-Type", "cookie", "If-None-Match", "Range", "User-Agent"];
const ANSWER_NAMES: &[&str] =
    &["cache-control", "Content-Encoding", "Content-Type", "ETag", "Location", "Server", "Set-Cookie", "Vary"];

fn fields(known: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        proptest::sample::select(known).prop_map(str::to_owned),
        "[Xx]-[A-Ea-e]",
        "x-t-[0-9A-Za-z!#$%&'*+.^_`|~-]{1,30}",
    ];
    vec((name, value()), 0..12)
}

/// Visible characters and bytes beyond ASCII, with spaces and tabs inside.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => 0x21..=0x7e_u8, 1 => 0x80..=0xff_u8, 1 => Just(b' '), 1 => Just(b'\t')];
    vec(byte, 0..60).prop_map(|bytes| bytes.trim_ascii().to_vec())
}

fn content() -> impl Strategy<Value = Content> {
    let length = prop_oneof![4 => 0..200_usize, 2 => 0..20_000_usize, 1 => 0..300_000_usize];
    (length, any::<u64>()).prop_map(|(length, seed)| Content { length, seed })
}

fn chunked() -> impl Strategy<Value = Body> {
    let trailers = vec(("x-t-[a-z]{1,10}", value()), 0..3);
    let chunk = prop_oneof![1..50_usize, 1..70_000_usize];
    (content(), chunk, trailers).prop_map(|(content, chunk, trailers)| {
        let chunk = chunk.max(content.length / 2000 + 1);
        Body::Chunked { content, chunk, trailers }
    })
}

fn request_body() -> impl Strategy<Value = Body> {
    prop_oneof![Just(Body::None), content().prop_map(Body::Length), chunked()]
}

fn answer_body() -> impl Strategy<Value = Body> {
    prop_oneof![
        1 => Just(Body::None),
        3 => content().prop_map(Body::Length),
        3 => chunked(),
        1 => content().prop_map(Body::UntilClose),
    ]
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![4 => Just(200_u16), 1 => proptest::sample::select(vec![204_u16, 205, 304]), 2 => 200..=599_u16]
}
