//! One client connection: HTTP/1.1 requests in, answers out, and no panic past it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::body::Body;
use crate::error::{Refusal, Rejection};
use crate::pipeline;
use crate::record::Record;
use crate::sanitize;
use crate::worker::Worker;

/// How long a client may take to send a request's head, and how long a connection may be silent before one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most header lines of a request.
const MOST_HEADERS: usize = 128;

/// The most bytes of a request's head.
const LARGEST_HEAD: usize = 64 * 1024;

/// Serves a connection until it ends, or, when `draining` turns true, until its current request is answered.
pub async fn connection(worker: Rc<Worker>, stream: TcpStream, peer: IpAddr, mut draining: watch::Receiver<bool>) {
    let metrics = worker.shared.telemetry.metrics.clone();
    metrics.connections.fetch_add(1, Ordering::Relaxed);
    let service = service_fn(|request| guarded(worker.clone(), peer, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let drained = async {
        let _ = draining.wait_for(|draining| *draining).await;
    };
    tokio::select! {
        // Whatever ends a connection has been recorded with its last request.
        _ = connection.as_mut() => {}
        () = drained => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    metrics.connections.fetch_sub(1, Ordering::Relaxed);
}

/// A panic in one request is answered 500, logged, and harms no other.
async fn guarded(worker: Rc<Worker>, peer: IpAddr, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let method = request.method().clone();
    let path: Box<str> = request.uri().path().into();
    let request_id: Rc<str> = sanitize::request_id(request.headers()).into();
    let telemetry = worker.shared.telemetry.clone();
    let answer = AssertUnwindSafe(pipeline::handle(worker, peer, request_id.clone(), request)).catch_unwind().await;
    Ok(answer.unwrap_or_else(|cause| {
        let cause = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
        tracing::error!(target: "gateway", path = &*path, request_id = &*request_id, error = cause.unwrap_or("no message"), "PANIC recovery triggered");
        telemetry.metrics.panics.fetch_add(1, Ordering::Relaxed);
        let mut record = Record::new(telemetry, method, &path, peer);
        record.request_id = request_id;
        record.refused(Refusal::Internal);
        let response = Rejection::from(Refusal::Internal).into_response(&record.request_id);
        pipeline::finish(response, record)
    }))
}
