//! `portunus tokens`: API tokens for the control plane.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use portunus_gateway::clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::{Client, Refusal};
use crate::command::access_review::seconds;
use crate::command::block_on;
use crate::fault::Exit;
use crate::output;

const AFTER_HELP: &str = "\
A token is shown once, when it is made. With -q nothing but the token is printed.

Examples:
  portunus tokens list --unused 30d
  portunus tokens create nightly --scope '*:read' --expires-in 90d
  TOKEN=$(portunus tokens create deploy --service-account pipeline -t acme --scope 'api:*' -q)
  portunus tokens rotate deploy --grace-hours 24
  portunus tokens revoke deploy";

/// List, make, replace and revoke API tokens for the control plane
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Tenant, by name or id; without it, all that the account may see
    #[arg(short, long, global = true)]
    tenant: Option<String>,
    /// Print nothing but names or the token
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List tokens with owner, scopes, end and last use
    List {
        /// Only tokens that work and were not used for this long: 30d, 12h
        #[arg(long, value_name = "TIME", value_parser = before_now)]
        unused: Option<Timestamp>,
    },
    /// Make a token, for yourself or for somebody else
    Create {
        /// Its name
        name: String,
        /// A permission that it carries, such as api:read; can be given several times. Without any, all of its owner's
        #[arg(long = "scope", value_name = "PERMISSION")]
        scopes: Vec<String>,
        /// When it ends, from now: 30d, 12h, 1y
        #[arg(long, value_name = "TIME", value_parser = from_now)]
        expires_in: Option<Timestamp>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        /// The user it acts for, by name or id
        #[arg(long, conflicts_with = "service_account", requires = "tenant")]
        user: Option<String>,
        /// The service account it acts for, by name or id
        #[arg(long, requires = "tenant")]
        service_account: Option<String>,
    },
    /// Replace the text of a token by a new one
    Rotate {
        /// The token, by name or id
        #[arg(value_name = "TOKEN")]
        which: String,
        /// How many hours the old text goes on working; none by default
        #[arg(long, value_name = "HOURS")]
        grace_hours: Option<u32>,
        /// When the new text ends, from now; without it, when the token would have
        #[arg(long, value_name = "TIME", value_parser = from_now)]
        expires_in: Option<Timestamp>,
    },
    /// End a token at once
    Revoke {
        /// The token, by name or id
        #[arg(value_name = "TOKEN")]
        which: String,
    },
}

fn span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|_| "is not a time span such as 30d, 12h or 1y".to_owned())
}

/// The moment that is `text` from now.
fn from_now(text: &str) -> Result<Timestamp, String> {
    let now = clock::now();
    let then = now.to_zoned(TimeZone::UTC).checked_add(span(text)?).map_err(|_| "is too far away".to_owned())?;
    let then = Timestamp::from_second(then.timestamp().as_second()).map_err(|_| "is too far away".to_owned())?;
    if then > now { Ok(then) } else { Err("does not lie in the future".to_owned()) }
}

/// The moment that is `text` ago.
fn before_now(text: &str) -> Result<Timestamp, String> {
    let now = clock::now();
    let then = now.to_zoned(TimeZone::UTC).checked_sub(span(text)?).map_err(|_| "is too long ago".to_owned())?;
    if then.timestamp() < now { Ok(then.timestamp()) } else { Err("does not lie in the past".to_owned()) }
}

