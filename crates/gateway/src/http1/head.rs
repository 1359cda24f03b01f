//! Reads heads, strictly (RFC 9112 sections 2 to 6). httparse knows the grammar; this file adds what makes a head mean
//! one thing only.

pub mod fields;
pub mod request;
pub mod response;

use std::mem::MaybeUninit;
use std::sync::LazyLock;

use bytes::Bytes;
use http::HeaderMap;
use memchr::memmem::Finder;
use thiserror::Error;

use fields::Fields;

use crate::forward;

/// The most field lines that a head may have, whatever a listener's own bound is.
pub const MOST_LINES: usize = 256;

/// Why a head is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeadFault {
    /// Not well formed, or readable in two ways.
    #[error("{0}")]
    Malformed(&'static str),
    /// A transfer coding that is not implemented (RFC 9112 section 6.1: 501).
    #[error("only the transfer coding chunked is understood")]
    Coding,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here")]
    Version,
    /// An expectation other than `100-continue`.
    #[error("only the expectation 100-continue is known")]
    Expectation,
    /// More field lines than the bound.
    #[error("the head has too many fields")]
    Lines,
}

const BARE: HeadFault = HeadFault::Malformed("a line of the head does not end with CRLF");

/// Where a head ends, if it is complete; `from` is how much of it was already looked at.
///
/// # Errors
/// A CR or LF that is not part of CRLF: parties disagree on whether it ends a line.
pub fn end(bytes: &[u8], from: usize) -> Result<Option<usize>, HeadFault> {
    static EMPTY_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
    let from = from.saturating_sub(3);
    let end = EMPTY_LINE.find(&bytes[from..]).map(|at| from + at + 4);
    let is_strict = match end {
        // Who parses it counts its lines.
        Some(_) => true,
        // No need to wait for the rest; looked through from where it was left, so that many pieces cost no more.
        None => memchr::memchr_iter(b'\n', &bytes[from..])
            .all(|at| (from + at).checked_sub(1).is_some_and(|at| bytes[at] == b'\r')),
    };
    if is_strict { Ok(end) } else { Err(BARE) }
}

/// The fields of a trailer section, which ends with its empty line, without those that have no place there. None when it
/// is not well formed.
pub fn trailers(section: &[u8]) -> Option<HeaderMap> {
    if section == b"\r\n" {
        return Some(HeaderMap::new());
    }
    if end(section, 0) != Ok(Some(section.len())) {
        return None;
    }
    let section = Bytes::copy_from_slice(section);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let Ok(httparse::Status::Complete((_, lines))) = httparse::parse_headers(&section, &mut lines) else { return None };
    if !has_strict_lines(&section, lines.len() + 1) {
        return None;
    }
    let mut trailers = Fields::read(&section, lines, 0).ok()?.map;
    forward::clean_trailers(&mut trailers);
    Some(trailers)
}

/// Whether each of the lines of a head that was parsed ends with CRLF. The parser refuses a CR that is not before a LF, so
/// as many CR as lines leave no line that ends with a LF alone; empty lines before the first one it passes over.
fn has_strict_lines(head: &[u8], lines: usize) -> bool {
    !matches!(head.first(), Some(b'\r' | b'\n')) && memchr::memchr_iter(b'\r', head).count() == lines
}

type Lines<'h> = [MaybeUninit<httparse::Header<'h>>; MOST_LINES];

fn grammar(error: httparse::Error) -> HeadFault {
    match error {
        httparse::Error::Version => HeadFault::Version,
        httparse::Error::TooManyHeaders => HeadFault::Lines,
        httparse::Error::HeaderName => HeadFault::Malformed("the name of a field is not a token followed by a colon"),
        httparse::Error::HeaderValue => HeadFault::Malformed("the value of a field has control characters"),
        httparse::Error::Token => HeadFault::Malformed("the first line is not a method and a target, or a status"),
        httparse::Error::Status => HeadFault::Malformed("the status is not a number of three digits"),
        httparse::Error::NewLine => BARE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(end(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", 0), Ok(Some(24)));
        assert_eq!(end(b"GET / HTTP/1.1\r\nA: b\r\n\r", 0), Ok(None));
        for bare in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\nA: b\r\n", "\n"] {
            assert_eq!(end(bare.as_bytes(), 0), Err(BARE), "{bare:?}");
        }
    }

    #[test]
    fn trailers_cannot_frame() {
        let fields = trailers(b"Checksum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n");
        let fields = fields.expect("a trailer section");
        assert_eq!(fields.len(), 1);
        assert!(fields.contains_key("checksum"));
        assert!(trailers(b"a b: c\r\n\r\n").is_none());
        assert!(trailers(b"a: b\r\n c\r\n\r\n").is_none());
    }
}
