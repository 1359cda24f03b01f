//! Black-box tests: the real binary, real connections, and what a user sees of both.
//!
//! Each test starts a process of its own with its own data folder, so tests share nothing and may run in any order.
//! A name that begins with `s` and two digits is a line of the contract.

mod access;
mod bad_input;
mod balancing;
mod cli;
mod crash;
mod demo;
mod examples;
mod http2;
mod limits;
mod policies;
mod proxy;
mod readme;
mod records;
mod resources;
mod startup;
mod stoa;
mod wire;

use portunus_testkit::{Api, Builder, Portunus, Upstream};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_portunus");

/// A process that is not started yet.
fn portunus() -> Builder {
    Portunus::builder(BINARY)
}

/// A running gateway, its administrator and an upstream to put behind it.
struct Gate {
    process: Portunus,
    admin: Api,
    upstream: Upstream,
}

impl Gate {
    /// Starts all three.
    fn start() -> Self {
        Self::with(portunus())
    }

    /// Starts the gateway in a special way.
    fn with(builder: Builder) -> Self {
        let process = builder.start();
        let admin = process.api();
        Self { process, admin, upstream: Upstream::start() }
    }
}
