//! Calls an upstream: picks a target, gets a connection, sends, waits for the head of the answer.

pub mod balance;
pub mod connect;
pub mod ejection;
mod health;
pub mod pool;
pub mod resolve;
pub mod slots;
pub mod target;
pub mod watch;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use http::uri::PathAndQuery;
use http::{Method, Request, Response, request};
use hyper::body::Incoming;
use smallvec::SmallVec;

use crate::body::Body;
use crate::error::{Refusal, Rejection};
use crate::exchange::Exchange;
use crate::policy::body_limit;
use crate::record::Record;
use crate::sanitize::Target;
use crate::upstream::balance::{NotPicked, Picked};
use crate::upstream::connect::ConnectError;
use crate::upstream::pool::{Lease, Pool};
use crate::upstream::slots::InFlight;
use crate::upstream::target::CompiledTarget;

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
    let key = upstream.hash_key(x);
    let mut tried: SmallVec<[usize; 4]> = SmallVec::new();
    let mut last = None;
    loop {
        let picked = match upstream.choose(key, &tried, x.plan.connect_timeout).await {
            Ok(picked) => picked,
            Err(why) if last.is_none() => {
                record.upstream_failed(if why == NotPicked::NoTarget { 3 } else { 4 });
                return Err(upstream.refusal(why));
            }
            Err(_) => break,
        };
        let Picked { index, target: chosen, in_flight } = picked;
        tried.push(index);
        record.target = Some(chosen.origin.clone());
        let head = upstream_head(x, chosen, target);
        let started = Instant::now();
        match attempt(pool, x, chosen, head, body, in_flight).await {
            Ok(response) => {
                upstream.answered(chosen, response.status().as_u16());
                record.upstream_duration = Some(started.elapsed());
                return Ok(response);
            }
            Err(Failure::Connect(error, unsent)) => {
                upstream.failed(chosen);
                body = unsent;
                last = Some((chosen, error));
            }
            Err(Failure::Stale(_)) => {
                upstream.failed(chosen);
                return Err(failed(record, x, chosen, 1, Refusal::UpstreamFailed, "it closed the connection"));
            }
            Err(Failure::Broken(_)) if exceeded.get() => {
                return Err(body_limit::too_large(x.plan.body_limit.unwrap_or_default()));
            }
            Err(Failure::Broken(error)) => {
                upstream.failed(chosen);
                let why = plain_words(&error);
                return Err(failed(record, x, chosen, 1, Refusal::UpstreamFailed, &why));
            }
            Err(Failure::Timeout) => {
                upstream.failed(chosen);
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
    mut in_flight: Option<InFlight>,
) -> Result<Response<Body>, Failure> {
    let deadline = tokio::time::Instant::now() + x.plan.response_timeout;
    let mut request = Request::from_parts(head, body);
    // A pooled connection may have been closed by the other side in the meantime: the next one is tried, and a request
    // without a body that may be repeated (RFC 9110 section 9.2.2) is repeated on a fresh connection.
    while let Some(lease) = pool.take(target) {
        let again = repeatable(&request);
        match exchange(lease, request, deadline, &mut in_flight).await {
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
    exchange(lease, request, deadline, &mut in_flight).await
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
    in_flight: &mut Option<InFlight>,
) -> Result<Response<Body>, Failure> {
    match tokio::time::timeout_at(deadline, lease.sender().try_send_request(request)).await {
        Ok(Ok(response)) => Ok(response.map(|body| lease.into_body(body, in_flight.take()))),
        Ok(Err(mut error)) => match error.take_message() {
            Some(unsent) => Err(Failure::Stale(Box::new(unsent))),
            None => Err(Failure::Broken(error.into_error())),
        },
        Err(_) => Err(Failure::Timeout),
    }
}
