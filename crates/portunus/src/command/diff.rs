//! `portunus diff`: what `apply` would change.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use similar::TextDiff;

use crate::cli::Context;
use crate::client::Client;
use crate::command::{apply, block_on};
use crate::fault::{Exit, FAILED, Faults, USAGE};
use crate::output::{self, Format};
use portunus_control::yaml;

const AFTER_HELP: &str = "\
Exit codes: 0 no difference, 1 differences, 2 the comparison failed, 78 the manifests cannot be used.

Examples:
  portunus diff -f manifests/
  portunus diff -f api.yaml --prune -o json";

/// Fields that the store makes; no manifest can set them.
const MADE: [&str; 5] = ["id", "tenant_id", "revision", "created_at", "updated_at"];

/// Show what applying manifests would change
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Manifests: a file, a folder or - for standard input; can be given several times
    #[arg(short, long = "file", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Also show what the manifests do not mention as deleted
    #[arg(long)]
    prune: bool,
}

/// Compares and prints the differences.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let compared = block_on(async {
        let manifests = apply::read(&args.files)?;
        let client = Client::connect(context).await?;
        let answer = apply::submit(&client, &manifests, true, args.prune).await?;
        let differences: Vec<Value> =
            apply::changes(&answer).iter().filter(|change| change["action"] != "unchanged").cloned().collect();
        match context.format() {
            Format::Table => output::print_all(differences.iter().map(difference))?,
            format => output::show(format, &json!({"differences": differences}), String::new)?,
        }
        Ok(ExitCode::from(if differences.is_empty() { 0 } else { FAILED }))
    });
    // 1 says that there are differences, so a failure needs another code, as in diff(1).
    compared.map_err(|error| match error.is::<Faults>() || crate::fault::is_broken_pipe(&error) {
        true => error,
        false => Exit { code: USAGE, sentence: format!("{error:#}") }.into(),
    })
}

/// One change as a unified diff of YAML.
fn difference(change: &Value) -> String {
    let (before, after) = (text(&change["before"]), text(&change["after"]));
    let subject = apply::subject(change);
    let header =
        |text: &str, side: &str| if text.is_empty() { "/dev/null".to_owned() } else { format!("{subject} ({side})") };
    let diff = TextDiff::from_lines(&before, &after);
    let text =
        diff.unified_diff().context_radius(3).header(&header(&before, "running"), &header(&after, "file")).to_string();
    match text.is_empty() {
        true => format!("{subject}: {}\n", output::cell(&change["action"])),
        false => text,
    }
}

fn text(resource: &Value) -> String {
    match resource {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(field, _)| !MADE.contains(&field.as_str()));
            yaml::print(&[Value::Object(kept.map(|(field, value)| (field.clone(), value.clone())).collect())])
        }
        Value::Null => String::new(),
        other => yaml::print(std::slice::from_ref(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_a_manifest_can_change() {
        let change = json!({"action": "updated", "kind": "Policy", "tenant": "default", "name": "limit",
            "before": {"id": "1", "revision": 1, "name": "limit", "config": {"burst": 1}},
            "after": {"id": "1", "revision": 2, "name": "limit", "config": {"burst": 2}}});
        assert_eq!(
            difference(&change),
            "--- Policy default/limit (running)\n+++ Policy default/limit (file)\n@@ -1,3 +1,3 @@\n name: limit\n config:\n-  burst: 1\n+  burst: 2\n"
        );
        let created = json!({"action": "created", "kind": "Plan", "tenant": "default", "name": "p", "before": null, "after": {"name": "p"}});
        assert!(difference(&created).starts_with("--- /dev/null\n+++ Plan default/p (file)\n"));
    }
}
