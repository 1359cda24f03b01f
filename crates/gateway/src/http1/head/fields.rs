//! The fields of a head: those for the next hop in a map, those of this hop as what they mean.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::HeadFault;
use crate::http1::decode::Framing;

/// What the `Transfer-Encoding` of a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// There is none.
    None,
    /// `chunked`, once.
    Chunked,
    /// Anything else.
    Other,
}

/// The fields of a head.
#[derive(Debug)]
pub struct Fields {
    /// What is meant for the next hop, `Content-Length` included. Fields of this hop alone are not in it.
    pub map: HeaderMap,
    /// The `Content-Length`.
    pub length: Option<u64>,
    /// The `Transfer-Encoding`.
    pub coding: Coding,
    /// `Connection: close`.
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep_alive: bool,
    /// `Connection: upgrade` with `Upgrade: websocket`.
    pub websocket: bool,
    /// `TE: trailers`.
    pub takes_trailers: bool,
    /// `Expect`: whether it is `100-continue`.
    pub expects: Option<bool>,
}

impl Fields {
    /// Reads the fields; `head` is what `lines` point into, `spare` how many fields will be added to the map.
    pub fn read(head: &Bytes, lines: &[httparse::Header<'_>], spare: usize) -> Result<Self, HeadFault> {
        let mut fields = Self {
            map: HeaderMap::with_capacity(lines.len() + spare),
            length: None,
            coding: Coding::None,
            close: false,
            keep_alive: false,
            websocket: false,
            takes_trailers: false,
            expects: None,
        };
        let mut upgrade = false;
        let mut upgrades_to_websocket = false;
        let mut named: SmallVec<[HeaderName; 4]> = SmallVec::new();
        for line in lines {
            let value = line.value;
            match line.name.len() {
                2 if line.name.eq_ignore_ascii_case("te") => {
                    fields.takes_trailers |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"));
                    continue;
                }
                6 if line.name.eq_ignore_ascii_case("expect") => {
                    fields.expects = Some(value.eq_ignore_ascii_case(b"100-continue"));
                    continue;
                }
                7 if line.name.eq_ignore_ascii_case("upgrade") => {
                    upgrades_to_websocket = value.eq_ignore_ascii_case(b"websocket");
                    continue;
                }
                7 if line.name.eq_ignore_ascii_case("trailer") => continue,
                10 if line.name.eq_ignore_ascii_case("keep-alive") => continue,
                10 if line.name.eq_ignore_ascii_case("connection") => {
                    for token in tokens(value) {
                        match token.len() {
                            5 if token.eq_ignore_ascii_case(b"close") => fields.close = true,
                            10 if token.eq_ignore_ascii_case(b"keep-alive") => fields.keep_alive = true,
                            7 if token.eq_ignore_ascii_case(b"upgrade") => upgrade = true,
                            _ => named.extend(HeaderName::from_bytes(token).ok()),
                        }
                    }
                    continue;
                }
                14 if line.name.eq_ignore_ascii_case("content-length") => {
                    if fields.length.is_some() {
                        return Err(HeadFault::Malformed("a message has one Content-Length"));
                    }
                    fields.length = Some(length(value)?);
                }
                16 if line.name.eq_ignore_ascii_case("proxy-connection") => continue,
                17 if line.name.eq_ignore_ascii_case("transfer-encoding") => {
                    fields.coding = match fields.coding {
                        Coding::None if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                        _ => Coding::Other,
                    };
                    continue;
                }
                18 if line.name.eq_ignore_ascii_case("proxy-authenticate") => continue,
                19 if line.name.eq_ignore_ascii_case("proxy-authorization") => continue,
                _ => {}
            }
            let name = HeaderName::from_bytes(line.name.as_bytes())
                .map_err(|_| HeadFault::Malformed("the name of a field is not a token"))?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(value))
                .map_err(|_| HeadFault::Malformed("the value of a field has control characters"))?;
            fields.map.append(name, value);
        }
        // A client must not take the framing or the host away by naming them.
        for name in named.iter().filter(|name| **name != http::header::CONTENT_LENGTH && **name != http::header::HOST) {
            fields.map.remove(name);
        }
        fields.websocket = upgrade && upgrades_to_websocket;
        Ok(fields)
    }

    /// How the body is framed, if the fields say so (RFC 9112 section 6.3).
    pub fn framing(&self, is_http_10: bool) -> Result<Option<Framing>, HeadFault> {
        match (self.coding, self.length) {
            (Coding::None, None) => Ok(None),
            (Coding::None, Some(length)) => Ok(Some(Framing::Length(length))),
            (_, Some(_)) => Err(HeadFault::Malformed("a message has Content-Length or Transfer-Encoding, not both")),
            _ if is_http_10 => Err(HeadFault::Malformed("HTTP/1.0 has no Transfer-Encoding")),
            (Coding::Chunked, None) => Ok(Some(Framing::Chunked)),
            (Coding::Other, None) => Err(HeadFault::Coding),
        }
    }

    /// Whether the connection may be used again (RFC 9112 section 9.3).
    pub fn persists(&self, is_http_10: bool) -> bool {
        !self.close && (!is_http_10 || self.keep_alive)
    }
}

/// The elements of a list, without the empty ones.
fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Digits and nothing else: signs, lists and other bases are read differently by different parties.
fn length(value: &[u8]) -> Result<u64, HeadFault> {
    let fault = HeadFault::Malformed("the Content-Length is not a number");
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(fault);
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}
