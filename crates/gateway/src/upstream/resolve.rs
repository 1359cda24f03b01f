//! The addresses of targets: known without a lock, looked up in the background, kept when a look-up fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::target::CompiledTarget;

/// What is known of a host's addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    known: ArcSwapOption<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Addresses {
    /// The one address of a host that is no name.
    pub(super) fn literal(address: SocketAddr) -> Self {
        Self { known: ArcSwapOption::from_pointee(vec![address]), next: AtomicUsize::new(0) }
    }

    /// Whether a look-up has succeeded yet.
    pub(super) fn are_known(&self) -> bool {
        self.known.load().is_some()
    }

    /// Takes over what was looked up.
    pub(super) fn learn(&self, found: &[IpAddr], port: u16) {
        let found: Vec<SocketAddr> = found.iter().map(|address| SocketAddr::new(*address, port)).collect();
        if !found.is_empty() && self.known.load().as_deref() != Some(&found) {
            self.known.store(Some(Arc::new(found)));
        }
    }
}

impl CompiledTarget {
    /// Its addresses in the order in which they are to be tried; each call begins with another one. The first use of a
    /// name waits for its look-up.
    pub async fn addresses(&self) -> io::Result<impl Iterator<Item = SocketAddr> + use<>> {
        let addresses = &self.state.addresses;
        if !addresses.are_known() {
            addresses.learn(&look_up(&self.host).await?, self.port);
        }
        let known = addresses.known.load_full().unwrap_or_default();
        let first = match known.len() {
            0 | 1 => 0,
            many => addresses.next.fetch_add(1, Ordering::Relaxed) % many,
        };
        Ok((0..known.len()).map(move |step| known[(first + step) % known.len()]))
    }

    /// Whether its host still has this address. A connection to one that it has no more is not to be used again.
    pub fn has_address(&self, address: SocketAddr) -> bool {
        self.is_literal || self.state.addresses.known.load().as_ref().is_none_or(|known| known.contains(&address))
    }
}

/// The addresses of a host, sorted, so that the same answer in another order is the same answer.
pub(super) async fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::target::test_target;
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn order(target: &CompiledTarget) -> Vec<u8> {
        let addresses = futures_util::FutureExt::now_or_never(target.addresses());
        let addresses = addresses.expect("known addresses are there at once").expect("known addresses");
        addresses.map(|address| address.to_string().as_bytes()[7] - b'0').collect()
    }

    #[test]
    fn connections_begin_with_each_address_in_turn() {
        let target = test_target("http://many.example:80");
        target.state.addresses.learn(&[ip(1), ip(2), ip(3)], 80);
        assert_eq!([order(&target), order(&target), order(&target)], [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
    }

    #[test]
    fn an_address_that_went_away_is_not_its_any_more() {
        let target = test_target("http://many.example:80");
        let of = |last| SocketAddr::new(ip(last), 80);
        assert!(target.has_address(of(1)), "nothing is known yet");
        target.state.addresses.learn(&[ip(1), ip(2)], 80);
        target.state.addresses.learn(&[], 80);
        assert!(target.has_address(of(1)), "an empty answer changes nothing");
        target.state.addresses.learn(&[ip(2)], 80);
        assert!(!target.has_address(of(1)) && target.has_address(of(2)));
    }

    #[test]
    fn an_address_as_host_needs_no_look_up() {
        for (url, address) in [("http://10.0.0.1:81", "10.0.0.1:81"), ("https://[::1]", "[::1]:443")] {
            let target = test_target(url);
            let found = futures_util::FutureExt::now_or_never(target.addresses()).expect("at once").expect("known");
            assert_eq!(found.collect::<Vec<_>>(), [address.parse().expect("an address")]);
        }
    }
}
