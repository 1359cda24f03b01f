//! `portunus users`: people, and their logins.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::command::sessions;
use crate::output;

const AFTER_HELP: &str = "\
A link is shown only when Portunus has no server to mail it with.

Examples:
  portunus users list -t acme
  portunus users lock ada --reason \"left the company\"
  portunus users invite ada
  portunus users reset-password ada
  portunus users sessions ada";

/// The most that one page of the API holds.
const PAGE_SIZE: &str = "100";

/// List people; lock, invite, and let them set a new password
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Tenant, by name or id
    #[arg(short, long, default_value = "default", global = true)]
    tenant: String,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the users of a tenant
    List,
    /// Lock a user: their sessions and tokens end
    Lock {
        /// The user, by name or id
        user: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a locked user log in again
    Unlock {
        /// The user, by name or id
        user: String,
    },
    /// Make a link for a user's first password
    Invite {
        /// The user, by name or id
        user: String,
    },
    /// Make a link to set a new password
    ResetPassword {
        /// The user, by name or id
        user: String,
        /// Also end the user's sessions and tokens, and take the old password no longer
        #[arg(long)]
        force: bool,
    },
    /// List where a user is logged in
    Sessions {
        /// The user, by name or id
        user: String,
    },
}

/// Does one of them.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let users = ["v1", "tenants", &args.tenant, "users"];
    let act = |user, action| [&users[..], &[user, action]].concat();
    block_on(async {
        let client = Client::connect(context).await?;
        match &args.action {
            Action::List => list(&client, &users, context).await?,
            Action::Lock { user, reason } => {
                let body = reason.as_ref().map_or_else(|| json!({}), |reason| json!({"reason": reason}));
                let answer = client.send(Method::POST, &act(user, "lock"), &[], Some(&body)).await?;
                output::show(context.format(), &answer, || format!("user {user} is locked"))?;
            }
            Action::Unlock { user } => {
                let answer = client.send(Method::POST, &act(user, "unlock"), &[], None).await?;
                output::show(context.format(), &answer, || format!("user {user} is active"))?;
            }
            Action::Invite { user } => {
                let answer = client.send(Method::POST, &act(user, "invite"), &[], None).await?;
                output::show(context.format(), &answer, || handed_out(user, &answer))?;
            }
            Action::ResetPassword { user, force } => {
                if *force {
                    client.send(Method::POST, &act(user, "force-password-reset"), &[], None).await?;
                }
                let answer = client.send(Method::POST, &act(user, "reset-password"), &[], None).await?;
                output::show(context.format(), &answer, || handed_out(user, &answer))?;
            }
            Action::Sessions { user } => {
                let found = client.get(&[&users[..], &[user]].concat(), &[]).await?;
                let id = found["id"].as_str().unwrap_or(user).to_owned();
                sessions::list(&client, Some(id), context).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn handed_out(user: &str, answer: &Value) -> String {
    let until = output::cell(&answer["expires_at"]);
    match answer["link"].as_str() {
        Some(link) => format!("give this link to {user}; it is good for one use, until {until}:\n{link}"),
        None => format!("a link is on its way to {user} by mail; it is good for one use, until {until}"),
    }
}

async fn list(client: &Client, users: &[&str], context: &Context) -> anyhow::Result<()> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("page_size", PAGE_SIZE.to_owned())];
        query.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
        let mut page = client.get(users, &query).await?;
        if let Value::Array(mut found) = page["items"].take() {
            items.append(&mut found);
        }
        let next = page["next_cursor"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
        // A cursor that comes twice would never end.
        if next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    let columns = ["name", "email", "status", "lock_reason", "updated_at"];
    let row = |item: &Value| columns.iter().map(|column| output::cell(&item[*column])).collect();
    output::show(context.format(), &json!({"items": items}), || {
        output::table(&["name", "email", "status", "reason", "updated"], items.iter().map(row))
    })?;
    Ok(())
}
