//! Calls a target over HTTP/2: one exchange is one stream of a connection that many share. hyper and h2 speak the
//! protocol; what is here chooses connections, passes bodies on and says what went wrong.

mod connection;
mod fault;
mod feed;
mod heard;
mod peer;
pub mod pool;
mod response_body;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use http::{Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use self::fault::Lost;
use self::feed::Feed;
use self::peer::Turn;
use self::pool::Way;
pub use self::response_body::ResponseBody;
use super::head::Head;
use super::slots::InFlight;
use super::{Missed, is_repeatable};
use crate::body::Body;
use crate::forward;
use crate::http1::Stream;
use crate::http1::upstream::Failure;
use crate::worker::Worker;

/// How often a request that its target has not looked at is sent (RFC 9113 section 8.7): the second connection may be at
/// its end too, so the last attempt begins a new one.
const MOST_ATTEMPTS: u32 = 3;

/// What became of an attempt.
pub(super) enum Tried {
    /// It is over; with the moment when the answer began.
    Done(Result<(Response<Body>, Instant), Missed>),
    /// The target has chosen HTTP/1.1; with a new connection, if there is one, and what the request needs.
    Http1(Option<(Stream, SocketAddr)>, Body, Option<InFlight>),
}

/// Sends a request to a target that speaks HTTP/2 or may choose it.
pub(super) async fn attempt(
    worker: &Worker,
    head: &Head<'_, '_>,
    index: usize,
    body: Body,
    in_flight: Option<InFlight>,
) -> Tried {
    match worker.http2_pool.way(&head.x.api.upstream, index, head.x.plan.connect_timeout).await {
        Ok(Way::Http2(turn)) => Tried::Done(send(worker, head, index, turn, body, in_flight).await),
        Ok(Way::Http1(made)) => Tried::Http1(made, body, in_flight),
        Err(error) => Tried::Done(Err(Missed::Connect(error, body))),
    }
}

/// Sends a request as a stream of a connection; on another one when the target has not looked at it.
async fn send(
    worker: &Worker,
    head: &Head<'_, '_>,
    index: usize,
    mut turn: Turn,
    body: Body,
    in_flight: Option<InFlight>,
) -> Result<(Response<Body>, Instant), Missed> {
    let upstream = &head.x.api.upstream;
    let can_repeat = is_repeatable(&head.x.head.method) && body.is_end_stream();
    let mut feed = Feed::new(body);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let was_used = turn.was_used();
        let lost = match exchange(head, index, &turn, &mut feed).await {
            Ok(answer) => return Ok((response(head, answer, turn, feed, in_flight), Instant::now())),
            Err(lost) => lost,
        };
        if lost.ends_connection() {
            turn.retire();
        }
        let may_repeat = match &lost {
            Lost::Unseen { .. } => feed.can_restart(),
            // As over HTTP/1: it may have been closed while nobody used it.
            Lost::Closed => can_repeat && was_used,
            Lost::Failed { .. } => false,
        };
        drop(turn);
        if !may_repeat || attempts == MOST_ATTEMPTS {
            return Err(Missed::Failed(lost.into()));
        }
        let timeout = head.x.plan.connect_timeout;
        let way = match attempts + 1 == MOST_ATTEMPTS {
            true => worker.http2_pool.new_way(upstream, index, timeout).await,
            false => worker.http2_pool.way(upstream, index, timeout).await,
        };
        turn = match way {
            Ok(Way::Http2(turn)) => turn,
            Ok(Way::Http1(_)) => {
                return Err(Missed::Failed(Failure::Broken("it no longer speaks HTTP/2".to_owned())));
            }
            Err(error) => return Err(Missed::Failed(Failure::Broken(error.to_string()))),
        };
    }
}

async fn exchange(head: &Head<'_, '_>, index: usize, turn: &Turn, feed: &mut Feed) -> Result<Response<Incoming>, Lost> {
    let (x, deadline) = (head.x, &head.client.deadline);
    let request = head
        .request(&x.api.upstream.targets[index], feed.start())
        .map_err(|error| Lost::failed(Failure::Broken(error.to_string())))?;
    let timeout = x.plan.response_timeout;
    deadline.set_after(timeout);
    let heard = turn.heard();
    let mut taken = 0;
    let mut is_fed = false;
    let mut answering = pin!(turn.send(request));
    poll_fn(|cx| {
        if !is_fed {
            match feed.poll(cx) {
                Poll::Ready(Ok(())) => {
                    is_fed = true;
                    deadline.set_after(timeout);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Lost::failed(Failure::Body(error)))),
                Poll::Pending if feed.taken() != taken => {
                    taken = feed.taken();
                    deadline.set_after(timeout);
                }
                Poll::Pending => {}
            }
        }
        match answering.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(answer.map_err(|error| Lost::of(&error))),
            Poll::Pending => deadline.poll(cx).map(|()| {
                // A connection that says nothing at all is not good for another request either.
                let ends_connection = turn.heard() == heard;
                Err(Lost::Failed { failure: Failure::Timeout, ends_connection })
            }),
        }
    })
    .await
}

fn response(
    head: &Head<'_, '_>,
    answer: Response<Incoming>,
    turn: Turn,
    feed: Feed,
    in_flight: Option<InFlight>,
) -> Response<Body> {
    let (parts, incoming) = answer.into_parts();
    let body = ResponseBody::body(incoming, turn, feed, in_flight, head.x.api.upstream.read_timeout);
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    forward::remove_hop_by_hop(response.headers_mut());
    forward::add_via(response.headers_mut(), Version::HTTP_2);
    response
}
