//! `portunus version`.

use std::cmp::Ordering;
use std::env::consts::{ARCH, OS};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::{base, http, reason};
use crate::command::block_on;
use crate::fault::Exit;
use crate::output;

/// The version alone.
pub const TEXT: &str = env!("CARGO_PKG_VERSION");

/// How long the answer about updates may take.
const TIMEOUT: Duration = Duration::from_secs(10);

const AFTER_HELP: &str = "\
Portunus never asks for updates by itself. With --check it asks the one address that you name, which answers with JSON that
has the latest version as \"version\" or \"tag_name\". The exit code is 1 when there is a newer one.

Examples:
  portunus version
  portunus version -o json
  portunus version --check --update-url https://updates.example.com/portunus/latest.json";

/// Print the version
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Ask whether there is a newer version
    #[arg(long)]
    check: bool,
    /// Whom to ask
    #[arg(long, value_name = "URL", env = "PORTUNUS_UPDATE_URL", hide_env_values = true)]
    update_url: Option<String>,
}

/// Prints the version and what the binary was built for; asks for a newer one when it is told to.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut version = json!({"name": "portunus", "version": TEXT, "os": OS, "arch": ARCH});
    if !args.check {
        output::show(context.format(), &version, || format!("portunus {TEXT} ({ARCH} {OS})"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(url) = args.update_url.as_deref().filter(|url| !url.is_empty()) else {
        return Err(Exit::usage("whom to ask? name an address with --update-url or PORTUNUS_UPDATE_URL").into());
    };
    block_on(async {
        let latest = latest(url).await?;
        let order =
            compare(&latest, TEXT).with_context(|| format!("{url} names a version that is none: {latest:?}"))?;
        version["latest"] = latest.as_str().into();
        version["newer"] = order.is_gt().into();
        output::show(context.format(), &version, || match order {
            Ordering::Greater => format!("portunus {TEXT} ({ARCH} {OS}); a newer version is available: {latest}"),
            _ => format!("portunus {TEXT} ({ARCH} {OS}); this is the current version"),
        })?;
        Ok(if order.is_gt() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

async fn latest(url: &str) -> anyhow::Result<String> {
    let url = base(url)?;
    let asked = http(&url, TIMEOUT)?.get(url.clone()).header("Accept", "application/json").send().await;
    let answer = asked.and_then(reqwest::Response::error_for_status);
    let value: Value = match answer {
        Ok(answer) => answer.json().await.with_context(|| format!("{url} did not answer with JSON"))?,
        Err(error) => anyhow::bail!("cannot ask {url}: {}", reason(&error)),
    };
    let text = value["version"].as_str().or_else(|| value["tag_name"].as_str());
    text.map(str::to_owned).with_context(|| format!("the answer of {url} has neither `version` nor `tag_name`"))
}

/// How one version stands to another (Semantic Versioning).
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let parse = |text: &str| semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok();
    Some(parse(one)?.cmp_precedence(&parse(other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (one, other, expected) in [
            ("0.10.0", "0.9.9", Some(Ordering::Greater)),
            ("v1.2.3", "1.2.3", Some(Ordering::Equal)),
            ("1.0.0-rc.1", "1.0.0", Some(Ordering::Less)),
            ("1.0.0+build", "1.0.0", Some(Ordering::Equal)),
            ("latest", "1.0.0", None),
        ] {
            assert_eq!(compare(one, other), expected, "{one} {other}");
        }
    }
}
