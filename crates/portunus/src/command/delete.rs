//! `portunus delete`: takes one resource away.

use std::process::ExitCode;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::cli::Context;
use crate::client::{Client, Refusal};
use crate::command::block_on;
use crate::kind::Kinds;
use crate::output;

const AFTER_HELP: &str = "\
A resource that others refer to is not deleted; what depends on it is printed instead, and the
exit code is 1.

Examples:
  portunus delete api orders
  portunus delete consumer acme-app -t acme --cascade";

/// Delete a resource
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// What kind, in any form that `get` takes
    kind: String,
    /// Name or id
    name: String,
    /// Tenant, by name or id
    #[arg(short, long, default_value = "default")]
    tenant: String,
    /// Also delete everything that depends on it
    #[arg(long)]
    cascade: bool,
}

/// Deletes and says so.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        let kinds = Kinds::fetch(&client).await?;
        let path = kinds.path(&args.kind, &args.tenant)?;
        let query: Vec<(&str, String)> = args.cascade.then(|| ("cascade", "true".to_owned())).into_iter().collect();
        match client.send(Method::DELETE, &path.with(&args.name), &query, None).await {
            Ok(_) => {
                let answer = json!({"deleted": true, "kind": args.kind, "name": args.name});
                output::show(context.format(), &answer, || format!("{} {} is deleted", args.kind, args.name))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => Err(hint(error)),
        }
    })
}

/// The refusal of a resource that is in use lists what uses it; the way on is to cascade.
fn hint(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Refusal>() {
        Some(refusal) if refusal.status == StatusCode::CONFLICT => {
            anyhow::anyhow!("{refusal}\n  delete these first, or all together with --cascade")
        }
        _ => error,
    }
}
