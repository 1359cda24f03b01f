//! `portunus serve`: the process itself.

use std::process::ExitCode;

use crate::cli::Context;
use crate::fault::Faults;
use crate::settings::flags::Flags;
use crate::start::{self, ServeOptions};

const AFTER_HELP: &str = "\
A flag wins over the environment, the environment over the settings file. Everything that is
wrong with the settings is told at once, and the exit code is 78. SIGTERM and SIGINT let running
requests finish first.

Examples:
  portunus serve --demo
  portunus serve --config portunus.yaml --manifests manifests/
  PORTUNUS_DATA_DIR=/var/lib/portunus LOG_LEVEL=warn portunus serve";

/// Run the gateway and its control plane
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Start with a demo: an echo upstream, a published API, a consumer and a key, and a curl command that works
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Serves until the process is told to stop. Builds its own runtimes, so nothing here is async.
pub fn run(args: &Args, _: &Context) -> anyhow::Result<ExitCode> {
    let loaded = args.flags.clone().load()?;
    start::run(loaded.settings, ServeOptions { demo: args.demo }).map_err(as_configuration)?;
    Ok(ExitCode::SUCCESS)
}

/// What keeps a process from starting lies in its configuration or its surroundings: a port, a folder, a store.
fn as_configuration(error: anyhow::Error) -> anyhow::Error {
    match error.is::<Faults>() {
        true => error,
        false => Faults::one(format!("{error:#}")).into(),
    }
}
