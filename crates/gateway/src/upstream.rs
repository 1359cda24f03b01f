//! Calls an upstream: picks a target, gets a connection, sends, waits for the head of the answer.

pub mod connect;
mod head;
pub mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::uri::Scheme;
use http::{Method, Response, StatusCode, Version};
use http_body::Body as _;
use smallvec::SmallVec;

use crate::body::{Body, BodyError};
use crate::client::Client;
use crate::config::upstream::{self as config, Upstream};
use crate::error::{Refusal, Rejection};
use crate::exchange::Exchange;
use crate::forward;
use crate::http1::decode::Framing;
use crate::http1::upstream::{self, Failure, Pump, Terms};
use crate::http1::{ResponseBody, Wire};
use crate::policy::body_limit;
use crate::problem::Problem;
use crate::record::Record;
use crate::sanitize::Target;
use crate::upstream::connect::ConnectError;
use crate::upstream::head::Head;
use crate::upstream::pool::Lease;
use crate::worker::Worker;

/// An upstream ready for use.
#[derive(Debug)]
pub struct CompiledUpstream {
    /// Its name, or that of the API it belongs to, for messages.
    pub name: Arc<str>,
    targets: Vec<CompiledTarget>,
    /// Indexes of `targets` in the order in which they are called, each as often as its weight says.
    schedule: Vec<usize>,
    next: AtomicUsize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the head of the answer may take.
    pub response_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How long the upstream may be silent in the middle of an answer.
    pub read_timeout: Duration,
}

/// One target ready for use.
#[derive(Debug)]
pub struct CompiledTarget {
    /// `scheme://host:port`: names the target in messages, and keys its connections.
    pub origin: Arc<str>,
    /// The scheme.
    pub scheme: Scheme,
    /// The host to connect to, without brackets.
    pub host: Box<str>,
    /// The port to connect to.
    pub port: u16,
    /// Its `Host`.
    authority: http::HeaderValue,
    /// The path that is put before the request's; empty or without a trailing slash.
    prefix: Box<str>,
}

impl CompiledUpstream {
    /// Makes an upstream ready for use; the turn of the targets goes on where it was.
    pub fn compile(name: Arc<str>, config: &Upstream, before: Option<&Self>) -> Result<Self, Problem> {
        let targets: Vec<CompiledTarget> =
            config.targets.iter().map(|target| CompiledTarget::compile(&target.url)).collect::<Result<_, _>>()?;
        let weights: Vec<u32> = config.targets.iter().map(|target| target.weight).collect();
        Ok(Self {
            name,
            targets,
            schedule: schedule(&weights),
            next: AtomicUsize::new(before.map_or(0, |before| before.next.load(Ordering::Relaxed))),
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            response_timeout: Duration::from_millis(config.response_timeout_ms),
            idle_timeout: config.idle_timeout(),
            read_timeout: Duration::from_millis(config.read_timeout_ms),
        })
    }
}

impl CompiledTarget {
    fn compile(url: &str) -> Result<Self, Problem> {
        let fault = |why: &str| Problem::new("/upstream/targets", why, "http://host[:port][/path]").found(url);
        let uri = config::check_url(url).map_err(fault)?;
        let authority = uri.authority().ok_or_else(|| fault("the URL has no host"))?;
        let scheme = uri.scheme().cloned().ok_or_else(|| fault("the URL has no scheme"))?;
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default_port);
        Ok(Self {
            origin: format!("{scheme}://{}:{port}", authority.host()).into(),
            host: authority.host().trim_start_matches('[').trim_end_matches(']').into(),
            port,
            authority: http::HeaderValue::from_str(authority.as_str())
                .map_err(|_| fault("the host has bytes that no host has"))?,
            prefix: uri.path().trim_end_matches('/').into(),
            scheme,
        })
    }
}

