//! The command tree.
//!
//! A command is one file in `command/` and one line in [`commands!`]. The file has `Args`, whose documentation is the help,
//! and `run(&Args, &Context)`.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::command;
use crate::output::Format;

/// Every command, in the order of the help: its variant and its file. `$then` is the macro that makes something of it.
macro_rules! commands {
    ($then:ident) => {
        $then! {
            Serve => serve,
            Apply => apply,
            Diff => diff,
            Get => get,
            Delete => delete,
            Export => export,
            Keys => keys,
            Tokens => tokens,
            AccessReview => access_review,
            Secrets => secrets,
            Approvals => approvals,
            Users => users,
            Sessions => sessions,
            Audit => audit,
            Evidence => evidence,
            Admin => admin,
            Realm => realm,
            Health => health,
            Config => config,
            Completion => completion,
            Version => version,
            GenerateDocs => generate_docs,
        }
    };
}

macro_rules! tree {
    ($($variant:ident => $file:ident,)+) => {
        /// What is to be done.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $( #[allow(missing_docs, reason = "the help of a command is the documentation of its arguments")] $variant(command::$file::Args), )+
        }

        impl Command {
            /// Does it.
            pub fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
                match self {
                    $( Self::$variant(args) => command::$file::run(&args, context), )+
                }
            }
        }
    };
}

commands!(tree);

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 called the wrong way, 78 the configuration cannot be used.

Start here:
  portunus serve --demo        a gateway with a demo API; prints a curl command that works
  portunus get apis            what is published
  portunus apply -f FILE       publish what a file says";

/// The gate to your APIs in one binary: gateway and control plane.
#[derive(Debug, Parser)]
#[command(name = "portunus", bin_name = "portunus", version = command::version::TEXT, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub context: Context,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What the commands that talk to a running process share.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Context {
    /// Where the running process is: its control listener
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PORTUNUS_URL",
        default_value = "http://127.0.0.1:8000",
        hide_env_values = true
    )]
    pub url: String,
    /// Access token; without one, PORTUNUS_CLIENT_ID (default control-plane-api) and PORTUNUS_CLIENT_SECRET fetch one
    #[arg(long, global = true, value_name = "TOKEN", env = "PORTUNUS_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Form of the output
    #[arg(short, long, global = true, value_enum, value_name = "FORM")]
    pub output: Option<Format>,
}

impl Context {
    /// The form of the output, a table if none was asked for.
    pub fn format(&self) -> Format {
        self.output.unwrap_or(Format::Table)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_with_an_example() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no help");
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("portunus "), "{name} has no example");
        }
    }
}
