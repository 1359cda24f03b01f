//! Calls an upstream: picks a target, gets a connection, sends, waits for the head of the answer.

pub mod connect;
pub mod pool;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Response, request};
use hyper::body::Incoming;

use crate::body::Body;
use crate::config::upstream::{self, Upstream};
use crate::error::{Refusal, Rejection};
use crate::exchange::Exchange;
use crate::policy::body_limit;
use crate::problem::Problem;
use crate::record::Record;
use crate::sanitize::Target;
use crate::upstream::connect::ConnectError;
use crate::upstream::pool::{Lease, Pool};

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
        })
    }
}

impl CompiledTarget {
    fn compile(url: &str) -> Result<Self, Problem> {
        let fault = |why: &str| Problem::new("/upstream/targets", why, "http://host[:port][/path]").found(url);
        let uri = upstream::check_url(url).map_err(fault)?;
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

/// Why an attempt got no answer.
enum Failure {
    /// Nothing was sent, so another target may be tried with the same body.
    Connect(ConnectError, Body),
    /// The pooled connection was closed before the request left; it comes back whole.
    Stale(Box<Request<Body>>),
    /// The request may have been seen.
    Broken(hyper::Error),
    /// There was no answer in time.
    Timeout,
}

/// Sends the request of an exchange to its upstream.
pub async fn send(
    pool: &Rc<Pool>,
    x: &mut Exchange<'_>,
    target: &Target,
    body: Incoming,
    record: &mut Record,
) -> Result<Response<Body>, Rejection> {
    let upstream = &x.api.upstream;
    let exceeded = Rc::new(Cell::new(false));
    let mut body = match x.plan.body_limit {
        Some(limit) => Body::limited(body, limit, exceeded.clone()),
        None => Body::Streamed(body),
    };
    if upstream.schedule.is_empty() {
        record.upstream_failed(3);
        return Err(Rejection::new(
            Refusal::NoTarget,
            format!("upstream {} has no target with a weight above 0", upstream.name),
        ));
    }
    let turn = upstream.next.fetch_add(1, Ordering::Relaxed);
    let mut tried: Vec<usize> = Vec::new();
    let mut last = None;
    for step in 0..upstream.schedule.len() {
        let index = upstream.schedule[(turn.wrapping_add(step)) % upstream.schedule.len()];
        if tried.contains(&index) {
            continue;
        }
        tried.push(index);
        let chosen = &upstream.targets[index];
        record.target = Some(chosen.origin.clone());
        let head = upstream_head(x, chosen, target);
        let started = Instant::now();
        match attempt(pool, x, chosen, head, body).await {
            Ok(response) => {
                record.upstream_duration = Some(started.elapsed());
                return Ok(response);
            }
            Err(Failure::Connect(error, unsent)) => {
                body = unsent;
                last = Some((chosen, error));
            }
            Err(Failure::Stale(_)) => {
                return Err(failed(record, x, chosen, 1, Refusal::UpstreamFailed, "it closed the connection"));
            }
            Err(Failure::Broken(_)) if exceeded.get() => {
                return Err(body_limit::too_large(x.plan.body_limit.unwrap_or_default()));
            }
            Err(Failure::Broken(error)) => {
                let why = plain_words(&error);
                return Err(failed(record, x, chosen, 1, Refusal::UpstreamFailed, &why));
            }
            Err(Failure::Timeout) => {
                let why = format!("no answer within {} ms", x.plan.response_timeout.as_millis());
                return Err(failed(record, x, chosen, 2, Refusal::UpstreamTimeout, &why));
            }
        }
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

fn plain_words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        "it closed the connection without an answer".to_owned()
    } else if error.is_parse() {
        "its answer is not HTTP".to_owned()
    } else {
        error.to_string()
    }
}

/// The request as this target sees it. Its URL is built from parts, so no path can become a host.
fn upstream_head(x: &Exchange<'_>, chosen: &CompiledTarget, target: &Target) -> request::Parts {
    let path = if x.api.strip_path { x.api.rest(&target.path) } else { &target.path };
    let query = x.head.uri.query();
    let mut text = String::with_capacity(chosen.prefix.len() + path.len() + query.map_or(0, |query| query.len() + 1));
    text.push_str(&chosen.prefix);
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = x.head.method.clone();
    head.headers = x.head.headers.clone();
    head.headers.insert(http::header::HOST, chosen.authority.clone());
    head.uri = PathAndQuery::try_from(text).map(Into::into).unwrap_or_default();
    head
}

async fn attempt(
    pool: &Rc<Pool>,
    x: &Exchange<'_>,
    target: &CompiledTarget,
    head: request::Parts,
    body: Body,
) -> Result<Response<Body>, Failure> {
    let deadline = tokio::time::Instant::now() + x.plan.response_timeout;
    let mut request = Request::from_parts(head, body);
    // A pooled connection may have been closed by the other side in the meantime: the next one is tried, and a request
    // without a body that may be repeated (RFC 9110 section 9.2.2) is repeated on a fresh connection.
    while let Some(lease) = pool.take(&target.origin) {
        let again = repeatable(&request);
        match exchange(lease, request, deadline).await {
            Err(Failure::Stale(unsent)) => request = *unsent,
            Err(Failure::Broken(error)) if error.is_incomplete_message() => match again {
                Some(copy) => {
                    request = copy;
                    break;
                }
                None => return Err(Failure::Broken(error)),
            },
            done => return done,
        }
    }
    let lease = match pool.connect(target, x.plan.connect_timeout, x.api.upstream.idle_timeout).await {
        Ok(lease) => lease,
        Err(error) => return Err(Failure::Connect(error, request.into_body())),
    };
    exchange(lease, request, deadline).await
}

fn repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    if !safe || !hyper::body::Body::is_end_stream(request.body()) {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

async fn exchange(
    mut lease: Lease,
    request: Request<Body>,
    deadline: tokio::time::Instant,
) -> Result<Response<Body>, Failure> {
    match tokio::time::timeout_at(deadline, lease.sender().try_send_request(request)).await {
        Ok(Ok(response)) => Ok(response.map(|body| lease.into_body(body))),
        Ok(Err(mut error)) => match error.take_message() {
            Some(unsent) => Err(Failure::Stale(Box::new(unsent))),
            None => Err(Failure::Broken(error.into_error())),
        },
        Err(_) => Err(Failure::Timeout),
    }
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
