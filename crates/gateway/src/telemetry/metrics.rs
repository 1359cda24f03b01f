//! Counters and their exposition in the Prometheus text format.
//!
//! The counters live in the compiled configuration (an API's in its [`crate::snapshot::api::CompiledApi`]) and survive
//! its changes; when an API or policy is deleted, its series go with it.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::counters::{ApiMetrics, ApiTotal, HistogramTotal, LimitMetrics, UPSTREAM_ERRORS};
use super::log::Sink;
use super::refused::Refused;
use super::targets;
use crate::clock;
use crate::policy::{AnyPolicy, TYPES};
use crate::snapshot::Snapshot;

/// How the record of the control plane stands, as far as it is known.
#[derive(Debug, Default)]
pub struct AuditGauges {
    /// The last row.
    pub sequence: AtomicU64,
    /// When the last checkpoint was made, in seconds since 1970; 0 when there is none.
    pub checkpoint_at: AtomicU64,
    /// When the record was last verified, in seconds since 1970; 0 when it was not since the start.
    pub verified_at: AtomicU64,
    /// Whether it was found broken, at the start or since.
    pub broken: AtomicU64,
}

/// Everything that is counted in one process.
pub struct Metrics {
    /// Requests that no API answers.
    pub unmatched: ApiMetrics,
    /// Requests that Portunus answers itself, such as `/health`.
    pub own: ApiMetrics,
    /// Open client connections.
    pub connections: AtomicU64,
    /// Connections that were not let in.
    pub connections_refused: AtomicU64,
    /// Panics that were caught.
    pub panics: AtomicU64,
    /// Requests that were refused for who sent them or how often.
    pub refused: Refused,
    /// How the record of the control plane stands.
    pub audit: AuditGauges,
    snapshot: Arc<ArcSwap<Snapshot>>,
    sink: Sink,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Counters over a published configuration.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, sink: Sink) -> Self {
        Self {
            unmatched: ApiMetrics::default(),
            own: ApiMetrics::default(),
            connections: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            refused: Refused::default(),
            audit: AuditGauges::default(),
            snapshot,
            sink,
        }
    }

    /// All series in the Prometheus text format.
    pub fn render(self: &Arc<Self>) -> String {
        let mut registry = Registry::with_prefix("portunus");
        registry.register_collector(Box::new(Scrape(self.clone())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a String takes any text");
        classic(&text)
    }
}

/// The library writes OpenMetrics; `promtool` and old scrapers read the Prometheus text format 0.0.4, in which a counter
/// is named in full and units and the end are not marked.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
            continue;
        }
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        if let (Some(rest), Some(help)) = (line.strip_prefix("# TYPE "), help.take()) {
            let name = rest.split(' ').next().unwrap_or_default();
            let suffix = if rest.ends_with(" counter") { "_total" } else { "" };
            let described = help.strip_prefix("# HELP ").and_then(|help| help.strip_prefix(name)).unwrap_or_default();
            let kind = rest.strip_prefix(name).unwrap_or_default();
            text.push_str(&format!("# HELP {name}{suffix}{described}\n# TYPE {name}{suffix}{kind}\n"));
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[derive(Debug)]
struct Scrape(Arc<Metrics>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let metrics = &self.0;
        let snapshot = metrics.snapshot.load();
        let apis: Vec<([(&str, &str); 2], ApiTotal)> = snapshot
            .apis
            .values()
            .map(|api| ([("tenant", &*api.tenant), ("api", &*api.name)], &*api.metrics))
            .chain([
                ([("tenant", ""), ("api", "")], &metrics.unmatched),
                ([("tenant", ""), ("api", "portunus")], &metrics.own),
            ])
            .map(|(labels, counted)| (labels, counted.total()))
            .collect();

        let mut family = encoder.encode_descriptor(
            "http_requests",
            "Requests by the status of their answer",
            None,
            MetricType::Counter,
        )?;
        for ([tenant, api], total) in &apis {
            for (status, count) in &total.statuses {
                let status = status.to_string();
                counter(&mut family, &[*tenant, *api, ("status", status.as_str())], *count)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "http_request_duration",
            "Time from the request's head to the end of its answer",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (labels, total) in &apis {
            histogram(&mut family, labels, &total.duration)?;
        }
        let mut family = encoder.encode_descriptor(
            "upstream_duration",
            "Time from the request to the upstream to the head of its answer",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (labels, total) in &apis {
            histogram(&mut family, labels, &total.upstream)?;
        }
        let mut family = encoder.encode_descriptor(
            "upstream_errors",
            "Calls to an upstream that failed",
            None,
            MetricType::Counter,
        )?;
        for ([tenant, api], total) in &apis {
            for (reason, count) in UPSTREAM_ERRORS.iter().zip(total.upstream_errors) {
                counter(&mut family, &[*tenant, *api, ("reason", reason)], count)?;
            }
        }
        let mut family =
            encoder.encode_descriptor("http_response", "Bytes of answers", Some(&Unit::Bytes), MetricType::Counter)?;
        for (labels, total) in &apis {
            counter(&mut family, labels, total.bytes_sent)?;
        }
        let mut family = encoder.encode_descriptor(
            "rate_limit_decisions",
            "What rate limits decided, by policy",
            None,
            MetricType::Counter,
        )?;
        for policy in snapshot.policies.values() {
            if let AnyPolicy::RateLimit(limit) = &policy.rule {
                limit_decisions(&mut family, &policy.id.to_string(), &policy.name, limit.metrics())?;
            }
        }
        for bound in snapshot.plans.values().flat_map(|plan| plan.policies.iter()) {
            // A policy resource was counted above, wherever it is bound; a plan's own limit has no resource.
            if let (AnyPolicy::RateLimit(limit), None) = (&bound.policy.rule, snapshot.policies.get(&bound.policy.id)) {
                limit_decisions(&mut family, &bound.policy.id.to_string(), &bound.policy.name, limit.metrics())?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "policy_refusals",
            "Requests that a policy refused",
            None,
            MetricType::Counter,
        )?;
        for policy in snapshot.policies.values() {
            let id = policy.id.to_string();
            let kind = TYPES[policy.type_index].name;
            let labels = [("policy_id", id.as_str()), ("policy", &*policy.name), ("policy_type", kind)];
            counter(&mut family, &labels, policy.refused.load(Ordering::Relaxed))?;
        }
        targets::encode(&mut encoder, &snapshot)?;
        let uptime = clock::monotonic_ns() as f64 / 1e9;
        let gauges = [
            ("connections", "Open client connections", metrics.connections.load(Ordering::Relaxed) as f64),
            ("config_revision", "Revision of the published configuration", snapshot.revision as f64),
            ("apis", "Published APIs", snapshot.apis.len() as f64),
            ("consumers", "Known consumers", snapshot.consumers.len() as f64),
            ("uptime_seconds", "Time since the process began", uptime),
            ("audit_sequence", "The last row of the audit record", gauge(&metrics.audit.sequence)),
            (
                "audit_checkpoint_timestamp_seconds",
                "When the last checkpoint of the audit record was made; 0 when there is none",
                gauge(&metrics.audit.checkpoint_at),
            ),
            (
                "audit_verified_timestamp_seconds",
                "When the audit record was last verified; 0 when it was not since the start",
                gauge(&metrics.audit.verified_at),
            ),
            (
                "audit_broken",
                "Whether the audit record was found broken, at the start or when it was last verified",
                gauge(&metrics.audit.broken),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            (
                "connections_refused",
                "Client connections that were not let in",
                metrics.connections_refused.load(Ordering::Relaxed),
            ),
            ("panics", "Panics that were caught", metrics.panics.load(Ordering::Relaxed)),
            ("log_lines_dropped", "Log lines that the log's reader was too slow for", metrics.sink.dropped()),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let build = ConstGauge::new(1_i64);
        let mut family =
            encoder.encode_descriptor("build_info", "The version of this process", None, MetricType::Gauge)?;
        build.encode(family.encode_family(&[("version", crate::VERSION)])?)?;
        Ok(())
    }
}

type Family<'a> = prometheus_client::encoding::MetricEncoder<'a>;

fn gauge(value: &AtomicU64) -> f64 {
    value.load(Ordering::Relaxed) as f64
}

fn counter(family: &mut Family<'_>, labels: &impl EncodeLabelSet, value: u64) -> Result<(), Error> {
    ConstCounter::new(value).encode(family.encode_family(labels)?)
}

fn histogram(family: &mut Family<'_>, labels: &impl EncodeLabelSet, total: &HistogramTotal) -> Result<(), Error> {
    family.encode_family(labels)?.encode_histogram::<prometheus_client::encoding::NoLabelSet>(
        total.seconds(),
        total.count(),
        &total.buckets(),
        None,
    )
}

fn limit_decisions(family: &mut Family<'_>, id: &str, name: &str, limit: &LimitMetrics) -> Result<(), Error> {
    let (allowed, limited) = limit.total();
    for (decision, count) in [("allowed", allowed), ("limited", limited)] {
        counter(family, &[("policy_id", id), ("policy", name), ("decision", decision)], count)?;
    }
    Ok(())
}
