//! `portunus serve --demo`: a published API with a consumer, a key and a limit, and a little traffic to look at.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use portunus_control::audit::event::Actor;
use portunus_control::bootstrap::DEFAULT_TENANT;
use portunus_control::resource;
use portunus_control::store::{Action, Change, Op, Store};
use serde_json::{Value, json};

use super::banner::reachable;
use crate::echo;

/// The consumer whose key is shown.
const CONSUMER: &str = "demo-consumer";

/// The consumer that makes the traffic; it has no limit, so it takes nothing from the other.
const TRAFFIC: &str = "demo-traffic";

/// How often it calls.
const PACE: Duration = Duration::from_secs(2);

/// Publishes the demo and answers the consumer's key. It is a new one at each start, because keys are not kept.
pub async fn seed(store: &Store, gateway: SocketAddr) -> anyhow::Result<String> {
    let upstream = echo::start().await.context("the demo upstream cannot be started")?;
    let mut ops = vec![
        op("Upstream", "demo-echo", json!({ "targets": [{ "url": format!("http://{upstream}") }] }))?,
        op(
            "Api",
            "demo",
            json!({ "display_name": "Demo", "description": "Answers with what it was asked.", "base_path": "/demo", "upstream_id": "demo-echo" }),
        )?,
        op(
            "Plan",
            "demo",
            json!({ "display_name": "Demo plan", "rate_limit": { "requests_per_minute": 60, "burst": 10 } }),
        )?,
    ];
    for (name, plan) in [(CONSUMER, Some("demo")), (TRAFFIC, None)] {
        ops.push(op("Consumer", name, json!({ "display_name": name }))?);
        ops.push(op("Subscription", name, json!({ "consumer_id": name, "api_id": "demo", "plan_id": plan }))?);
        ops.extend(new_key(store, name).await?);
    }
    let change = Change { actor: Actor::system("demo"), principal: None, call: None, ops, dry_run: false };
    let committed = store.commit(change).await.context("the demo cannot be published")?;
    let key = |name: &str| {
        let made = committed.outcomes.iter().find(|outcome| outcome.row.name == name && outcome.secret.is_some());
        made.and_then(|outcome| outcome.secret.as_ref())
            .map(|secret| secret.value.clone())
            .context("the demo has no key")
    };
    tokio::spawn(traffic(reachable(gateway), key(TRAFFIC)?));
    key(CONSUMER)
}

fn op(kind: &str, name: &str, mut spec: Value) -> anyhow::Result<Op> {
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let kind = resource::by_kind(kind).context("an unknown kind")?;
    let action = Action::Apply { tenant: DEFAULT_TENANT.to_owned(), name: name.to_owned(), spec };
    Ok(Op { kind, path: String::new(), action })
}

/// The steps that replace the key of a demo consumer.
async fn new_key(store: &Store, consumer: &str) -> anyhow::Result<Vec<Op>> {
    let kind = resource::by_kind("Credential").context("an unknown kind")?;
    let tenant = resource::by_kind("Tenant").context("an unknown kind")?;
    let tenant = store.find(tenant, None, DEFAULT_TENANT).await?.context("there is no tenant default")?;
    let mut ops = Vec::new();
    if let Some(old) = store.find(kind, Some(tenant.id), consumer).await? {
        ops.push(Op {
            kind,
            path: String::new(),
            action: Action::Delete { id: old.id, if_match: None, cascade: false },
        });
    }
    ops.push(op("Credential", consumer, json!({ "consumer_id": consumer }))?);
    Ok(ops)
}

/// Calls the demo API now and then, a missing page among the rest, so that metrics and logs have something to show.
async fn traffic(gateway: SocketAddr, key: String) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap_or_default();
    let mut pace = tokio::time::interval(PACE);
    for call in 0_u64.. {
        pace.tick().await;
        let path = if call % 10 == 9 { "status/404" } else { "hello" };
        // What becomes of the call is for the log to say.
        let _ = client.get(format!("http://{gateway}/demo/{path}")).header("X-API-Key", &key).send().await;
    }
}
