//! `portunus realm`: who may come in, as one document.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

const AFTER_HELP: &str = "\
The document holds tenants, roles, accounts, API tokens and identity providers; passwords, second
factors, client secrets and signing keys are sealed in it under the passphrase.

Examples:
  portunus realm export -f realm.json --passphrase-file passphrase
  portunus realm import -f realm.json --passphrase-file passphrase --dry-run
  portunus realm import -f realm.json --passphrase-file passphrase --mode replace";

/// Write and read who may come in: accounts, roles, providers
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the realm to a file
    Export {
        /// The file to write
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// File with the passphrase on its first line; without it, secrets are left out
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Read the realm from a file
    Import {
        /// The file to read
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// File with the passphrase on its first line
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// What happens to accounts, roles, tokens and providers that are not in the file
        #[arg(long, value_enum, default_value = "merge")]
        mode: Mode,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// They stay
    Merge,
    /// They go
    Replace,
}

/// Does one of the two.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        match &args.action {
            Action::Export { file, passphrase_file } => {
                let path = ["v1", "realm", "export"];
                let document = match passphrase(passphrase_file.as_deref())? {
                    Some(passphrase) => {
                        let body = json!({ "passphrase": passphrase });
                        client.send(Method::POST, &path, &[], Some(&body)).await?
                    }
                    None => client.get(&path, &[]).await?,
                };
                write(file, &output::json(&document))?;
                let count = document["resources"].as_array().map_or(0, Vec::len);
                output::print(&format!("{count} resources are in {}", file.display()))?;
            }
            Action::Import { file, passphrase_file, mode, dry_run } => {
                let text = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
                let document: Value =
                    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))?;
                let mode = match mode {
                    Mode::Merge => "merge",
                    Mode::Replace => "replace",
                };
                let mut body = json!({ "document": document, "mode": mode, "dry_run": dry_run });
                if let Some(passphrase) = passphrase(passphrase_file.as_deref())? {
                    body["passphrase"] = passphrase.into();
                }
                let answer = client.send(Method::POST, &["v1", "realm", "import"], &[], Some(&body)).await?;
                output::show(context.format(), &answer, || changes(&answer))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn passphrase(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    anyhow::ensure!(!line.is_empty(), "the first line of {} is empty", file.display());
    Ok(Some(line.to_owned()))
}

/// Only its owner may read it: who holds it can try passphrases.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", file.display());
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).with_context(failed)?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).with_context(failed)
}

fn changes(answer: &Value) -> String {
    let changes = answer["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if changes.is_empty() {
        return "nothing is different".to_owned();
    }
    let row =
        |change: &Value| [&change["done"], &change["kind"], &change["name"]].into_iter().map(output::cell).collect();
    output::table(&["done", "kind", "name"], changes.iter().map(row))
}
