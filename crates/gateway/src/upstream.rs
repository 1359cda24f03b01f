//! Calls an upstream: picks a target, gets a connection, sends, waits for the head of the answer.

pub mod balance;
pub mod connect;
pub mod credential;
pub mod ejection;
mod head;
mod health;
pub mod http2;
pub mod pool;
pub mod resolve;
pub mod slots;
pub mod target;
pub mod watch;

use std::time::Instant;

use http::{Method, Response, StatusCode, Version};
use http_body::Body as _;
use smallvec::SmallVec;

use crate::body::{Body, BodyError};
use crate::client::Client;
use crate::error::{Refusal, Rejection};
use crate::exchange::Exchange;
use crate::forward;
use crate::http1::decode::Framing;
use crate::http1::upstream::{self, Failure, Pump, Terms};
use crate::http1::{ResponseBody, Tunnel, Wire};
use crate::policy::body_limit;
use crate::record::Record;
use crate::sanitize::Target;
use crate::upstream::balance::{NotPicked, Picked};
use crate::upstream::connect::ConnectError;
use crate::upstream::head::Head;
use crate::upstream::http2::Tried;
use crate::upstream::pool::Lease;
use crate::upstream::slots::InFlight;
use crate::upstream::target::{CompiledTarget, Speaks};
use crate::worker::Worker;

/// Why an attempt got no answer.
enum Missed {
    /// Nothing was sent, so another target may be tried with the same body.
    Connect(ConnectError, Body),
    /// The request may have been seen.
    Failed(Failure),
}