/// Spreads each target over the round (smooth weighted round robin), so that a heavy one is not called in a row.
fn schedule(weights: &[u32]) -> Vec<usize> {
    let divisor = weights.iter().copied().filter(|weight| *weight > 0).reduce(gcd).unwrap_or(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let total: i64 = weights.iter().sum();
    let mut current = vec![0_i64; weights.len()];
    let mut order = Vec::new();
    for _ in 0..total {
        for (value, weight) in current.iter_mut().zip(&weights) {
            *value += weight;
        }
        let Some(best) = (0..current.len()).rev().max_by_key(|index| current[*index]) else { break };
        current[best] -= total;
        order.push(best);
    }
    order
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// How long a connection is used at most, so that a change behind a load balancer is noticed.
const CONNECTION_AGE: Duration = Duration::from_secs(3600);

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
    let mut body = match x.plan.body_limit {
        Some(limit) => body.limited(limit),
        None => body,
    };
    if upstream.schedule.is_empty() {
        record.upstream_failed(3);
        return Err(Rejection::new(
            Refusal::NoTarget,
            format!("upstream {} has no target with a weight above 0", upstream.name),
        ));
    }
    let framing = match body.size_hint().exact() {
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    let request_id = record.request_id.clone();
    let is_trusted = worker.shared.trusts(client.peer);
    let head = Head { x, target, client, is_trusted, request_id: &request_id, framing };
    let turn = upstream.next.fetch_add(1, Ordering::Relaxed);
    let mut tried: SmallVec<[usize; 4]> = SmallVec::new();
    let mut last = None;
    for step in 0..upstream.schedule.len() {
        let index = upstream.schedule[(turn.wrapping_add(step)) % upstream.schedule.len()];
        if tried.contains(&index) {
            continue;
        }
        tried.push(index);
        let chosen = &upstream.targets[index];
        record.target = Some(chosen.origin.clone());
        let started = Instant::now();
        let failure = match attempt(worker, &head, chosen, body).await {
            Ok(response) => {
                record.upstream_duration = Some(started.elapsed());
                return Ok(response);
            }
            Err(Missed::Connect(error, unsent)) => {
                body = unsent;
                last = Some((chosen, error));
                continue;
            }
            Err(Missed::Failed(failure)) => failure,
        };
        return Err(match failure {
            Failure::Closed => {
                let why = "it closed the connection without an answer";
                failed(record, x, chosen, 1, Refusal::UpstreamFailed, why)
            }
            Failure::Broken(why) => failed(record, x, chosen, 1, Refusal::UpstreamFailed, &why),
            Failure::Timeout => {
                let why = format!("no answer within {} ms", x.plan.response_timeout.as_millis());
                failed(record, x, chosen, 2, Refusal::UpstreamTimeout, &why)
            }
            Failure::Body(error) => of_body(&error),
        });
    }
    let Some((chosen, error)) = last else { return Err(Refusal::NoTarget.into()) };
    match error {
        ConnectError::Timeout => {
            let why = format!("no connection within {} ms", x.plan.connect_timeout.as_millis());
            Err(failed(record, x, chosen, 2, Refusal::UpstreamTimeout, &why))
        }
        other => Err(failed(record, x, chosen, 0, Refusal::UpstreamUnreachable, &other.to_string())),
    }
}

/// What is wrong with a request whose body broke off.
fn of_body(error: &BodyError) -> Rejection {
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
    target: &CompiledTarget,
    body: Body,
) -> Result<Response<Body>, Missed> {
    let upstream = &head.x.api.upstream;
    let can_repeat = is_repeatable(&head.x.head.method) && body.is_end_stream();
    let mut pump = Pump::new(body, head.framing);
    // A pooled connection may have been closed by the other side in the meantime: a request without a body that may be
    // repeated (RFC 9110 section 9.2.2) is repeated on a fresh one.
    if let Some((wire, lease)) = worker.pool.take(&target.origin, upstream.idle_timeout) {
        match exchange(head, target, wire, lease, pump).await {
            Err(Failure::Closed) if can_repeat => pump = Pump::new(Body::empty(), head.framing),
            done => return done.map_err(Missed::Failed),
        }
    }
    let stream = match connect::connect(target, head.x.plan.connect_timeout).await {
        Ok(stream) => stream,
        Err(error) => return Err(Missed::Connect(error, pump.into_body())),
    };
    let lease = worker.pool.lease(&target.origin, upstream.idle_timeout, CONNECTION_AGE);
    exchange(head, target, Wire::new(stream), lease, pump).await.map_err(Missed::Failed)
}

fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

async fn exchange(
    head: &Head<'_, '_>,
    target: &CompiledTarget,
    mut wire: Wire,
    lease: Lease,
    mut pump: Pump,
) -> Result<Response<Body>, Failure> {
    head.write(&mut wire.out.prefix, target);
    let x = head.x;
    let client = head.client;
    let terms = Terms { method: &x.head.method, timeout: x.plan.response_timeout, deadline: &client.deadline };
    let answer = upstream::exchange(&mut wire, &mut pump, &terms, |status, headers, cx| {
        if let Some(connection) = client.connection.as_ref().filter(|_| x.head.version == Version::HTTP_11) {
            connection.interim(status, headers, cx);
        }
    })
    .await?;
    if answer.status == StatusCode::SWITCHING_PROTOCOLS && !(client.websocket && answer.websocket) {
        return Err(Failure::Broken("it switches to a protocol that nobody asked for".to_owned()));
    }
    let body = match answer.status {
        StatusCode::SWITCHING_PROTOCOLS => Body::Tunnel(Box::new(wire)),
        _ => ResponseBody::body(&answer, wire, pump, lease, x.api.upstream.read_timeout),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    forward::add_via(response.headers_mut());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_spread_over_the_round() {
        assert_eq!(schedule(&[1, 1]), [0, 1]);
        assert_eq!(schedule(&[50, 50]), [0, 1]);
        assert_eq!(schedule(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(schedule(&[0, 3]), [1]);
        assert!(schedule(&[0]).is_empty());
    }
}
