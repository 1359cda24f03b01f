//! What is known at the end of a request, and where it goes: the access line and the counters.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;

use crate::accounts::Account;
use crate::error::Refusal;
use crate::request_id::RequestId;
use crate::snapshot::api::CompiledApi;
use crate::snapshot::consumer::CompiledConsumer;
use crate::telemetry::local::Local;
use crate::telemetry::log::Sink;
use crate::telemetry::metrics::Metrics;
use crate::worker::InFlight;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The log.
    pub sink: Sink,
}

/// The record of one request. It is written when it is dropped: at the end of the answer's body, or wherever the
/// client went away.
pub struct Record {
    telemetry: Rc<Local>,
    started: Instant,
    /// The request's method.
    pub method: Method,
    /// The request's path, without its query.
    pub path: Box<str>,
    /// The request's id.
    pub request_id: RequestId,
    /// The client's address.
    pub client_ip: IpAddr,
    /// The status of the answer; 499 as long as there is none, which is what a client that left gets.
    pub status: u16,
    /// The API, once it is matched.
    pub api: Option<Arc<CompiledApi>>,
    /// The consumer, once it is known.
    pub consumer: Option<Arc<CompiledConsumer>>,
    /// The account of the control plane, once it is known.
    pub account: Option<Arc<Account>>,
    /// The target that was called.
    pub target: Option<Arc<str>>,
    /// How long the upstream took to answer.
    pub upstream_duration: Option<Duration>,
    /// The code of the refusal.
    pub reason: Option<&'static str>,
    /// The policy that decided.
    pub policy: Option<Arc<str>>,
    /// What broke.
    pub error: Option<Box<str>>,
    /// Whether Portunus answered by itself.
    pub is_own: bool,
    /// Bytes of the answer's body so far.
    pub bytes_sent: u64,
    /// Counts the request as long as it is being answered.
    pub in_flight: Option<InFlight>,
}

impl Record {
    /// Begins the record of a request that came in at `started`.
    pub fn new(
        telemetry: Rc<Local>,
        started: Instant,
        request_id: RequestId,
        method: Method,
        path: &str,
        client_ip: IpAddr,
    ) -> Self {
        Self {
            telemetry,
            started,
            method,
            path: path.into(),
            request_id,
            client_ip,
            status: 499,
            api: None,
            consumer: None,
            account: None,
            target: None,
            upstream_duration: None,
            reason: None,
            policy: None,
            error: None,
            is_own: false,
            bytes_sent: 0,
            in_flight: None,
        }
    }

    /// Notes a refusal.
    pub fn refused(&mut self, refusal: Refusal) {
        self.reason = Some(refusal.code());
    }

    /// Notes that the answer broke off.
    pub fn broken(&mut self, error: &str) {
        self.error.get_or_insert_with(|| error.into());
    }

    /// Counts a failed call to the upstream, by index of [`crate::telemetry::counters::UPSTREAM_ERRORS`].
    pub fn upstream_failed(&self, kind: usize) {
        if let Some(api) = &self.api {
            api.metrics.upstream_failed(kind);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // The answer to a panic has a record of its own.
        if !std::thread::panicking() {
            self.telemetry.finished(self, self.started);
        }
    }
}
