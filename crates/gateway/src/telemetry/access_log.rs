//! The access line: one per request, `request completed`.

use std::time::Duration;

use super::line::{Line, Opening, label};
use crate::record::Record;

/// Whether access lines are asked for: they have level `info` and the context `gateway`.
pub fn is_on() -> bool {
    tracing::enabled!(target: "gateway", tracing::Level::INFO)
}

/// What stands after the time.
pub const OPENING: Opening = Opening {
    json: "\",\"level\":\"info\",\"context\":\"gateway\",\"message\":\"request completed\"",
    plain: " INFO  request completed",
};

/// Writes the line of a finished request.
pub fn write(mut line: Line<'_>, record: &Record, duration: Duration) {
    // A method is a token (RFC 9110 section 9.1), and of an id only what is harmless is taken.
    line.clean(label!("method"), record.method.as_str().as_bytes())
        .text(label!("path"), &record.path)
        .number(label!("status"), record.status.into())
        .milliseconds(label!("latency"), duration)
        .clean(label!("request_id"), record.request_id.header().as_bytes())
        .address(label!("client_ip"), record.client_ip)
        .number(label!("bytes"), record.bytes_sent);
    if let Some(api) = &record.api {
        line.text(label!("tenant"), &api.tenant).text(label!("api"), &api.name);
    }
    if let Some(consumer) = &record.consumer {
        line.text(label!("consumer"), &consumer.name);
    }
    if let Some(account) = &record.account {
        line.text(label!("account"), &account.label);
    }
    if let Some(upstream) = record.upstream_duration {
        line.milliseconds(label!("upstream_latency"), upstream);
    }
    if let Some(target) = &record.target {
        line.text(label!("upstream"), target);
    }
    if let Some(reason) = record.reason {
        line.text(label!("reason"), reason);
    }
    if let Some(policy) = &record.policy {
        line.text(label!("policy"), policy);
    }
    if let Some(error) = &record.error {
        line.text(label!("error"), error);
    }
    line.finish();
}
