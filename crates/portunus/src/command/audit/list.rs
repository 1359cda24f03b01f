//! `portunus audit list`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Filters;
use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

/// The most that one page of the API holds.
const PAGE: usize = 1_000;

/// What is listed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many events
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    limit: usize,
    #[command(flatten)]
    filters: Filters,
}

/// Fetches and prints.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let path: Vec<&str> = ["v1", "audit"].into_iter().chain(args.filters.tenant.as_deref()).collect();
        let mut logs: Vec<Value> = Vec::new();
        let mut totals = json!({});
        let mut cursor: Option<String> = None;
        while logs.len() < args.limit {
            let mut query = args.filters.query();
            query.push(("limit", (args.limit - logs.len()).min(PAGE).to_string()));
            query.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
            let mut page = client.get(&path, &query).await?;
            if let Value::Array(mut found) = page["logs"].take() {
                logs.append(&mut found);
            }
            totals = json!({"total": page["total"], "total_events": page["total_events"]});
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let answer = json!({"logs": logs, "total": totals["total"], "total_events": totals["total_events"]});
        output::show(context.format(), &answer, || table(&logs))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn table(logs: &[Value]) -> String {
    if logs.is_empty() {
        return "nothing found".to_owned();
    }
    let row = |log: &Value| {
        let outcome = match log["reason"].as_str().unwrap_or_default() {
            "" => output::cell(&log["outcome"]),
            reason => format!("{} ({reason})", output::cell(&log["outcome"])),
        };
        let text = |field: &str| output::cell(&log[field]);
        // To the second: the whole time is in the JSON.
        let time: String = text("created_at").chars().take(19).collect();
        vec![text("sequence"), time, text("user"), text("action"), text("resource"), outcome, text("count")]
    };
    output::table(&["row", "time (UTC)", "user", "action", "resource", "status", "count"], logs.iter().map(row))
}
