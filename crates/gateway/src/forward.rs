//! The headers between two hops: what must not pass, and what is added (RFC 9110 section 7.6, RFC 7239's forerunners).

use std::net::IpAddr;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::http1::encode;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Removes what HTTP/2 should not carry and what is meant for this hop alone.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: SmallVec<[HeaderName; 4]> = headers.keys().filter(|name| encode::is_own(name)).cloned().collect();
    for name in named.iter().filter(|name| **name != header::CONTENT_LENGTH) {
        headers.remove(name);
    }
}

/// Removes from trailers what frames, routes or authenticates a message (RFC 9110 section 6.5.1).
pub fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    for name in [
        header::CONTENT_LENGTH,
        header::HOST,
        header::AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
        header::CACHE_CONTROL,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::CONTENT_RANGE,
        header::RANGE,
    ] {
        trailers.remove(name);
    }
}

/// Adds this hop to the `Via` of an answer that came over `version`.
pub fn add_via(headers: &mut HeaderMap, version: Version) {
    headers.append(header::VIA, HeaderValue::from_static(via(version)));
}

/// What `Via` says of a message that came over this version (RFC 9110 section 7.6.3).
pub fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2.0 portunus",
        Version::HTTP_10 => "1.0 portunus",
        _ => "1.1 portunus",
    }
}

/// The client's address: the peer's, or, behind trusted proxies, the last address in `X-Forwarded-For` that is not one.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted(peer) {
        return peer;
    }
    let mut client = peer;
    let values: SmallVec<[&str; 2]> =
        headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    for text in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        let Ok(address) = text.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !trusted(client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_client_cannot_forge_its_address() {
        let proxy: IpAddr = "10.0.0.1".parse().expect("an address");
        let map = headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.2")]);
        let is_proxy = |address: IpAddr| address.to_string().starts_with("10.");
        assert_eq!(client_address(&map, proxy, is_proxy).to_string(), "2.2.2.2");
        assert_eq!(client_address(&map, "3.3.3.3".parse().expect("an address"), is_proxy).to_string(), "3.3.3.3");
    }
}