/// Does one of the four.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let client = Client::connect(context).await?;
        match &args.action {
            Action::List { unused } => {
                let items: Vec<Value> = listed(&client, args.tenant.as_deref()).await?;
                let items: Vec<Value> =
                    items.into_iter().filter(|item| unused.is_none_or(|since| is_unused(item, since))).collect();
                match args.quiet {
                    true => output::print_all(items.iter().map(|item| format!("{}\n", output::cell(&item["name"]))))?,
                    false => output::show(context.format(), &json!({"items": items}), || list(&items))?,
                }
            }
            Action::Create { name, scopes, expires_in, description, user, service_account } => {
                let mut body = json!({"name": name});
                if !scopes.is_empty() {
                    body["scopes"] = json!(scopes);
                }
                let fields = [
                    ("description", description.clone()),
                    ("expires_at", expires_in.map(|at| at.to_string())),
                    ("user_id", user.clone()),
                    ("service_account_id", service_account.clone()),
                ];
                for (field, value) in fields.into_iter().filter_map(|(field, value)| Some((field, value?))) {
                    body[field] = value.into();
                }
                let is_own = user.is_none() && service_account.is_none();
                let path = match (&args.tenant, is_own) {
                    (Some(tenant), false) => vec!["v1", "tenants", tenant.as_str(), "api-tokens"],
                    _ => vec!["v1", "me", "tokens"],
                };
                let answer = client.send(Method::POST, &path, &[], Some(&body)).await?;
                shown(args, context, &answer)?;
            }
            Action::Rotate { which, grace_hours, expires_in } => {
                let mut body = json!({"grace_period_hours": grace_hours.unwrap_or_default()});
                if let Some(end) = expires_in {
                    body["expires_at"] = end.to_string().into();
                }
                let place = find(&client, args.tenant.as_deref(), which).await?;
                let answer = client.send(Method::POST, &place.path("rotate"), &[], Some(&body)).await?;
                shown(args, context, &answer)?;
            }
            Action::Revoke { which } => {
                let place = find(&client, args.tenant.as_deref(), which).await?;
                let answer = client.send(Method::POST, &place.path("revoke"), &[], None).await?;
                if !args.quiet {
                    output::show(context.format(), &answer, || format!("token {which} is revoked"))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Where a token is.
struct Place {
    tenant: String,
    id: String,
}

impl Place {
    fn path<'a>(&'a self, action: &'a str) -> [&'a str; 6] {
        ["v1", "tenants", &self.tenant, "api-tokens", &self.id, action]
    }
}

/// Finds a token by name or id, in the tenant or, without one, wherever the account may look.
async fn find(client: &Client, tenant: Option<&str>, token: &str) -> anyhow::Result<Place> {
    if let Some(tenant) = tenant {
        return Ok(Place { tenant: tenant.to_owned(), id: token.to_owned() });
    }
    match client.get(&["v1", "me", "tokens", token], &[]).await {
        Ok(own) => return place(&own["tenant_id"], &own["id"]),
        Err(error) => match error.downcast_ref::<Refusal>() {
            Some(refusal) if refusal.status == StatusCode::NOT_FOUND => {}
            _ => return Err(error),
        },
    }
    let items = listed(client, None).await?;
    let mut found = items.iter().filter(|item| item["name"] == token || item["id"] == token);
    match (found.next(), found.next()) {
        (Some(one), None) => place(&one["tenant"], &one["id"]),
        (None, _) => anyhow::bail!("there is no token {token}"),
        _ => Err(Exit::usage(format!("several tenants have a token {token}; name one with --tenant")).into()),
    }
}

fn place(tenant: &Value, id: &Value) -> anyhow::Result<Place> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("the answer does not say where the token is");
    Ok(Place { tenant: text(tenant)?, id: text(id)? })
}

/// Every token that the account may see.
async fn listed(client: &Client, tenant: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut query = vec![("kind", "api_token".to_owned())];
    query.extend(tenant.map(|tenant| ("tenant", tenant.to_owned())));
    let mut review = client.get(&["v1", "access-review"], &query).await?;
    match review["items"].take() {
        Value::Array(items) => Ok(items),
        _ => anyhow::bail!("the answer holds no list"),
    }
}

/// Whether a token that works was last used, or else made, before that moment.
fn is_unused(item: &Value, since: Timestamp) -> bool {
    let last = item["last_used_at"].as_str().or_else(|| item["created_at"].as_str());
    item["status"] == "active" && last.and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| at <= since)
}

fn list(items: &[Value]) -> String {
    if items.is_empty() {
        return "nothing found".to_owned();
    }
    let rows = items.iter().map(|item| {
        let time = |field: &str, none: &str| item[field].as_str().map_or(none, seconds).to_owned();
        vec![
            output::cell(&item["name"]),
            output::cell(&item["tenant"]),
            output::cell(&item["owner"]["name"]),
            item["scopes"].as_array().map_or("all of its owner's".to_owned(), |_| output::cell(&item["scopes"])),
            output::cell(&item["prefix"]),
            output::cell(&item["status"]),
            time("expires_at", "never"),
            time("last_used_at", "never"),
        ]
    });
    output::table(&["name", "tenant", "owner", "scopes", "prefix", "status", "expires", "last used"], rows)
}

/// A new text, shown once.
fn shown(args: &Args, context: &Context, answer: &Value) -> anyhow::Result<()> {
    let token = answer["token"].as_str().context("the answer shows no token")?;
    match args.quiet {
        true => output::print(token)?,
        false => output::show(context.format(), answer, || made(answer, token))?,
    }
    Ok(())
}

fn made(answer: &Value, token: &str) -> String {
    let ends = answer["expires_at"].as_str().map(|at| format!(", ends at {at}")).unwrap_or_default();
    let old = answer["previous_expires_at"].as_str().map(|at| format!("\nthe old one works until {at}"));
    let name = output::cell(&answer["name"]);
    format!("token {name}{ends}{}\ntoken (shown this once): {token}", old.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_before_or_after_now() {
        let hours = |then: Timestamp| (then.duration_since(clock::now()).as_secs_f64() / 3600.0).round();
        assert_eq!(from_now("30d").map(hours), Ok(720.0));
        assert_eq!(before_now("12h").map(hours), Ok(-12.0));
        for wrong in ["", "soon", "0s", "-3d", "30"] {
            assert!(from_now(wrong).is_err() && before_now(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_never_used_counts_from_when_it_was_made() {
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (item, expected) in [
            (json!({"status": "active", "created_at": "2025-12-01T00:00:00Z", "last_used_at": null}), true),
            (
                json!({"status": "active", "created_at": "2025-12-01T00:00:00Z", "last_used_at": "2026-02-01T00:00:00Z"}),
                false,
            ),
            (json!({"status": "active", "created_at": "2026-02-01T00:00:00Z", "last_used_at": null}), false),
            (json!({"status": "revoked", "created_at": "2025-12-01T00:00:00Z", "last_used_at": null}), false),
        ] {
            assert_eq!(is_unused(&item, since), expected, "{item}");
        }
    }
}
