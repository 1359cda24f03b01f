//! `portunus audit`: the record of what happened.

mod export;
mod list;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

const AFTER_HELP: &str = "\
`verify` ends with 0 when the record is whole, and with 1 when it is not. With --data-dir it reads
the store of a node that is stopped.

Examples:
  portunus audit list --limit 20 --user admin --action 'policy.*'
  portunus audit list --status denied --since 24h -o json
  portunus audit verify
  portunus audit verify --data-dir /var/lib/portunus
  portunus audit export --since 7d --format csv -f audit.csv
  portunus audit seal --older-than 90d
  portunus audit erase jane";

/// List, verify and export the record of what happened
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List events, the newest first
    List(list::Args),
    /// Check the whole record and name the first row that is wrong
    Verify(verify::Args),
    /// Write the record to a file, with hashes and seals
    Export(export::Args),
    /// Move old rows into sealed files, which `verify` reads as well
    Seal {
        /// Rows older than this: a span such as 90d, or a time
        #[arg(long, value_name = "AGE")]
        older_than: String,
    },
    /// Erase a person's name or address from the record; a pseudonym stays
    Erase {
        /// A login name, a consumer's name or an address
        person: String,
    },
}

/// What lists and exports are narrowed down by.
#[derive(Debug, clap::Args)]
pub struct Filters {
    /// Only events by this actor: a name or an id
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only events with this action, such as policy.updated or 'login.*'
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only events about this kind, id or name
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only events that ended so: success, denied or failed
    #[arg(long, value_name = "STATUS", value_parser = ["success", "denied", "failed"])]
    status: Option<String>,
    /// Only events at this time or later: a time, a day, or how long ago such as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Tenant, by name or id; without it, all
    #[arg(short, long)]
    tenant: Option<String>,
}

impl Filters {
    /// As parameters of a query, without the tenant.
    fn query(&self) -> Vec<(&'static str, String)> {
        [
            ("user", &self.user),
            ("action", &self.action),
            ("resource", &self.resource),
            ("status", &self.status),
            ("since", &self.since),
            ("until", &self.until),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}

/// Does one of them.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::List(args) => list::run(args, context),
        Action::Verify(args) => verify::run(args, context),
        Action::Export(args) => export::run(args, context),
        Action::Seal { older_than } => change(context, "seal", &json!({ "before": older_than }), |answer| {
            format!("{} rows moved into {} files", answer["rows"], answer["segments"])
        }),
        Action::Erase { person } => change(context, "erase", &json!({ "person": person }), |answer| {
            format!("erased; the record says {} instead", output::cell(&answer["pseudonym"]))
        }),
    }
}

/// A call that changes something.
fn change(context: &Context, call: &str, body: &Value, text: impl Fn(&Value) -> String) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let answer = client.send(Method::POST, &["v1", "audit", call], &[], Some(body)).await?;
        output::show(context.format(), &answer, || text(&answer))?;
        Ok(ExitCode::SUCCESS)
    })
}
