//! The head of an upstream's answer. An upstream is not trusted with the framing either.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::fields::Fields;
use super::{BARE, HeadFault, Lines, MOST_LINES, grammar, has_strict_lines};
use crate::http1::decode::Framing;

/// How many fields an answer usually gets on its way: `Via`, the request's id, what is left of a limit.
const ADDED: usize = 8;

/// An answer's head, and what it says of the connection.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The fields that are not of this hop alone.
    pub headers: HeaderMap,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the upstream lets the connection be used again.
    pub persists: bool,
    /// Whether a 101 switches to a WebSocket.
    pub websocket: bool,
}

/// Reads a complete head of an answer to a request with this method.
pub fn parse(head: &Bytes, method: &Method) -> Result<ResponseHead, HeadFault> {
    let mut lines: Lines<'_> = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, head, &mut lines).map_err(grammar)? {
        httparse::Status::Complete(size) if size == head.len() => {}
        _ => return Err(HeadFault::Malformed("the head does not end where its empty line is")),
    }
    let (Some(code), Some(version)) = (parsed.code, parsed.version) else {
        return Err(HeadFault::Malformed("the first line is not complete"));
    };
    let status = StatusCode::from_u16(code).map_err(|_| HeadFault::Malformed("the status is not a status"))?;
    if !has_strict_lines(head, parsed.headers.len() + 2) {
        return Err(BARE);
    }
    let fields = Fields::read(head, parsed.headers, ADDED)?;
    let is_http_10 = version == 0;
    let framing = fields.framing(is_http_10)?;
    // RFC 9112 section 6.3: these have no body, whatever their fields say.
    let is_bodiless = *method == Method::HEAD || status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let framing = if is_bodiless { Framing::Length(0) } else { framing.unwrap_or(Framing::UntilClose) };
    let persists = fields.persists(is_http_10) && framing != Framing::UntilClose;
    let websocket = status == StatusCode::SWITCHING_PROTOCOLS && fields.websocket;
    Ok(ResponseHead { status, headers: fields.map, framing, persists, websocket })
}
