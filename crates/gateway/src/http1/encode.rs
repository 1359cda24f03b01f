//! Writes heads and frames bodies. What goes out is made from parsed parts, so that two readers of it agree.

use http::header::{self, HeaderMap, HeaderName};
use http::{StatusCode, Version};

use super::decode::Framing;
use super::outgoing::Outgoing;
use crate::clock;

/// A piece of this size is cheaper to copy behind its head than to hand to the kernel apart.
const COPIED: usize = 2 * 1024;

/// How the connection goes on after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// As the version of the protocol has it anyway.
    Usual,
    /// It stays open, which HTTP/1.0 has to be told.
    KeepAlive,
    /// It is closed.
    Close,
    /// It becomes a WebSocket.
    Switch,
}

/// Adds a field line.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Adds a number in decimal.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Adds the fields that say how a body is framed.
pub fn framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::UntilClose => {}
    }
}

/// Adds the head of an answer to a client. `framing` is none where the answer has no body of its own: its
/// `Content-Length` then says what a `GET` would have got (RFC 9110 section 8.6).
pub fn response(
    out: &mut Vec<u8>,
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    body: Option<Framing>,
    persistence: Persistence,
) {
    out.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    let has_length = body.is_none() && !status.is_informational() && status != StatusCode::NO_CONTENT;
    for (name, value) in headers {
        if *name != header::CONTENT_LENGTH || has_length {
            field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if !status.is_informational() && !headers.contains_key(header::DATE) {
        clock::with_http_date(|date| field(out, b"date", date));
    }
    if let Some(body) = body {
        framing(out, body);
    }
    match persistence {
        Persistence::Usual => {}
        Persistence::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Persistence::Close => out.extend_from_slice(b"connection: close\r\n"),
        Persistence::Switch => out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Puts a piece of body behind what is already in `out`; `is_last` saves a write of its own for the end.
pub fn piece(out: &mut Outgoing, framing: Framing, data: bytes::Bytes, is_last: bool) {
    if framing == Framing::Chunked && !data.is_empty() {
        chunk_size(&mut out.prefix, data.len());
        out.suffix = if is_last { b"\r\n0\r\n\r\n" } else { b"\r\n" };
    } else if framing == Framing::Chunked && is_last {
        out.suffix = b"0\r\n\r\n";
    }
    if data.len() <= COPIED {
        out.prefix.extend_from_slice(&data);
        out.prefix.extend_from_slice(std::mem::take(&mut out.suffix));
    } else {
        out.data = data;
    }
}

/// Ends a body that `piece` did not end.
pub fn end(out: &mut Outgoing, framing: Framing, trailers: Option<&HeaderMap>) {
    if framing != Framing::Chunked {
        return;
    }
    out.prefix.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        field(&mut out.prefix, name.as_str().as_bytes(), value.as_bytes());
    }
    out.prefix.extend_from_slice(b"\r\n");
}

fn chunk_size(out: &mut Vec<u8>, size: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(HEX[size >> (digit * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a field describes the connection or the framing of the message, and so is Portunus's to set.
pub fn is_own(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "expect"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_hexadecimal() {
        for size in [0, 1, 15, 16, 255, 256, 4096, 65535, 1_000_000] {
            let mut out = Vec::new();
            chunk_size(&mut out, size);
            assert_eq!(String::from_utf8(out).expect("ASCII"), format!("{size:x}\r\n"));
        }
    }
}
