//! The head of a request.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Version, header, request};

use super::fields::Fields;
use super::{BARE, HeadFault, Lines, MOST_LINES, grammar, has_strict_lines};
use crate::http1::decode::Framing;

/// A request's head, and what it says of the connection.
#[derive(Debug)]
pub struct RequestHead {
    /// Method, target, version and the fields that are not of this hop alone.
    pub parts: request::Parts,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the client lets the connection be used again.
    pub persists: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client asks for a WebSocket.
    pub websocket: bool,
    /// Whether the client says that it takes trailers.
    pub takes_trailers: bool,
}

/// Reads a complete head, its empty line included, with at most `most_lines` fields.
pub fn parse(head: &Bytes, most_lines: usize) -> Result<RequestHead, HeadFault> {
    let mut lines: Lines<'_> = [const { MaybeUninit::uninit() }; MOST_LINES];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, &mut lines).map_err(|error| first_line(error, head))? {
        httparse::Status::Complete(size) if size == head.len() => {}
        _ => return Err(HeadFault::Malformed("the head does not end where its empty line is")),
    }
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HeadFault::Malformed("the first line is not complete"));
    };
    if parsed.headers.len() > most_lines {
        return Err(HeadFault::Lines);
    }
    if !has_strict_lines(head, parsed.headers.len() + 2) {
        return Err(BARE);
    }
    let fields = Fields::read(head, parsed.headers, 0)?;
    let is_http_10 = version == 0;
    let framing = fields.framing(is_http_10)?.unwrap_or(Framing::Length(0));
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| HeadFault::Malformed("the method is not a token"))?;
    let uri = target(&method, head.slice_ref(path.as_bytes()))?;
    check_host(&uri, &fields, is_http_10)?;
    let expects_continue = match fields.expects {
        Some(false) => return Err(HeadFault::Expectation),
        Some(true) => !is_http_10 && framing != Framing::Length(0),
        None => false,
    };
    let (mut parts, ()) = Request::new(()).into_parts();
    let websocket = fields.websocket && !is_http_10 && method == Method::GET && framing == Framing::Length(0);
    parts.version = if is_http_10 { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.method = method;
    parts.uri = uri;
    let persists = fields.persists(is_http_10);
    let takes_trailers = fields.takes_trailers;
    parts.headers = fields.map;
    Ok(RequestHead { parts, framing, persists, expects_continue, websocket, takes_trailers })
}

/// The parser blames the version for whatever stands in its place.
fn first_line(error: httparse::Error, head: &[u8]) -> HeadFault {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    match (error, words.next(), words.next()) {
        (httparse::Error::Version, Some(version), None) if version.starts_with(b"HTTP/") => HeadFault::Version,
        (httparse::Error::Version, ..) => grammar(httparse::Error::Token),
        _ => grammar(error),
    }
}

/// The request target (RFC 9112 section 3.2): a path, a URL, or `*` for `OPTIONS`.
fn target(method: &Method, target: Bytes) -> Result<Uri, HeadFault> {
    const FAULT: HeadFault = HeadFault::Malformed("the request target is not a path or an http URL");
    if target.contains(&b'#') {
        return Err(HeadFault::Malformed("a request target has no fragment"));
    }
    if target.first() == Some(&b'/') {
        return PathAndQuery::from_maybe_shared(target).map(Uri::from).map_err(|_| FAULT);
    }
    if *target == *b"*" && *method == Method::OPTIONS {
        return Ok(Uri::from_static("*"));
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| FAULT)?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host = uri.authority().is_some_and(|authority| !authority.host().is_empty());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if is_http && has_host && !has_user { Ok(uri) } else { Err(FAULT) }
}

/// One host: who signs, routes or caches by it must not see another one than the origin does.
fn check_host(uri: &Uri, fields: &Fields, is_http_10: bool) -> Result<(), HeadFault> {
    let mut hosts = fields.map.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(HeadFault::Malformed("a request has one Host"));
    }
    match (uri.authority(), host) {
        (_, None) if !is_http_10 => Err(HeadFault::Malformed("a request has a Host")),
        (Some(authority), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Err(HeadFault::Malformed("the Host is another one than that of the request target"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RequestHead, HeadFault> {
        parse(&Bytes::copy_from_slice(text.as_bytes()), 128)
    }

    #[test]
    fn what_is_of_this_hop_is_not_in_the_map() {
        let head = read(
            "GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: upgrade, x-private\r\nUpgrade: websocket\r\nX-Private: 1\r\nTE: trailers\r\nAccept: */*\r\n\r\n",
        )
        .expect("a head");
        let mut names: Vec<&str> = head.parts.headers.keys().map(header::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "host"]);
        assert!(head.websocket && head.persists && head.takes_trailers);
        assert_eq!(head.framing, Framing::Length(0));
        assert_eq!(head.parts.uri.path_and_query().map(PathAndQuery::as_str), Some("/a?b"));
    }

    #[test]
    fn framing_means_one_thing() {
        let framing =
            |fields: &str| read(&format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).map(|head| head.framing);
        assert_eq!(framing("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        for wrong in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: \r\n",
            "Transfer-Encoding : chunked\r\n",
            " Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "Expect: 200-ok\r\n",
            "Host: y\r\n",
            ": y\r\n",
            "A: b\n",
            "A: b\nC: d\r\n",
            "A: b\rC: d\r\n",
            "A: b\r\r\n",
            "y\r\n",
        ] {
            assert!(framing(wrong).is_err(), "{wrong:?}");
        }
        assert!(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn targets_are_paths() {
        let target = |line: &str| read(&format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n")).is_ok();
        for good in ["GET /", "GET //a", "GET http://x/a", "GET https://X", "OPTIONS *", "get /a?b=/c"] {
            assert!(target(good), "{good}");
        }
        for wrong in [
            "GET *",
            "GET a",
            "GET /a#b",
            "GET http:///a",
            "GET http://u@x/",
            "GET http://y/",
            "GET ftp://x/",
            "GET x:80",
            "GET  /",
            "GET /a b",
            "G@T /",
            "CONNECT x:80",
        ] {
            assert!(!target(wrong), "{wrong}");
        }
        for before in ["\n", "\r\n", "\r\n\n", "\r"] {
            assert!(read(&format!("{before}GET / HTTP/1.1\r\nHost: x\r\n\r\n")).is_err(), "{before:?}");
        }
        for version in ["HTTP/1.2", "http/1.1", "HTTP/2.0", "HTTP/01.1", "HTTP/1.1 "] {
            assert!(read(&format!("GET / {version}\r\nHost: x\r\n\r\n")).is_err(), "{version}");
        }
    }
}
