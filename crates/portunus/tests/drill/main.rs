//! The long tests, run by `make drill`: soaks, kill loops and large configurations.
//!
//! Each prints its measurements as lines `figure: name value unit`.

mod audit;
mod changes;
mod flap;
mod floods;
mod fuzz;
mod idle;
mod kills;
mod login_storm;
mod many_consumers;
mod overload;
mod saturation;
mod tokens;

use std::fmt::Display;
use std::time::Duration;

use portunus_testkit::{Builder, Portunus};

/// A process that is not started yet.
fn portunus() -> Builder {
    Portunus::builder(env!("CARGO_BIN_EXE_portunus"))
}

/// Prints one measurement.
#[expect(clippy::print_stdout, reason = "the figures are what a drill is run for")]
fn figure(name: &str, value: impl Display, unit: &str) {
    println!("figure: {name} {value} {unit}");
}

/// A duration in milliseconds, for a figure.
fn ms(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

/// The middle one of some durations.
fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}
