//! `portunus version`.

use std::env::consts::{ARCH, OS};
use std::process::ExitCode;

use serde_json::json;

use crate::cli::Context;
use crate::output;

/// The version alone.
pub const TEXT: &str = env!("CARGO_PKG_VERSION");

const AFTER_HELP: &str = "\
Examples:
  portunus version
  portunus version -o json";

/// Print the version
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {}

/// Prints the version and what the binary was built for.
pub fn run(_: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let version = json!({"name": "portunus", "version": TEXT, "os": OS, "arch": ARCH});
    output::show(context.format(), &version, || format!("portunus {TEXT} ({ARCH} {OS})"))?;
    Ok(ExitCode::SUCCESS)
}
