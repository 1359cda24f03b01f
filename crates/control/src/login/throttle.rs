//! How often a secret may be guessed. All limits are asked before anything is hashed.
//!
//! There are three. One for a name from one network, which is what a forgetful person meets. One for a network, whatever
//! the names. And a wide one for a name from all networks together; it does not hold for networks from which that account
//! has logged in before, so a stranger cannot keep anybody out.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use portunus_gateway::clock;
use portunus_gateway::limit::{LimitState, WINDOWS, Window};
use quick_cache::sync::Cache;

type Windows = [Option<Window>; WINDOWS];

/// Wrong secrets for one name from one network: 10 at once, then one in six seconds.
fn of_name_here() -> Windows {
    [None, Some(Window::new(10, 60, 10)), None, None]
}

/// Wrong secrets from one network: 60 at once, then one in two seconds.
fn of_network() -> Windows {
    [None, Some(Window::new(30, 60, 60)), None, None]
}

/// Wrong secrets for one name from all strange networks: 100 at once, then one in a minute.
fn of_name() -> Windows {
    [None, None, Some(Window::new(60, 3600, 100)), None]
}

/// The most secrets of one network that are being checked at once.
const MOST_AT_ONCE: u32 = 16;

/// Counters of wrong secrets; bounded, the least used are forgotten first.
pub struct Guesses {
    names_here: Cache<u64, Arc<LimitState>>,
    networks: Cache<IpAddr, Arc<Network>>,
    names: Cache<u64, Arc<LimitState>>,
    hasher: RandomState,
}

#[derive(Default)]
struct Network {
    wrong: LimitState,
    running: AtomicU32,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            names_here: Cache::new(50_000),
            networks: Cache::new(50_000),
            names: Cache::new(50_000),
            hasher: RandomState::new(),
        }
    }
}

/// One secret that may be checked now.
pub struct Attempt {
    network: Arc<Network>,
    name_here: Arc<LimitState>,
    name: Arc<LimitState>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.network.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Attempt {
    /// The seconds to wait when there were too many wrong secrets for the name from all networks.
    pub fn wait_of_name(&self) -> Option<u64> {
        wait(&self.name, &of_name())
    }

    /// Counts it as wrong.
    pub fn was_wrong(&self) {
        let now = clock::monotonic_ns();
        self.network.wrong.take(&of_network(), now);
        self.name_here.take(&of_name_here(), now);
        self.name.take(&of_name(), now);
    }
}

impl Guesses {
    /// One secret for this name from this address, or the seconds to wait.
    pub fn attempt(&self, address: IpAddr, name: &str) -> Result<Attempt, u64> {
        let network = network(address);
        let name = name.trim().to_lowercase();
        let attempt = Attempt {
            network: get(&self.networks, &network),
            name_here: get(&self.names_here, &self.hasher.hash_one((network, &name))),
            name: get(&self.names, &self.hasher.hash_one(&name)),
        };
        // From here on the attempt counts as running until it is dropped.
        let running = attempt.network.running.fetch_add(1, Ordering::Relaxed);
        let waits = [wait(&attempt.network.wrong, &of_network()), wait(&attempt.name_here, &of_name_here())];
        match waits.into_iter().flatten().max() {
            Some(seconds) => Err(seconds),
            None if running >= MOST_AT_ONCE => Err(1),
            None => Ok(attempt),
        }
    }
}

/// How often letters may be asked for by somebody who has forgotten a password.
pub struct Letters(Cache<(bool, u64), Arc<LimitState>>, RandomState);

impl Default for Letters {
    fn default() -> Self {
        Self(Cache::new(50_000), RandomState::new())
    }
}

/// Letters to one address, and letters that one network asks for: 5 at once, then one in twelve minutes.
fn of_letters() -> Windows {
    [None, None, Some(Window::new(5, 3600, 5)), None]
}

impl Letters {
    /// One letter to this address, or the seconds to wait. It is counted whether or not there is such an account.
    pub fn ask(&self, from: Option<IpAddr>, to: &str) -> Result<(), u64> {
        let now = clock::monotonic_ns();
        let hash = |text: &str| self.1.hash_one(text);
        let from = from.map(|address| network(address).to_string()).unwrap_or_default();
        for key in [(true, hash(&from)), (false, hash(&to.to_lowercase()))] {
            let decision = get(&self.0, &key).take(&of_letters(), now);
            if !decision.allowed {
                return Err(decision.retry_seconds());
            }
        }
        Ok(())
    }
}

fn get<K: std::hash::Hash + Eq + Clone, T: Default>(cache: &Cache<K, Arc<T>>, key: &K) -> Arc<T> {
    let Ok(made) = cache.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::default()));
    made
}

fn wait(state: &LimitState, windows: &Windows) -> Option<u64> {
    let wait = state.wait(windows, clock::monotonic_ns());
    (!wait.is_zero()).then(|| wait.as_secs() + 1)
}

/// What one customer of a provider has: an address, or a /64 of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn guess_wrong(guesses: &Guesses, address: IpAddr, name: &str) -> bool {
        guesses.attempt(address, name).map(|attempt| attempt.was_wrong()).is_ok()
    }

    #[test]
    fn a_name_from_one_network_has_ten_guesses() {
        let guesses = Guesses::default();
        assert!((0..10).all(|_| guess_wrong(&guesses, HERE, "ada")));
        assert!(!guess_wrong(&guesses, HERE, "ADA "));
        assert!(guess_wrong(&guesses, HERE, "bob"));
        assert!(guess_wrong(&guesses, "10.0.0.2".parse().unwrap(), "ada"));
    }

    #[test]
    fn a_network_has_sixty_whatever_the_names() {
        let guesses = Guesses::default();
        let passed = (0..200).filter(|number| guess_wrong(&guesses, HERE, &format!("user{number}"))).count();
        assert_eq!(passed, 60);
        let half: IpAddr = "2001:db8::1".parse().unwrap();
        let passed = (0..200_u128)
            .filter(|number| {
                let address = IpAddr::V6(Ipv6Addr::from(0x2001_0db8_u128 << 96 | number));
                guess_wrong(&guesses, address, &format!("user{number}"))
            })
            .count();
        assert_eq!((passed, network(half).to_string().as_str()), (60, "2001:db8::"));
    }

    #[test]
    fn a_name_has_a_hundred_from_all_networks() {
        let guesses = Guesses::default();
        let attempt = |number: u32| guesses.attempt(IpAddr::V4((0x0a00_0000 + number).into()), "ada").ok().unwrap();
        for number in 0..100 {
            assert_eq!(attempt(number).wait_of_name(), None);
            attempt(number).was_wrong();
        }
        assert!(attempt(101).wait_of_name().is_some());
    }

    #[test]
    fn what_is_running_is_bounded() {
        let guesses = Guesses::default();
        let running: Vec<_> = (0..16).map(|number| guesses.attempt(HERE, &number.to_string()).ok().unwrap()).collect();
        assert_eq!(guesses.attempt(HERE, "one more").err(), Some(1));
        drop(running);
        assert!(guesses.attempt(HERE, "one more").is_ok());
    }
}
