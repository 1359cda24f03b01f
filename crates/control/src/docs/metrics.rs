//! The page of the metrics, read off an exposition of them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portunus_gateway::config::AnyEntry;
use portunus_gateway::kind::{Id, Meta};
use portunus_gateway::policy::{AnyPolicy, CompileEnv, TYPES};
use portunus_gateway::secret::Keyring;
use portunus_gateway::snapshot::Snapshot;
use portunus_gateway::snapshot::compiler::{Change, Compiler};
use portunus_gateway::snapshot::policy::CompiledPolicy;
use portunus_gateway::telemetry::log::{LogFormat, Sink};
use portunus_gateway::telemetry::metrics::Metrics;
use serde_json::{Value, json};

use super::cell;
use crate::manifest::DEFAULT_TENANT;

/// One metric.
#[derive(Debug, Default, PartialEq)]
struct Family {
    name: String,
    kind: String,
    help: String,
    labels: Vec<String>,
}

/// The page.
pub fn page() -> String {
    let mut families = parse(&exposition());
    families.sort_by(|a, b| a.name.cmp(&b.name));
    let rows: String = families
        .iter()
        .map(|family| {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(" ") };
            format!("| {} | {} | {labels} | {} |\n", series(family), family.kind, cell(&family.help))
        })
        .collect();
    format!(
        "# Metrics\n\n\
         `GET /metrics` on the control listener, and on the gateway listener if it is told to expose them. Counters begin at 0\n\
         when the process begins; series of an API or a policy end when it is deleted. Requests that no API answers have an\n\
         empty `api`; those that Portunus answers itself have the `api` `portunus`.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n{rows}"
    )
}

/// The names under which it is asked for.
fn series(family: &Family) -> String {
    let name = &family.name;
    match family.kind.as_str() {
        "counter" => format!("`{}_total`", name.trim_end_matches("_total")),
        "histogram" => format!("`{name}_bucket` `{name}_sum` `{name}_count`"),
        _ => format!("`{name}`"),
    }
}

/// A configuration with one API whose upstream is watched and limited.
fn watched_api() -> Snapshot {
    let entry = |kind, number, name: &str, spec| {
        let meta = Meta { id: Id::from_u128(number), tenant_id: Id::from_u128(1), name: name.into() };
        let entry = AnyEntry::read(kind, meta, &spec).expect("the spec fits its kind");
        Change::Put(entry.expect("the kind shapes traffic"))
    };
    let upstream = json!({"targets": [{"url": "http://127.0.0.1:9000"}], "health_check": {}, "max_connections": 1});
    let mut compiler = Compiler::new(Keyring::ephemeral());
    let changes = vec![
        entry("Tenant", 1, DEFAULT_TENANT, json!({})),
        entry("Api", 2, "orders", json!({"base_path": "/orders", "upstream": upstream})),
    ];
    compiler.apply(changes).map_err(drop).expect("the configuration compiles");
    compiler.snapshot(1)
}

/// All metrics of a process with a watched API, a policy of each type and one request.
fn exposition() -> String {
    let mut snapshot = watched_api();
    for (type_index, known) in TYPES.iter().enumerate() {
        let config: Value =
            serde_saphyr::from_str(known.example).expect("the examples of all policies are tested to be YAML");
        let env = CompileEnv { uid: 0, name: known.name, before: None };
        let Ok(rule) = AnyPolicy::compile(known.name, &config, &env) else { continue };
        let id = Id::from_u128(type_index as u128);
        let policy =
            CompiledPolicy { id, name: known.name.into(), type_index, priority: 100, rule, refused: Arc::default() };
        snapshot.policies.insert(id, Arc::new(policy));
    }
    let sink = Sink::stdout(LogFormat::Json).expect("a thread can be started");
    let metrics = Arc::new(Metrics::new(Arc::new(ArcSwap::from_pointee(snapshot)), sink));
    metrics.own.answered(200, Duration::ZERO, None, 0);
    metrics.render()
}

/// The metrics of a text exposition.
fn parse(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        let comment = line.strip_prefix("# ").and_then(|rest| rest.split_once(' '));
        match comment {
            Some(("HELP", rest)) => {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                families.push(Family { name: name.to_owned(), help: help.to_owned(), ..Family::default() });
            }
            Some(("TYPE", rest)) => {
                if let (Some(family), Some((_, kind))) = (families.last_mut(), rest.split_once(' ')) {
                    kind.clone_into(&mut family.kind);
                }
            }
            Some(_) => {}
            None => {
                if let Some(family) = families.last_mut().filter(|family| family.labels.is_empty()) {
                    family.labels = labels(line);
                }
            }
        }
    }
    families
}

/// The names of a sample's labels. All samples of a metric have the same ones, but for the bounds of a histogram.
fn labels(sample: &str) -> Vec<String> {
    let inside = sample.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map(|(labels, _)| labels);
    let names = inside.into_iter().flat_map(|labels| labels.split("\",")).filter_map(|label| label.split_once('='));
    names.map(|(name, _)| name.to_owned()).filter(|name| name != "le").collect()
}
