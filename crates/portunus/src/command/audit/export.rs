//! `portunus audit export`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::Filters;
use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

/// What is written where.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filters: Filters,
    /// The form of the file
    #[arg(long, value_enum, default_value = "jsonl", value_name = "FORM")]
    format: Form,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// JSON lines, one event a line
    Jsonl,
    /// Comma-separated values
    Csv,
}

/// Fetches and writes.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let mut query = args.filters.query();
        query.extend(args.filters.tenant.iter().map(|tenant| ("tenant", tenant.clone())));
        query.push(("format", if args.format == Form::Csv { "csv" } else { "jsonl" }.to_owned()));
        let answer = client.download(&["v1", "audit", "export"], &query).await?;
        output::save(answer, args.file.as_deref()).await?;
        Ok(ExitCode::SUCCESS)
    })
}
