//! `portunus audit verify`: of a running node through its API, or of a stopped one on its files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use portunus_control::audit::verify::verify;
use portunus_control::store::open::open_to_read;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::fault::Exit;
use crate::output;
use crate::settings::layers::{Given, load};
use crate::settings::value::Raw;
use crate::settings::{Settings, by_key};
use crate::start::{audit_settings, masters, secret_key};

/// Which record is verified.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read the store in this folder instead of asking a running process
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The same with the settings of this file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same with the settings of the environment
    #[arg(long)]
    offline: bool,
}

/// Verifies and prints; the exit code says whether the record is whole.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let report = match args.offline || args.data_dir.is_some() || args.config.is_some() {
            true => offline(&settings(args)?).await?,
            false => Client::connect(context).await?.get(&["v1", "audit", "verify"], &[]).await?,
        };
        output::show(context.format(), &report, || sentence(&report))?;
        Ok(if report["intact"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn settings(args: &Args) -> anyhow::Result<Settings> {
    let data_dir = args.data_dir.as_ref().map(|folder| Raw::Text(folder.display().to_string()));
    let flags = by_key("data_dir").into_iter().zip(data_dir).collect();
    let given = Given { config: args.config.clone(), environment: std::env::vars_os().collect(), flags };
    Ok(load(given)?.settings)
}

async fn offline(settings: &Settings) -> anyhow::Result<Value> {
    let path = settings.database_path();
    if !path.exists() {
        return Err(
            Exit::usage(format!("there is no store {}; name its folder with --data-dir", path.display())).into()
        );
    }
    let secret = secret_key::load(settings.secret_key.as_deref(), &settings.data_dir, &path)?;
    let (mut db, keys) = open_to_read(&path, &masters(&secret, settings)).await?;
    let audit = audit_settings(settings);
    let report = verify(&mut db, &keys.audit, &audit.folder, &audit.checkpoints).await;
    let mut report = json!(report.with_context(|| format!("{} cannot be verified", path.display()))?);
    report["public_key"] = keys.audit.signer().public_key().to_pem().into();
    Ok(report)
}

fn sentence(report: &Value) -> String {
    let number = |field: &str| report[field].as_u64().unwrap_or_default();
    let read =
        format!("{} rows, {} segments, {} checkpoints", number("rows"), number("segments"), number("checkpoints"));
    match report["first_fault"]["message"].as_str() {
        None => format!("the record is whole: {read}; it ends with row {}", number("last_sequence")),
        Some(message) => {
            let at = match report["first_fault"]["sequence"].as_u64() {
                Some(sequence) => format!("first bad row: {sequence}\n"),
                None => String::new(),
            };
            format!("THE RECORD IS BROKEN: {message}\n{at}before that, {read} were right")
        }
    }
}