/// Sends the request of an exchange to its upstream.
pub async fn send(
    worker: &Worker,
    x: &mut Exchange<'_>,
    target: &Target,
    client: &Client,
    body: Body,
    record: &mut Record,
) -> Result<Response<Body>, Rejection> {
    let upstream = &x.api.upstream;
    // Chosen by what the client sent, before a credential of our own takes its place.
    let key = upstream.hash_key(x);
    if upstream.credential.is_some() && x.head.method == Method::TRACE {
        // The answer would repeat the credential to the client (RFC 9110 section 9.3.8).
        let why = "TRACE is not passed on to an upstream that the gateway has a credential for";
        return Err(Rejection::new(Refusal::MethodNotAllowed, why));
    }
    if let Some(credential) = &upstream.credential
        && !credential.put(&mut x.head.headers)
    {
        record.upstream_failed(3);
        let why = format!("the secret for upstream {} cannot be read", upstream.name);
        record.error = Some(why.as_str().into());
        return Err(Rejection::new(Refusal::UpstreamSecretMissing, why));
    }
    if client.websocket && upstream.is_http2_only() {
        let why = format!(
            "upstream {} is spoken to over HTTP/2 only, which WebSockets are not passed on over",
            upstream.name
        );
        record.error = Some(why.as_str().into());
        return Err(Rejection::new(Refusal::UpstreamFailed, why));
    }
    let mut body = match x.plan.body_limit {
        // What is announced too large need not come, nor bother a target.
        Some(limit) if body.size_hint().exact().is_some_and(|size| size > limit) => {
            return Err(body_limit::too_large(limit));
        }
        Some(limit) => body.limited(limit),
        None => body,
    };
    let framing = match body.size_hint().exact() {
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let request_id = record.request_id.clone();
    let is_trusted = worker.shared.trusts(client.peer);
    let head = Head { x, target, client, is_trusted, request_id: request_id.header().as_bytes(), framing };
    // Without a body, and asked twice the same as once (RFC 9110 section 9.2.2).
    let can_repeat = is_repeatable(&x.head.method) && body.is_end_stream();
    let mut tried: SmallVec<[usize; 4]> = SmallVec::new();
    let mut last = None;
    let mut silent = None;
    loop {
        let picked = match upstream.choose(key, &tried, x.plan.connect_timeout).await {
            Ok(picked) => picked,
            Err(why) if last.is_none() && silent.is_none() => {
                record.upstream_failed(if why == NotPicked::NoTarget { 3 } else { 4 });
                return Err(upstream.refusal(why));
            }
            Err(_) => break,
        };
        let Picked { index, target: chosen, in_flight } = picked;
        tried.push(index);
        record.target = Some(chosen.origin.clone());
        let started = Instant::now();
        let failure = match attempt(worker, &head, index, body, can_repeat, in_flight, started).await {
            Ok((response, answered)) => {
                upstream.answered(chosen, response.status().as_u16());
                record.upstream_duration = Some(answered - started);
                return Ok(response);
            }
            Err(Missed::Connect(error, unsent)) => {
                upstream.failed(chosen);
                body = unsent;
                last = Some((chosen, error));
                continue;
            }
            // It died under the request. Once more elsewhere, but not everywhere: the request may be what it died of.
            Err(Missed::Failed(Failure::Closed)) if can_repeat && silent.is_none() => {
                upstream.failed(chosen);
                body = Body::empty();
                silent = Some(chosen);
                continue;
            }
            Err(Missed::Failed(failure)) => failure,
        };
        if !matches!(failure, Failure::Body(_)) {
            upstream.failed(chosen);
        }
        return Err(match failure {
            Failure::Closed => failed(record, x, chosen, 1, Refusal::UpstreamFailed, CLOSED),
            Failure::Broken(why) => failed(record, x, chosen, 1, Refusal::UpstreamFailed, &why),
            Failure::Timeout => {
                let why = format!("no answer within {} ms", x.plan.response_timeout.as_millis());
                failed(record, x, chosen, 2, Refusal::UpstreamTimeout, &why)
            }
            Failure::Body(error) => of_body(&error),
        });
    }
    let (chosen, error) = match (last, silent) {
        (Some(last), _) => last,
        (None, Some(chosen)) => return Err(failed(record, x, chosen, 1, Refusal::UpstreamFailed, CLOSED)),
        (None, None) => return Err(Refusal::NoTarget.into()),
    };
    match error {
        ConnectError::Timeout => {
            let why = format!("no connection within {} ms", x.plan.connect_timeout.as_millis());
            Err(failed(record, x, chosen, 2, Refusal::UpstreamTimeout, &why))
        }
        other => Err(failed(record, x, chosen, 0, Refusal::UpstreamUnreachable, &other.to_string())),
    }
}

const CLOSED: &str = "it closed the connection without an answer";

/// What is wrong with a request whose body broke off.
pub fn of_body(error: &BodyError) -> Rejection {
    match error {
        BodyError::TooLarge(limit) => body_limit::too_large(*limit),
        BodyError::ClientSilent => Refusal::RequestTimeout.into(),
        other => Rejection::new(Refusal::BadRequest, other.to_string()),
    }
}

/// Which upstream, which target, why: in the answer, in the access line and in an error line of its own (S28).
fn failed(
    record: &mut Record,
    x: &Exchange<'_>,
    target: &CompiledTarget,
    kind: usize,
    refusal: Refusal,
    why: &str,
) -> Rejection {
    record.upstream_failed(kind);
    record.error = Some(why.into());
    tracing::error!(
        target: "gateway",
        path = x.path,
        // Text on purpose: `"status":502` as a number is the access line's, so that counting lines counts answers.
        status = %refusal.status(),
        upstream = %x.api.upstream.name,
        target = %target.origin,
        error = why,
        "backend_error"
    );
    Rejection::new(refusal, format!("upstream {} at {}: {why}", x.api.upstream.name, target.origin))
}

async fn attempt(
    worker: &Worker,
    head: &Head<'_, '_>,
    index: usize,
    mut body: Body,
    can_repeat: bool,
    mut in_flight: Option<InFlight>,
    started: Instant,
) -> Result<(Response<Body>, Instant), Missed> {
    let upstream = &head.x.api.upstream;
    let target = &upstream.targets[index];
    let mut made = None;
    // A WebSocket needs HTTP/1.1. In a box, so that requests over HTTP/1 do not make room for it.
    if target.speaks != Speaks::Http1 && !head.client.websocket {
        match Box::pin(http2::attempt(worker, head, index, body, in_flight)).await {
            Tried::Done(done) => return done,
            Tried::Http1(connection, unsent, counted) => (made, body, in_flight) = (connection, unsent, counted),
        }
    }
    let mut pump = Pump::new(body, head.framing);
    // A pooled connection may have been closed by the other side in the meantime: a request that may be repeated is
    // repeated on a fresh one.
    if made.is_none()
        && let Some((wire, lease)) = worker.pool.take(target, upstream.idle_timeout, started)
    {
        match exchange(head, target, wire, lease, pump, &mut in_flight, started).await {
            Err(Failure::Closed) if can_repeat => pump = Pump::new(Body::empty(), head.framing),
            done => return done.map_err(Missed::Failed),
        }
    }
    let (stream, address) = match made {
        Some(connection) => connection,
        None => match connect::connect(target, Speaks::Http1, head.x.plan.connect_timeout).await {
            Ok(connection) => connection,
            Err(error) => return Err(Missed::Connect(error, pump.into_body())),
        },
    };
    let lease = worker.pool.lease(target, address, upstream.idle_timeout, upstream.connection_age);
    exchange(head, target, Box::new(Wire::new(stream)), lease, pump, &mut in_flight, Instant::now())
        .await
        .map_err(Missed::Failed)
}

fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

async fn exchange(
    head: &Head<'_, '_>,
    target: &CompiledTarget,
    mut wire: Box<Wire>,
    mut lease: Lease,
    mut pump: Pump,
    in_flight: &mut Option<InFlight>,
    started: Instant,
) -> Result<(Response<Body>, Instant), Failure> {
    head.write(&mut wire.out.prefix, target);
    let x = head.x;
    let client = head.client;
    let terms = Terms { method: &x.head.method, started, timeout: x.plan.response_timeout, deadline: &client.deadline };
    let answer = upstream::exchange(&mut wire, &mut pump, &terms, |status, headers, cx| {
        if let Some(connection) = client.connection.as_ref().filter(|_| x.head.version == Version::HTTP_11) {
            connection.interim(status, headers, cx);
        }
    })
    .await?;
    if answer.status == StatusCode::SWITCHING_PROTOCOLS && !(client.websocket && answer.websocket) {
        return Err(Failure::Broken("it switches to a protocol that nobody asked for".to_owned()));
    }
    let answered = Instant::now();
    lease.in_flight = in_flight.take();
    let body = match answer.status {
        StatusCode::SWITCHING_PROTOCOLS => Body::Tunnel(Box::new(Tunnel { wire, lease })),
        _ => ResponseBody::body(&answer, wire, pump, lease, x.api.upstream.read_timeout, answered),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    forward::add_via(response.headers_mut(), Version::HTTP_11);
    Ok((response, answered))
}
