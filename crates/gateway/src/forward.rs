//! The headers between two hops: what must not pass, and what is added (RFC 9110 section 7.6, RFC 7239's forerunners).

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;
use smallvec::SmallVec;

const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether a header describes the connection or the framing of the message, and so is Portunus's to set.
pub fn is_framing(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || *name == PROXY_CONNECTION || *name == header::CONTENT_LENGTH
}

/// Removes what is meant for this hop alone, also what `Connection` names.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: SmallVec<[HeaderName; 4]> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|token| HeaderName::try_from(token.trim()).ok())
        // A client must not take the framing or the host away by naming them.
        .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(PROXY_CONNECTION);
}

/// Adds `X-Forwarded-*` and `Via`. What a client says of itself is replaced; what a trusted proxy says is kept.
pub fn add_forwarded(headers: &mut HeaderMap, peer: IpAddr, trusted: bool, host: &HeaderValue, scheme: &Scheme) {
    let peer = peer.to_canonical().to_string();
    let chain: Vec<&str> = match trusted {
        true => headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect(),
        false => Vec::new(),
    };
    let chain = if chain.is_empty() { peer } else { format!("{}, {peer}", chain.join(", ")) };
    if let Ok(value) = HeaderValue::try_from(chain) {
        headers.insert(X_FORWARDED_FOR, value);
    }
    if !trusted || !headers.contains_key(X_FORWARDED_PROTO) {
        let scheme = if *scheme == Scheme::HTTPS { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !trusted || !headers.contains_key(X_FORWARDED_HOST) {
        headers.insert(X_FORWARDED_HOST, host.clone());
    }
    if !trusted {
        headers.remove(header::FORWARDED);
    }
    add_via(headers);
}

/// Adds this hop to `Via`.
pub fn add_via(headers: &mut HeaderMap) {
    headers.append(header::VIA, HeaderValue::from_static("1.1 portunus"));
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
    fn what_connection_names_goes_too() {
        let mut map = headers(&[
            ("connection", "x-private, keep-alive, host"),
            ("x-private", "1"),
            ("te", "gzip"),
            ("host", "a"),
            ("accept", "b"),
        ]);
        remove_hop_by_hop(&mut map);
        let mut left: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "host"]);
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
