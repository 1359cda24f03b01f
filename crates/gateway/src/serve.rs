//! One request, whatever protocol it came over: counted, answered, and no panic past it.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::FutureExt;
use http::header::{self, HeaderValue};
use http::{Method, request};

use crate::body::Body;
use crate::client::Client;
use crate::error::{Refusal, Rejection};
use crate::pipeline::{self, Answer};
use crate::record::Record;
use crate::request_id::RequestId;
use crate::worker::Worker;

/// Answers a request. A panic in it is answered 500, logged, and harms no other.
pub async fn answer(worker: &Rc<Worker>, client: &Client, head: request::Parts, body: Body) -> Answer {
    let started = Instant::now();
    let request_id = worker.telemetry.request_id(&head.headers, started);
    let Some(in_flight) = worker.admit() else {
        let rejection = Rejection::from(Refusal::Overloaded).with(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return refused(worker, client.peer, head.method, head.uri.path(), request_id, rejection);
    };
    let method = head.method.clone();
    let uri = head.uri.clone();
    let answering = pipeline::handle(worker, client, started, request_id.clone(), in_flight, head, body);
    AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|cause| {
        let cause = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
        tracing::error!(target: "gateway", path = uri.path(), request_id = request_id.as_str(), error = cause.unwrap_or("no message"), "PANIC recovery triggered");
        worker.shared.telemetry.metrics.panics.fetch_add(1, Ordering::Relaxed);
        refused(worker, client.peer, method, uri.path(), request_id, Refusal::Internal.into())
    })
}

/// The answer to bytes that are not a request. The record tells as much of them as could be read.
pub fn refused_head(worker: &Rc<Worker>, peer: IpAddr, bytes: &[u8], rejection: Rejection) -> Answer {
    const MOST_SHOWN: usize = 256;
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let method =
        words.next().and_then(|word| Method::from_bytes(word).ok()).filter(|method| method.as_str().len() <= 32);
    let path = words.next().unwrap_or_default().split(|byte| *byte == b'?').next().unwrap_or_default();
    let path = String::from_utf8_lossy(&path[..path.len().min(MOST_SHOWN)]);
    let request_id = worker.telemetry.request_id(&http::HeaderMap::new(), Instant::now());
    let unknown = || Method::from_bytes(b"-").unwrap_or_default();
    refused(worker, peer, method.unwrap_or_else(unknown), &path, request_id, rejection)
}

/// The answer to a request that is refused before it is looked at.
pub fn refused(
    worker: &Worker,
    peer: IpAddr,
    method: Method,
    path: &str,
    request_id: RequestId,
    rejection: Rejection,
) -> Answer {
    let mut record =
        Record::new(worker.telemetry.clone(), Instant::now(), request_id, method, path, peer.to_canonical());
    record.refused(rejection.refusal);
    let response = rejection.into_response(record.request_id.as_str());
    pipeline::finish(response, record)
}
