//! Floods of HTTP/2 frames. Each costs the sender little and would cost a careless server much.
//!
//! In all of them somebody else is answered within a second, all the time, and memory stays bounded.

mod drain;
mod frames;
mod headers;
mod stalls;

use std::thread;
use std::time::Duration;

use portunus_testkit::http2::{Connection, END_HEADERS, END_STREAM, frame, kind, request};
use portunus_testkit::prober::Prober;
use portunus_testkit::{Portunus, Upstream};

use crate::{figure, ms, portunus};

/// Connections that flood at the same time.
const ATTACKERS: usize = 4;
/// The most that anybody else waits meanwhile.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);
/// How long after its flood a connection is closed or served.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// The stream of the request after the flood, above all those of the flood.
const LAST_STREAM: u32 = 0x7fff_fff1;

/// A gateway with an upstream that is about to be flooded.
struct Scene {
    process: Portunus,
    upstream: Upstream,
    /// Has nothing to do with the flood.
    _polite: Upstream,
}

/// What a flood came to.
#[derive(Debug, Default)]
struct Outcome {
    /// Connections that the gateway has closed.
    closed: usize,
    /// Connections on which a request was answered after the flood.
    served: usize,
    /// Rounds that were sent on all connections together.
    rounds: usize,
    /// The error codes of the GOAWAYs.
    codes: Vec<u32>,
}

impl Outcome {
    fn and(mut self, other: Self) -> Self {
        self.codes.extend(other.codes);
        Self {
            closed: self.closed + other.closed,
            served: self.served + other.served,
            rounds: self.rounds + other.rounds,
            codes: self.codes,
        }
    }
}

impl Scene {
    fn new() -> Self {
        let (upstream, polite) = (Upstream::start(), Upstream::start());
        upstream.forget();
        polite.forget();
        // A client that does not take its answer is let go after three seconds instead of thirty.
        let builder = portunus().env("PORTUNUS_LOG", "warn").env("PORTUNUS_WRITE_TIMEOUT_MS", "3000");
        let process = builder.start_silent();
        process.api().create_public_api("orders", &upstream.url());
        process.api().create_public_api("polite", &polite.url());
        process.get("/polite/x").send().is(200);
        Self { process, upstream, _polite: polite }
    }

    fn address(&self) -> &str {
        self.process.gw_address()
    }

    /// Lets `attack` run while a polite client asks, and judges what that one saw and what memory it took, in MiB.
    fn under<T>(&self, name: &str, most_memory: u64, attack: impl FnOnce() -> T) -> T {
        let before = self.process.rss_kb();
        let prober = Prober::start(self.address(), "/polite/x");
        let outcome = attack();
        let grown = self.process.rss_kb().saturating_sub(before);
        let seen = prober.stop();
        figure(&format!("flood_{name}_others_slowest"), ms(seen.slowest), "ms");
        figure(&format!("flood_{name}_memory_grown"), grown, "KiB");
        figure(&format!("flood_{name}_requests_at_the_upstream"), self.upstream.count(), "requests");
        assert!(seen.statuses.keys().all(|status| *status == 200), "{name}: {seen:?}");
        assert!(seen.slowest <= OTHERS_WITHIN, "{name}: {seen:?}");
        assert!(grown <= most_memory * 1024, "{name}: memory grew by {grown} KiB");
        outcome
    }

    /// Sends the same number of rounds on several connections at once, each as fast as it is taken.
    fn flood(&self, name: &str, rounds: u32, round: impl Fn(u32) -> Vec<u8> + Sync) -> Outcome {
        let attack = || {
            thread::scope(|scope| {
                let attackers: Vec<_> = (0..ATTACKERS).map(|_| scope.spawn(|| self.rage(rounds, &round))).collect();
                let ended = attackers.into_iter().map(|attacker| attacker.join().expect("an attacker only sends"));
                ended.fold(Outcome::default(), Outcome::and)
            })
        };
        let outcome = self.under(name, 64, attack);
        figure(&format!("flood_{name}_rounds_sent"), outcome.rounds, "rounds");
        figure(&format!("flood_{name}_connections_closed"), outcome.closed, "connections");
        figure(&format!("flood_{name}_goaway_codes"), format!("{:?}", outcome.codes), "codes");
        assert!(outcome.closed + outcome.served >= ATTACKERS, "{name}: neither closed nor served: {outcome:?}");
        outcome
    }

    /// Floods on one connection; tells whether it was closed, whether it is served after it, and how much was sent.
    fn rage(&self, rounds: u32, round: &impl Fn(u32) -> Vec<u8>) -> Outcome {
        let mut connection = Connection::open(self.address(), &[]);
        let mut bytes = Vec::new();
        let mut sent = 0;
        for number in 0..rounds {
            bytes.extend(round(number));
            sent += 1;
            if bytes.len() > 32 * 1024 || sent == rounds {
                if !connection.send(&bytes) {
                    break;
                }
                bytes.clear();
            }
        }
        let block = request("GET", self.address(), "/orders/x");
        connection.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, LAST_STREAM, &block));
        let answer = connection.wait(ENDED_WITHIN, |frame| frame.stream == LAST_STREAM && frame.is_ok());
        Outcome {
            closed: connection.is_closed().into(),
            served: answer.is_some().into(),
            rounds: sent as usize,
            codes: connection.goaway().into_iter().collect(),
        }
    }
}

/// The stream that a client opens as its `number`th.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}
