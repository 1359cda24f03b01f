//! `portunus evidence`: a signed file for an investigation, and the check of one.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use portunus_control::audit::evidence::check::{Found, check};
use portunus_control::audit::sign::PublicKey;
use portunus_gateway::clock;
use serde_json::json;

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::fault::Exit;
use crate::output;

const AFTER_HELP: &str = "\
The file holds the audit record with its proofs, the history of the configuration, sessions and
API tokens, all without secrets, and a signature. Nothing in it can be altered unseen.

Examples:
  portunus evidence export --since 7d -f incident-42.tar.gz
  portunus evidence verify incident-42.tar.gz --public-key node.pem";

/// Write a signed file for an investigation, or check one
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write everything since a time to a signed file
    Export {
        /// From when: a time, a day, or how long ago such as 7d
        #[arg(long, value_name = "TIME")]
        since: String,
        /// Up to when; without it, now
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Write to this file instead of portunus-evidence-TIME.tar.gz
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Say whether anything in a file was altered, and what
    Verify {
        /// The file
        file: PathBuf,
        /// The node's public key in PEM, got by another way than the file
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
}

/// Does one of the two.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Export { since, until, file } => block_on(async {
            let client = Client::connect(context).await?;
            let mut query = vec![("since", since.clone())];
            query.extend(until.iter().map(|until| ("until", until.clone())));
            let answer = client.download(&["v1", "audit", "evidence"], &query).await?;
            let usual =
                || PathBuf::from(format!("portunus-evidence-{}.tar.gz", clock::now().strftime("%Y%m%d-%H%M%S")));
            let path = file.clone().unwrap_or_else(usual);
            output::save(answer, Some(&path)).await?;
            let text = path.display().to_string();
            output::show(context.format(), &json!({ "file": text }), || format!("evidence written to {text}"))?;
            Ok(ExitCode::SUCCESS)
        }),
        Action::Verify { file, public_key } => {
            let key = match public_key {
                Some(path) => {
                    let text = std::fs::read_to_string(path);
                    let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
                    let wrong = || Exit::usage(format!("{} is not a public key in PEM", path.display()));
                    Some(PublicKey::from_pem(&text).ok_or_else(wrong)?)
                }
                None => None,
            };
            let is_given = key.is_some();
            let bundle = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
            let found = check(bundle, key).with_context(|| format!("{} is damaged", file.display()))?;
            output::show(context.format(), &json!(found), || sentence(&found, is_given))?;
            Ok(if found.intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn sentence(found: &Found, is_given: bool) -> String {
    if !found.intact {
        return format!("THE EVIDENCE WAS ALTERED:\n  {}", found.faults.join("\n  "));
    }
    let key = match is_given {
        true => "the given key signed it".to_owned(),
        false => format!("compare the key with the node's by another way: {}", found.key_fingerprint),
    };
    format!("nothing was altered in {} files; {key}", found.files)
}
