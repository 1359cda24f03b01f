//! One request, whatever protocol it came over: counted, answered, and no panic past it.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::FutureExt;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, request};

use crate::body::Body;
use crate::client::Client;
use crate::error::{Refusal, Rejection};
use crate::forward;
use crate::pipeline;
use crate::record::Record;
use crate::worker::Worker;

/// Begins the record of a request that has just come in.
pub fn begin(worker: &Worker, client: &Client, head: &request::Parts) -> Record {
    let started = Instant::now();
    let client_ip = forward::client_address(&head.headers, client.peer, |address| worker.shared.trusts(address));
    let request_id = worker.telemetry.request_id(&head.headers, started);
    Record::new(worker.telemetry.clone(), started, request_id, head.method.clone(), head.uri.path(), client_ip)
}

/// Answers a request. A panic in it is answered 500, logged, and harms no other.
pub async fn answer(
    worker: &Worker,
    client: &Client,
    head: &mut request::Parts,
    body: Body,
    record: &mut Record,
) -> Response<Body> {
    record.in_flight = worker.admit();
    if record.in_flight.is_none() {
        let rejection = Rejection::from(Refusal::Overloaded).with(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return pipeline::refused(rejection, record);
    }
    let answering = AssertUnwindSafe(pipeline::handle(worker, client, head, body, record)).catch_unwind();
    match answering.await {
        Ok(response) => response,
        Err(cause) => {
            let cause =
                cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
            tracing::error!(target: "gateway", path = &*record.path, request_id = record.request_id.as_str(), error = cause.unwrap_or("no message"), "PANIC recovery triggered");
            worker.shared.telemetry.metrics.panics.fetch_add(1, Ordering::Relaxed);
            pipeline::refused(Refusal::Internal.into(), record)
        }
    }
}

/// The answer to bytes that are not a request. The record tells as much of them as could be read.
pub fn refused_head(worker: &Worker, peer: IpAddr, bytes: &[u8], rejection: Rejection) -> (Response<Body>, Record) {
    const MOST_SHOWN: usize = 256;
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let method =
        words.next().and_then(|word| Method::from_bytes(word).ok()).filter(|method| method.as_str().len() <= 32);
    let unknown = || Method::from_bytes(b"-").unwrap_or_default();
    let path = words.next().unwrap_or_default().split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = String::from_utf8_lossy(&path[..path.len().min(MOST_SHOWN)]);
    let started = Instant::now();
    let request_id = worker.telemetry.request_id(&HeaderMap::new(), started);
    let method = method.unwrap_or_else(unknown);
    let mut record = Record::new(worker.telemetry.clone(), started, request_id, method, &path, peer.to_canonical());
    (pipeline::refused(rejection, &mut record), record)
}
