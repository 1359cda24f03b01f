//! `portunus config`: settings and manifests without a running process.

mod check;
mod show;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::cli::Context;
use crate::output::{self, Format};
use crate::settings::reference;
use portunus_control::yaml;

const AFTER_HELP: &str = "\
Examples:
  portunus config check portunus.yaml manifests/
  portunus config check
  portunus config show --config portunus.yaml
  portunus config schema manifest > portunus-manifest.schema.json";

/// Check, describe and show the configuration, offline
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Find every fault of settings files and manifests; exit code 78 if there is one
    Check(check::Args),
    /// Print the JSON Schema of the settings file or of manifests
    Schema {
        /// Of what
        #[arg(value_enum, default_value = "settings")]
        of: SchemaOf,
    },
    /// Print the effective settings and where each comes from; secrets are masked
    Show(show::Args),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaOf {
    /// The settings file
    Settings,
    /// A manifest
    Manifest,
}

/// Does one of the three.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Check(args) => check::run(args, context),
        Action::Show(args) => show::run(args, context),
        Action::Schema { of } => {
            let schema = match of {
                SchemaOf::Settings => reference::schema(),
                SchemaOf::Manifest => portunus_control::manifest::schema(),
            };
            match context.output {
                Some(Format::Yaml) => output::print(&yaml::print(&[schema]))?,
                _ => output::print(&output::json(&schema))?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
