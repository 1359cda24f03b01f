//! `portunus apply`: makes the running configuration what files say.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::{Client, Refusal};
use crate::command::block_on;
use crate::fault::Faults;
use crate::manifest::{self, Document};
use crate::output;

const AFTER_HELP: &str = "\
All manifests are stored in one change, or none is. Applying the same files again changes nothing.
Secrets that are made on the way, such as the key of a new credential, are shown this once.

Examples:
  portunus apply -f api.yaml
  portunus apply -f manifests/ --dry-run
  portunus export | ssh other portunus apply -f -";

/// Make the configuration what manifests say
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Manifests: a file, a folder or - for standard input; can be given several times
    #[arg(short, long = "file", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Also delete what the manifests do not mention
    #[arg(long)]
    prune: bool,
    /// Only tell what would change
    #[arg(long)]
    dry_run: bool,
}

/// Applies and prints what changed.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let manifests = read(&args.files)?;
    block_on(async {
        let client = Client::connect(context).await?;
        let answer = submit(&client, &manifests, args.dry_run, args.prune).await?;
        output::show(context.format(), &answer, || summary(&answer, args.dry_run))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The manifests in `files`; none at all is a fault, since pruning by them would delete everything.
pub fn read(files: &[PathBuf]) -> Result<Vec<Document>, Faults> {
    let manifests = manifest::read(files)?;
    if manifests.is_empty() {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(Faults::one(format!("there is no manifest in {}", names.join(", "))));
    }
    Ok(manifests)
}

/// Sends the manifests. Faults that the control plane finds are told with the file and line of the manifest.
pub async fn submit(client: &Client, manifests: &[Document], dry_run: bool, prune: bool) -> anyhow::Result<Value> {
    let body = json!({"manifests": manifests.iter().map(Document::value).collect::<Vec<_>>()});
    let query = [("dry_run", dry_run.to_string()), ("prune", prune.to_string())];
    let answer = client.send(Method::POST, &["v1", "apply"], &query, Some(&body)).await;
    let answer = answer.map_err(|error| locate(error, manifests))?;
    answer["changes"].as_array().context("the answer lists no changes")?;
    Ok(answer)
}

fn locate(error: anyhow::Error, manifests: &[Document]) -> anyhow::Error {
    let problems = match error.downcast_ref::<Refusal>() {
        Some(refusal) if [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::CONFLICT].contains(&refusal.status) => {
            refusal.faults()
        }
        _ => return error,
    };
    let mut faults = Faults::default();
    for problem in &problems {
        faults.push(manifest::sentence(manifests, problem));
    }
    if faults.is_empty() { error } else { faults.into() }
}

/// The changes of an answer.
pub fn changes(answer: &Value) -> &[Value] {
    answer["changes"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How a change is named: kind, tenant and name.
pub fn subject(change: &Value) -> String {
    let text = |field: &str| change[field].as_str().unwrap_or("-");
    format!("{} {}/{}", text("kind"), text("tenant"), text("name"))
}

fn summary(answer: &Value, dry_run: bool) -> String {
    let is = |change: &Value, action: &str| change["action"] == action;
    let changed: Vec<&Value> = changes(answer).iter().filter(|change| !is(change, "unchanged")).collect();
    let mut text = String::new();
    if !changed.is_empty() {
        let columns = ["action", "kind", "tenant", "name"];
        let rows = changed.iter().map(|change| columns.iter().map(|column| output::cell(&change[*column])).collect());
        text = output::table(&columns, rows) + "\n\n";
    }
    for change in &changed {
        for (field, secret) in secrets(&change["secret"]) {
            text.push_str(&format!("{}: {field} {secret} (shown this once)\n", subject(change)));
        }
    }
    let count = |action: &str| changes(answer).iter().filter(|change| is(change, action)).count();
    let (created, updated, deleted, unchanged) =
        (count("created"), count("updated"), count("deleted"), count("unchanged"));
    let mode = if dry_run { "dry run, nothing is stored: " } else { "" };
    text + &format!("{mode}{created} created, {updated} updated, {deleted} deleted, {unchanged} unchanged")
}

/// The secrets in an answer: a text, `{"field": ..., "value": ...}`, or an object of them by name.
fn secrets(secret: &Value) -> Vec<(&str, &str)> {
    match (secret, secret["field"].as_str(), secret["value"].as_str()) {
        (_, Some(field), Some(value)) => vec![(field, value)],
        (Value::String(text), ..) => vec![("secret", text)],
        (Value::Object(fields), ..) => {
            fields.iter().filter_map(|(field, value)| Some((field.as_str(), value.as_str()?))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_shows_changes_secrets_and_counts() {
        let answer = json!({"changes": [
            {"action": "created", "kind": "Credential", "tenant": "default", "name": "key", "secret": {"api_key": "ptn_live_x"}},
            {"action": "unchanged", "kind": "Api", "tenant": "default", "name": "orders"}]});
        let text = summary(&answer, false);
        assert_eq!(
            text,
            "ACTION   KIND        TENANT   NAME\ncreated  Credential  default  key\n\n\
             Credential default/key: api_key ptn_live_x (shown this once)\n1 created, 0 updated, 0 deleted, 1 unchanged"
        );
        assert!(summary(&json!({"changes": []}), true).starts_with("dry run, nothing is stored: 0 created"));
    }

    #[test]
    fn secrets_are_found_in_each_form() {
        assert_eq!(secrets(&json!("x")), [("secret", "x")]);
        assert_eq!(secrets(&json!({"field": "api_key", "value": "x"})), [("api_key", "x")]);
        assert_eq!(secrets(&json!({"client_secret": "x"})), [("client_secret", "x")]);
        assert!(secrets(&Value::Null).is_empty());
    }
}
