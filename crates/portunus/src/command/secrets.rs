//! `portunus secrets`: the keys that secrets are sealed with.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

const AFTER_HELP: &str = "\
Traffic and changes go on while keys change. A change that was broken off is finished by the next one.

Examples:
  portunus secrets rotate
  portunus secrets rotate -o json";

/// Change the key that secrets are sealed with
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new key, seal every secret anew with it, and delete the old keys
    Rotate,
}

/// Does it and tells what was done.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let Action::Rotate = args.action;
    block_on(async {
        let client = Client::connect(context).await?;
        let answer = client.send(Method::POST, &["v1", "secrets", "rotate"], &[], None).await?;
        output::show(context.format(), &answer, || {
            let fields = ["key", "resealed", "deleted", "left"];
            output::table(&fields, [fields.iter().map(|field| output::cell(&answer[*field])).collect()])
        })?;
        Ok(ExitCode::SUCCESS)
    })
}
