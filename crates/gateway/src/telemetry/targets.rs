//! What is exposed of the targets of upstreams, as far as an upstream watches or limits them.

use std::collections::BTreeMap;
use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::snapshot::Snapshot;
use crate::upstream::balance::CompiledUpstream;
use crate::upstream::target::CompiledTarget;

type Labels<'s> = [(&'static str, &'s str); 3];

/// Writes the gauges of all targets.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, snapshot: &Snapshot) -> Result<(), Error> {
    let up = values(snapshot, |upstream, target| upstream.is_watched().then(|| i64::from(upstream.is_up(target))));
    let requests =
        values(snapshot, |upstream, target| upstream.max_connections.map(|_| i64::from(target.state.slots.taken())));
    let waiting =
        values(snapshot, |upstream, target| upstream.max_connections.map(|_| i64::from(target.state.slots.waiting())));
    for (name, help, values) in [
        (
            "upstream_target_up",
            "Whether a target takes requests: 0 when a health check or an ejection keeps it out",
            up,
        ),
        ("upstream_target_requests", "Requests under way to a target with `max_connections`", requests),
        ("upstream_target_waiting", "Requests that wait for a target with `max_connections`", waiting),
    ] {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// One value for each set of labels: APIs share upstreams, and an API's own may have the name and target of a shared one.
fn values<'s>(
    snapshot: &'s Snapshot,
    value: impl Fn(&CompiledUpstream, &CompiledTarget) -> Option<i64>,
) -> BTreeMap<Labels<'s>, i64> {
    let mut values = BTreeMap::new();
    for api in snapshot.apis.values() {
        let upstream = &api.upstream;
        for target in upstream.targets.iter().filter(|target| target.weight > 0) {
            if let Some(value) = value(upstream, target) {
                let labels = [("tenant", &*api.tenant), ("upstream", &*upstream.name), ("target", &*target.origin)];
                values.insert(labels, value);
            }
        }
    }
    values
}
