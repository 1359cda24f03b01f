//! `portunus sessions`: who is logged in.

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::fault::Exit;
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  portunus sessions list
  portunus sessions list --user ada
  portunus sessions revoke 0192f0c1-...
  portunus sessions revoke --user acme/ada";

/// List sessions, and end them at once
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List who is logged in
    List {
        /// Only this user, by id or login name
        #[arg(long)]
        user: Option<String>,
    },
    /// End one session, or all sessions and tokens of a user
    Revoke {
        /// The session's id
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        session: Option<String>,
        /// Everything of this user, by id or login name
        #[arg(long)]
        user: Option<String>,
    },
}

/// Does one of them.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        match &args.action {
            Action::List { user } => list(&client, user.clone(), context).await?,
            Action::Revoke { session: Some(session), .. } => {
                client.send(Method::DELETE, &["v1", "sessions", session], &[], None).await?;
                let answer = json!({"revoked": 1});
                output::show(context.format(), &answer, || format!("session {session} has ended"))?;
            }
            Action::Revoke { user: Some(user), .. } => {
                let query = [("user", user.clone())];
                let answer = client.send(Method::DELETE, &["v1", "sessions"], &query, None).await?;
                let count = output::cell(&answer["revoked"]);
                output::show(context.format(), &answer, || {
                    format!("all sessions and tokens of {user} have ended ({count} sessions)")
                })?;
            }
            Action::Revoke { .. } => return Err(Exit::usage("name a session, or --user".to_owned()).into()),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Prints the live sessions, of one user or of all.
pub async fn list(client: &Client, user: Option<String>, context: &Context) -> anyhow::Result<()> {
    let query: Vec<(&str, String)> = user.into_iter().map(|user| ("user", user)).collect();
    let answer = client.get(&["v1", "sessions"], &query).await?;
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["id", "user", "address", "methods", "created_at", "last_seen_at", "expires_at"];
    let row = |item: &Value| columns.iter().map(|column| output::cell(&item[*column])).collect();
    output::show(context.format(), &answer, || match items.is_empty() {
        true => "nobody is logged in".to_owned(),
        false => output::table(
            &["id", "user", "address", "methods", "created", "last seen", "expires"],
            items.iter().map(row),
        ),
    })?;
    Ok(())
}
