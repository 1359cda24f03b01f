//! `portunus approvals`: requests for approval.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

const AFTER_HELP: &str = "\
A call that needs approval is refused and named here; once enough others have approved it, the
same call is let through, one time.

Examples:
  portunus approvals list --status pending
  portunus approvals show 0192f0c1-7d5e-7b3a-9d7e-3c9f5d0e8a11
  portunus approvals approve 0192f0c1-7d5e-7b3a-9d7e-3c9f5d0e8a11 --comment 'seen the change'
  portunus approvals reject 0192f0c1-7d5e-7b3a-9d7e-3c9f5d0e8a11 --comment 'not on a Friday'";

/// See and decide requests for approval
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List requests, the latest first
    List {
        /// Only those that stand there: pending, approved, rejected, cancelled, used or expired
        #[arg(long)]
        status: Option<String>,
        /// Only those of this tenant, by name or id
        #[arg(short, long)]
        tenant: Option<String>,
        /// One's own instead of all that one may see
        #[arg(long, conflicts_with = "tenant")]
        mine: bool,
        /// How many, at most
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
    /// Show one request
    Show {
        /// Its id
        id: String,
    },
    /// Approve a call
    Approve {
        /// The request's id
        id: String,
        /// A word with it
        #[arg(long)]
        comment: Option<String>,
    },
    /// Refuse to approve a call
    Reject {
        /// The request's id
        id: String,
        /// A word with it
        #[arg(long)]
        comment: Option<String>,
    },
    /// Take one's own request back
    Cancel {
        /// The request's id
        id: String,
    },
}

/// Does one of them.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        match &args.action {
            Action::List { status, tenant, mine, limit } => {
                let path: &[&str] = if *mine { &["v1", "me", "approvals"] } else { &["v1", "approvals"] };
                let mut query = vec![("limit", limit.to_string())];
                query.extend(status.clone().map(|status| ("status", status)));
                query.extend(tenant.clone().map(|tenant| ("tenant", tenant)));
                let page = client.get(path, &query).await?;
                let items = page["items"].as_array().context("the answer has no items")?;
                output::show(context.format(), &page["items"], || table(items))?;
            }
            Action::Show { id } => show(context, &client.get(&["v1", "approvals", id], &[]).await?)?,
            Action::Approve { id, comment } => step(&client, context, id, "approve", comment.as_deref()).await?,
            Action::Reject { id, comment } => step(&client, context, id, "reject", comment.as_deref()).await?,
            Action::Cancel { id } => step(&client, context, id, "cancel", None).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn step(client: &Client, context: &Context, id: &str, word: &str, comment: Option<&str>) -> anyhow::Result<()> {
    let body = comment.map(|comment| json!({ "comment": comment }));
    let after = client.send(Method::POST, &["v1", "approvals", id, word], &[], body.as_ref()).await?;
    show(context, &after)
}

fn show(context: &Context, approval: &Value) -> anyhow::Result<()> {
    let rows = || approval.as_object().into_iter().flatten();
    let table =
        || output::table(&["field", "value"], rows().map(|(field, value)| vec![field.clone(), output::cell(value)]));
    output::show(context.format(), approval, table)?;
    Ok(())
}

fn table(items: &[Value]) -> String {
    if items.is_empty() {
        return "nothing found".to_owned();
    }
    let row = |item: &Value| {
        let text = |field: &str| item[field].as_str().unwrap_or_default();
        let query = if text("query").is_empty() { String::new() } else { format!("?{}", text("query")) };
        vec![
            text("id").to_owned(),
            text("status").to_owned(),
            format!("{}/{}", item["approvals"], item["needed"]),
            text("requester").to_owned(),
            format!("{} {}{query}", text("method"), text("path")),
            text("expires_at").to_owned(),
        ]
    };
    output::table(&["id", "status", "approvals", "requester", "call", "expires"], items.iter().map(row))
}
