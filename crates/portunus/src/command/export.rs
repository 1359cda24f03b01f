//! `portunus export`: the configuration as manifests.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output::{self, Format};
use portunus_control::yaml;

const AFTER_HELP: &str = "\
The output can be applied as it is. No key and no password is in it: secrets are marks, which say that the secret stays as
it is. With `--secrets sealed` they are in it encrypted, and the same store opens them again.

Examples:
  portunus export > everything.yaml
  portunus export --kind Api,Policy --tenant acme
  portunus export --secrets sealed > everything-sealed.yaml
  portunus export -o json";

/// Print the configuration as manifests
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Only these kinds, separated by commas
    #[arg(long = "kind", value_name = "KIND,...", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only this tenant, by name or id
    #[arg(short, long)]
    tenant: Option<String>,
    /// How secrets stand in it; without this, as marks
    #[arg(long, value_enum, value_name = "HOW")]
    secrets: Option<Secrets>,
}

/// How secrets stand in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Secrets {
    /// Encrypted, for this store alone
    Sealed,
}

/// Fetches and prints; several YAML documents unless another form is asked for.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let mut query: Vec<(&str, String)> = Vec::new();
        if !args.kinds.is_empty() {
            query.push(("kind", args.kinds.join(",")));
        }
        query.extend(args.tenant.iter().map(|tenant| ("tenant", tenant.clone())));
        query.extend(args.secrets.map(|Secrets::Sealed| ("secrets", "sealed".to_owned())));
        let answer = client.get(&["v1", "export"], &query).await?;
        let manifests = answer["manifests"].as_array().context("the answer lists no manifests")?;
        match context.output {
            None | Some(Format::Yaml) if manifests.is_empty() => {}
            None | Some(Format::Yaml) => output::print(&yaml::print(manifests))?,
            Some(format) => output::show(format, &answer, || list(manifests))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn list(manifests: &[Value]) -> String {
    let row = |manifest: &Value| {
        let metadata = &manifest["metadata"];
        [&manifest["kind"], &metadata["tenant"], &metadata["name"]].into_iter().map(output::cell).collect()
    };
    output::table(&["kind", "tenant", "name"], manifests.iter().map(row))
}
