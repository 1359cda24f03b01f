//! The access line: one per request, `request completed`.

use std::fmt;
use std::time::Duration;

use super::log::{Line, Sink};
use crate::record::Record;

/// Whether access lines are asked for: they have level `info` and the context `gateway`.
pub fn is_on() -> bool {
    tracing::enabled!(target: "gateway", tracing::Level::INFO)
}

/// Writes the line of a finished request.
pub fn write(sink: &Sink, record: &Record, duration: Duration) {
    let mut line = Line::new(sink.format, tracing::Level::INFO, "gateway", "request completed");
    line.text("method", record.method.as_str())
        .text("path", &record.path)
        .bare("status", record.status)
        .text("latency", &Milliseconds(duration).to_string())
        .text("request_id", &record.request_id)
        .bare("client_ip", Quoted(sink, record.client_ip))
        .bare("bytes", record.bytes_sent);
    if let Some(api) = &record.api {
        line.text("tenant", &api.tenant).text("api", &api.name);
    }
    if let Some(consumer) = &record.consumer {
        line.text("consumer", &consumer.name);
    }
    if let Some(upstream) = record.upstream_duration {
        line.text("upstream_latency", &Milliseconds(upstream).to_string());
    }
    if let Some(target) = &record.target {
        line.text("upstream", target);
    }
    if let Some(reason) = record.reason {
        line.text("reason", reason);
    }
    if let Some(policy) = &record.policy {
        line.text("policy", policy);
    }
    if let Some(error) = &record.error {
        line.text("error", error);
    }
    sink.line(line.finish());
}

/// `1ms`, `0.42ms`: as many digits as tell something.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1e3;
        if ms < 10.0 { write!(f, "{ms:.2}ms") } else { write!(f, "{ms:.0}ms") }
    }
}

/// An address needs quotes in JSON and none in plain text, and never escaping.
struct Quoted<'a>(&'a Sink, std::net::IpAddr);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.format {
            super::log::LogFormat::Json => write!(f, "\"{}\"", self.1),
            super::log::LogFormat::Plain => write!(f, "{}", self.1),
        }
    }
}
