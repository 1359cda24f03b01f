//! `portunus completion`: completion of commands and flags in a shell.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Context};
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  portunus completion bash > /etc/bash_completion.d/portunus
  portunus completion zsh > \"${fpath[1]}/_portunus\"
  portunus completion fish > ~/.config/fish/completions/portunus.fish";

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args, _: &Context) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics when its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "portunus", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
