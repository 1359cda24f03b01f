//! What goes over the wire, byte by byte: which requests are refused, and what exactly the upstream gets of the others.

mod answers;
mod chunks;
mod fidelity;
mod fields;
mod framing;
mod hosts;
mod leaving;
mod mutations;
mod sequence;
mod slow;
mod smuggling;
mod table;
mod targets;

use portunus_testkit::Portunus;
use portunus_testkit::upstream::Recorder;

use crate::portunus;

/// A gateway with one public API, `/orders`, and an upstream that keeps every byte.
struct Wire {
    process: Portunus,
    upstream: Recorder,
}

impl Wire {
    /// Starts both.
    fn start() -> Self {
        let (process, upstream) = (portunus().start(), Recorder::start());
        process.api().create_public_api("orders", &upstream.url());
        Self { process, upstream }
    }

    /// How many access lines there are since the log was last cleared.
    fn access_lines(&self) -> usize {
        self.process.logs().iter().filter(|line| line.contains("\"request completed\"")).count()
    }
}
