//! `portunus access-review`: who can do what, and when they last did.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

const AFTER_HELP: &str = "\
Lists every user, service account and API token with roles, permissions, where they hold, and the last use, and says
what is worth a question: may do everything, unused for 90 days, without an end, locked.

Examples:
  portunus access-review
  portunus access-review --tenant acme
  portunus access-review -o json | jq '.items[] | select(.warnings != [])'";

/// List who can do what, and when they last did
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only this tenant, by name or id
    #[arg(short, long)]
    tenant: Option<String>,
}

/// Fetches and prints.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let query: Vec<(&str, String)> = args.tenant.iter().map(|tenant| ("tenant", tenant.clone())).collect();
        let review = client.get(&["v1", "access-review"], &query).await?;
        output::show(context.format(), &review, || table(&review))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn table(review: &Value) -> String {
    let items = review["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = items.iter().map(|item| {
        let factor = match &item["second_factor"] {
            Value::Bool(true) => "yes",
            Value::Bool(false) => "no",
            _ => "-",
        };
        let name = match item["owner"]["name"].as_str() {
            Some(owner) => format!("{} of {owner}", output::cell(&item["name"])),
            None => output::cell(&item["name"]),
        };
        vec![
            output::cell(&item["kind"]),
            name,
            output::cell(&item["holds_in"]),
            output::cell(&item["roles"]),
            output::cell(&item["permissions"]),
            factor.to_owned(),
            item["last_used_at"].as_str().map_or("never", seconds).to_owned(),
            output::cell(&item["warnings"]),
        ]
    });
    let header = ["kind", "name", "holds in", "roles", "permissions", "2nd factor", "last used", "warnings"];
    let counted = format!("{} in all, {} with warnings", items.len(), review["with_warnings"]);
    format!("{}\n\n{counted}", output::table(&header, rows))
}

/// A time without the part behind its seconds.
pub fn seconds(time: &str) -> &str {
    time.split_once('.').map_or(time, |(seconds, _)| seconds)
}
