//! Any header fields: what belongs to one hop stays there, what does not passes, and nobody forges an address.
#![no_main]

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portunus_gateway::forward::client_address;
use portunus_gateway::http1::encode::{field, is_own};
use portunus_gateway::http1::head::request::parse;

/// Fields as lines, `name: value`, until the first that is none.
fn fields(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else { break };
        headers.append(name, value);
    }
    headers
}

/// The fields that a request with these ones hands on; none when it is refused.
fn received(headers: &HeaderMap) -> Option<HeaderMap> {
    let mut head = b"GET / HTTP/1.1\r\n".to_vec();
    headers.iter().for_each(|(name, value)| field(&mut head, name.as_str().as_bytes(), value.as_bytes()));
    head.extend_from_slice(b"\r\n");
    parse(&Bytes::from(head), 100).ok().map(|head| head.parts.headers)
}

/// What `Connection` names, as RFC 9110 reads it.
fn named(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.map(|token| String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase()).collect()
}

fn hop_by_hop(before: &HeaderMap, after: &HeaderMap) {
    let named = named(before);
    for name in before.keys() {
        // The framing is Portunus's to set, and the host is the request's; neither is the client's to take away.
        let stays = name == CONTENT_LENGTH
            || name == HOST
            || !is_own(name) && !named.iter().any(|token| token == name.as_str());
        let (was, is): (Vec<_>, Vec<_>) = (before.get_all(name).iter().collect(), after.get_all(name).iter().collect());
        assert_eq!(is, if stays { was } else { Vec::new() }, "{name} of {before:?}");
    }
    assert!(after.keys().all(|name| before.contains_key(name)), "fields out of nowhere: {after:?}");
}

fn addresses(headers: &HeaderMap) {
    let peer: IpAddr = [10, 0, 0, 1].into();
    let stranger: IpAddr = [203, 0, 113, 9].into();
    let is_proxy = |address: IpAddr| matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10);
    assert_eq!(client_address(headers, stranger, is_proxy), stranger, "a stranger chose its address: {headers:?}");
    let client = client_address(headers, peer, is_proxy);
    let said: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let said: Vec<IpAddr> =
        said.iter().flat_map(|value| value.split(',')).filter_map(|text| text.trim().parse().ok()).collect();
    let is_said = said.iter().any(|address| address.to_canonical() == client);
    assert!(client == peer || is_said, "{client} is nobody's: {headers:?}");
    let last = said.iter().rposition(|address| !is_proxy(address.to_canonical()));
    let forged = last.is_some_and(|last| said[..last].iter().any(|earlier| earlier.to_canonical() == client));
    let is_behind = last.is_some_and(|last| said[last..].iter().any(|later| later.to_canonical() == client));
    assert!(!forged || is_behind || client == peer, "{client} stands before the last stranger: {headers:?}");
}

fuzz_target!(|data: &[u8]| {
    let headers = fields(data);
    if let Some(received) = received(&headers) {
        hop_by_hop(&headers, &received);
    }
    addresses(&headers);
});
