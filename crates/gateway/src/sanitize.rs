//! From what a client sent to what the rest of the walk may rely on: one host and one normalised path.

use std::borrow::Cow;

use http::header::{self, HeaderValue};
use http::{Method, Uri, Version, request};

use crate::error::{Refusal, Rejection};

/// What a request is for.
#[derive(Debug)]
pub struct Target {
    /// The `Host` as it was sent.
    pub authority: HeaderValue,
    /// The host in lowercase, without its port.
    pub host: Box<str>,
    uri: Uri,
    /// Where it is spelled differently than in `uri`.
    normalised: Option<Box<str>>,
}

impl Target {
    /// The path, normalised; the one that is matched is the one that is forwarded.
    pub fn path(&self) -> &str {
        self.normalised.as_deref().unwrap_or_else(|| self.uri.path())
    }
}

/// Checks a request's head (RFC 9112 section 3.2, RFC 3986 section 6.2).
pub fn target(head: &request::Parts, longest: usize) -> Result<Target, Rejection> {
    if head.method == Method::CONNECT {
        return Err(bad("CONNECT is not served"));
    }
    let authority = authority(head)?;
    let text = authority.to_str().map_err(|_| bad("the Host has bytes that no host has"))?;
    let host = host(text).ok_or_else(|| bad("the Host is not a host"))?;
    if head.uri.path_and_query().is_some_and(|target| target.as_str().len() > longest) {
        return Err(Rejection::new(Refusal::UriTooLong, format!("at most {longest} bytes are taken")));
    }
    let normalised = match normalise(head.uri.path()).map_err(bad)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(path) => Some(path.into()),
    };
    Ok(Target { host, uri: head.uri.clone(), normalised, authority })
}

fn bad(detail: &'static str) -> Rejection {
    Rejection::new(Refusal::BadRequest, detail)
}

fn authority(head: &request::Parts) -> Result<HeaderValue, Rejection> {
    // Whoever reads the head has made sure that there are no two of them.
    let host = head.headers.get(header::HOST);
    // RFC 9112 section 3.2.2: the authority of an absolute request target replaces the Host.
    match (head.uri.authority(), host) {
        (Some(authority), _) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| bad("the request target has no usable host"))
        }
        (None, Some(host)) => Ok(host.clone()),
        (None, None) if head.version == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        (None, None) => Err(bad("a request has a Host")),
    }
}

fn host(text: &str) -> Option<Box<str>> {
    let name = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            if !port.is_empty() {
                check_port(port.strip_prefix(':')?)?;
            }
            return Some(address.to_ascii_lowercase().into());
        }
        None => match text.split_once(':') {
            Some((name, port)) => {
                if !port.is_empty() {
                    check_port(port)?;
                }
                name
            }
            None => text,
        },
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let usable = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    usable.then(|| name.to_ascii_lowercase().into())
}

/// Digits only: `+80` is a number, and no port.
fn check_port(port: &str) -> Option<u16> {
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())?
}

/// One spelling for each path: percent-encoding only where it is needed, in capitals, and no dot segments.
///
/// Refused are an encoded `/`, `\` or NUL, a bare `\`, and broken percent-encoding: upstreams read them differently.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, &'static str> {
    if !path.starts_with('/') {
        return Err("the request target is not a path");
    }
    let is_clean =
        !path.bytes().any(|byte| matches!(byte, b'%' | b'\\') || !byte.is_ascii_graphic()) && !path.contains("/.");
    if is_clean {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode_unreserved(path)?;
    Ok(Cow::Owned(remove_dot_segments(&decoded)))
}

fn decode_unreserved(path: &str) -> Result<String, &'static str> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => return Err("a path has no backslash"),
            0 => return Err("a path has no NUL"),
            _ => {}
        }
        if byte != b'%' {
            if byte.is_ascii_graphic() {
                decoded.push(char::from(byte));
            } else {
                push_encoded(&mut decoded, byte, HEX);
            }
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err("the path's percent-encoding is broken");
        };
        match (high * 16 + low) as u8 {
            b'/' | b'\\' => return Err("a path has no encoded slash"),
            0 => return Err("a path has no NUL"),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => decoded.push(char::from(byte)),
            byte => push_encoded(&mut decoded, byte, HEX),
        }
    }
    Ok(decoded)
}

fn push_encoded(text: &mut String, byte: u8, hex: &[u8; 16]) {
    text.push('%');
    text.push(char::from(hex[usize::from(byte >> 4)]));
    text.push(char::from(hex[usize::from(byte & 15)]));
}

/// RFC 3986 section 5.2.4.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.split('/').skip(1) {
        ends_open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let mut clean = String::with_capacity(path.len());
    for segment in &kept {
        clean.push('/');
        clean.push_str(segment);
    }
    if ends_open || clean.is_empty() {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling_for_each_path() {
        for (given, expected) in [
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/%2E./b/", "/b/"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/%61%62", "/ab"),
            ("/%e4", "/%E4"),
            ("/a//b", "/a//b"),
            ("/.hidden", "/.hidden"),
            ("/a%20b", "/a%20b"),
        ] {
            assert_eq!(normalise(given).as_deref(), Ok(expected), "{given}");
        }
        for given in ["/a%2fb", "/a%5Cb", "/a\\b", "/\0", "/%00", "/%", "/%4", "/%zz", "*", "a"] {
            assert!(normalise(given).is_err(), "{given}");
        }
    }

    #[test]
    fn hosts_are_read_strictly() {
        for (given, expected) in [
            ("API.example.com:8080", Some("api.example.com")),
            ("api.example.com.", Some("api.example.com")),
            ("[::1]:80", Some("::1")),
            ("a b", None),
            ("a:b", None),
            ("a:+80", None),
            ("user@host", None),
            ("[::1", None),
            ("", Some("")),
        ] {
            assert_eq!(host(given).as_deref(), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_path_stays_as_it_is(path in "/[ -~/.%]{0,60}") {
            if let Ok(once) = normalise(&path) {
                let twice = normalise(&once).expect("a normalised path is a path");
                prop_assert_eq!(&once, &twice);
                prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }
    }
}
