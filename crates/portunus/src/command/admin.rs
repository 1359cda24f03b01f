//! `portunus admin`: the commands of administrators under one word, as other gateways have them.

use std::process::ExitCode;

use clap::Subcommand;

use super::audit;
use crate::cli::Context;

const AFTER_HELP: &str = "\
Examples:
  portunus admin audit list --limit 50
  portunus admin audit verify";

/// Commands of administrators; each can be called without `admin` as well
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The same as `portunus audit`
    Audit(audit::Args),
}

/// Does what is asked for.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Audit(args) => audit::run(args, context),
    }
}
