//! The `portunus` binary: parses the command line, runs one command, turns its end into an exit code.
//!
//! [`cli`] is the command tree, `command/` has one file per command, [`settings`] is what a serving process is given and
//! [`start`] builds and runs it.

#[macro_use]
mod cli;
mod client;
mod command;
mod echo;
mod fault;
mod kind;
mod manifest;
mod output;
mod settings;
mod start;

use std::process::ExitCode;

use clap::Parser;
use rustls::crypto::aws_lc_rs;

use crate::cli::Cli;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    aws_lc_rs::default_provider().install_default().expect("nothing chose a crypto provider before main");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to be told when the terminal is gone.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(fault::USAGE));
        }
    };
    match cli.command.run(&cli.context) {
        Ok(code) => code,
        Err(error) if fault::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            fault::exit_code(&error)
        }
    }
}
