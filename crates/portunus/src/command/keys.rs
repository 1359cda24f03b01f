//! `portunus keys`: API keys of consumers.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use portunus_gateway::clock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::Client;
use crate::command::block_on;
use crate::output;

const AFTER_HELP: &str = "\
A key is shown once, when it is made. With -q nothing but the key is printed.

Examples:
  portunus keys create acme-app --expires-in 90d
  KEY=$(portunus keys create acme-app --subscription acme-orders -q)
  portunus keys rotate key-0192 --grace-hours 24
  portunus keys revoke key-0192";

/// Make, replace and revoke API keys
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Tenant, by name or id
    #[arg(short, long, default_value = "default", global = true)]
    tenant: String,
    /// Print nothing but the key
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key for a consumer
    Create {
        /// The consumer, by name or id
        consumer: String,
        /// Restrict the key to this subscription
        #[arg(long)]
        subscription: Option<String>,
        /// When the key ends, from now: 30d, 12h, 1y
        #[arg(long, value_name = "TIME", value_parser = from_now)]
        expires_in: Option<Timestamp>,
        /// Name of the new credential; one is made up otherwise
        #[arg(long)]
        name: Option<String>,
    },
    /// Replace a key by a new one
    Rotate {
        /// The credential, by name or id
        credential: String,
        /// How many hours the old key goes on working; none by default
        #[arg(long, value_name = "HOURS")]
        grace_hours: Option<u32>,
    },
    /// End a key at once
    Revoke {
        /// The credential, by name or id
        credential: String,
    },
}

/// The moment that is `text` from now.
fn from_now(text: &str) -> Result<Timestamp, String> {
    let span: Span = text.parse().map_err(|_| "is not a time span such as 30d, 12h or 1y".to_owned())?;
    let now = clock::now();
    let then = now.to_zoned(TimeZone::UTC).checked_add(span).map_err(|_| "is too far away".to_owned())?.timestamp();
    if then > now { Ok(whole_seconds(then)) } else { Err("does not lie in the future".to_owned()) }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Does one of the three.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let credentials = ["v1", "tenants", &args.tenant, "credentials"];
    let under = |credential, action| [&credentials[..], &[credential, action]].concat();
    block_on(async {
        let client = Client::connect(context).await?;
        let answer = match &args.action {
            Action::Create { consumer, subscription, expires_in, name } => {
                let mut body = json!({"consumer_id": consumer});
                let fields = [
                    ("name", name.clone()),
                    ("subscription_id", subscription.clone()),
                    ("expires_at", expires_in.map(|at| at.to_string())),
                ];
                for (field, value) in fields.into_iter().filter_map(|(field, value)| Some((field, value?))) {
                    body[field] = value.into();
                }
                client.send(Method::POST, &credentials, &[], Some(&body)).await?
            }
            Action::Rotate { credential, grace_hours } => {
                let body = grace_hours.map_or_else(|| json!({}), |hours| json!({"grace_period_hours": hours}));
                client.send(Method::POST, &under(credential.as_str(), "rotate"), &[], Some(&body)).await?
            }
            Action::Revoke { credential } => {
                let answer = client.send(Method::POST, &under(credential.as_str(), "revoke"), &[], None).await?;
                if !args.quiet {
                    output::show(context.format(), &answer, || format!("key {credential} is revoked"))?;
                }
                return Ok(ExitCode::SUCCESS);
            }
        };
        let key = answer["api_key"].as_str().context("the answer shows no key")?;
        match args.quiet {
            true => output::print(key)?,
            false => output::show(context.format(), &answer, || made(&answer, key))?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn made(answer: &Value, key: &str) -> String {
    let ends = answer["expires_at"].as_str().map(|at| format!(", ends at {at}")).unwrap_or_default();
    let name = answer["name"].as_str().or_else(|| answer["id"].as_str()).unwrap_or("-");
    format!("credential {name}{ends}\nkey (shown this once): {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_in_the_future() {
        let hours =
            |text: &str| from_now(text).map(|then| (then.duration_since(clock::now()).as_secs_f64() / 3600.0).round());
        assert_eq!(hours("30d"), Ok(720.0));
        assert_eq!(hours("12h"), Ok(12.0));
        assert!(hours("1y").unwrap() >= 8760.0);
        for wrong in ["", "soon", "0s", "-3d", "99999y", "30"] {
            assert!(from_now(wrong).is_err(), "{wrong}");
        }
    }
}
