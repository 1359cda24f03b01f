//! One exchange with an upstream: the request out, the head of the answer in, in the task of the request.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;

use super::decode::Framing;
use super::encode;
use super::head::HeadFault;
use super::head::response::{self, ResponseHead};
use super::wire::Wire;
use crate::body::{Body, BodyError};
use crate::deadline::Deadline;

/// The most bytes of an answer's head.
pub const LARGEST_HEAD: usize = 128 * 1024;

/// The most interim answers before the final one.
const MOST_INTERIM: u32 = 64;

/// A request on its way to an upstream.
pub struct Pump {
    body: Body,
    framing: Framing,
    has_ended: bool,
    /// Whether a part of the body has been taken, so that the request cannot be sent again.
    pub has_begun: bool,
}

/// Why a request could not be sent to its end.
pub enum PumpFault {
    /// The body broke off.
    Body(BodyError),
    /// The upstream takes no more.
    Io,
}

/// Why there is no answer.
pub enum Failure {
    /// The connection was closed before a byte of an answer came.
    Closed,
    /// The connection broke, or what came is not an answer.
    Broken(String),
    /// The request's body broke off.
    Body(BodyError),
    /// There was no answer in time.
    Timeout,
}

/// What an exchange needs to know of its request.
pub struct Terms<'a> {
    /// The method, which says whether an answer has a body.
    pub method: &'a Method,
    /// When the exchange begins.
    pub started: Instant,
    /// How long the upstream may take from the last byte of the request to the head of the answer.
    pub timeout: Duration,
    /// Bounds that time.
    pub deadline: &'a Deadline,
}

impl Pump {
    /// The body of a request whose head is in the outgoing bytes of the connection.
    pub fn new(body: Body, framing: Framing) -> Self {
        Self { body, framing, has_ended: framing == Framing::Length(0), has_begun: false }
    }

    /// The request's body, for another attempt, as long as nothing of it was taken.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Whether everything is sent.
    pub fn is_done(&self, wire: &Wire) -> bool {
        self.has_ended && wire.out.is_empty()
    }

    /// Sends until everything is sent.
    pub fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<(), PumpFault>> {
        loop {
            let mut waits = false;
            if !self.has_ended && wire.out.has_room() {
                match self.body.poll(cx) {
                    Poll::Pending => waits = true,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(PumpFault::Body(error))),
                    Poll::Ready(None) => {
                        encode::end(&mut wire.out, self.framing, None);
                        self.has_ended = true;
                    }
                    Poll::Ready(Some(Ok(frame))) => {
                        self.has_begun = true;
                        match frame.into_data() {
                            Ok(data) => {
                                self.has_ended = self.body.is_end_stream();
                                encode::piece(&mut wire.out, self.framing, data, self.has_ended);
                            }
                            Err(frame) => {
                                encode::end(&mut wire.out, self.framing, frame.trailers_ref());
                                self.has_ended = true;
                            }
                        }
                    }
                }
            }
            if ready!(wire.poll_write(cx)).is_err() {
                return Poll::Ready(Err(PumpFault::Io));
            }
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }
}

/// Sends a request and waits for the head of the answer. Interim answers but `100 Continue` go to `interim`.
pub async fn exchange(
    wire: &mut Wire,
    pump: &mut Pump,
    terms: &Terms<'_>,
    mut interim: impl FnMut(StatusCode, &HeaderMap, &mut Context<'_>),
) -> Result<ResponseHead, Failure> {
    terms.deadline.set(terms.started + terms.timeout);
    let (mut left, mut interims) = (wire.out.len(), 0);
    let (mut takes_more, mut is_first) = (true, true);
    poll_fn(|cx| {
        if takes_more && !pump.is_done(wire) {
            match pump.poll(wire, cx) {
                Poll::Ready(Ok(())) if is_first => {}
                Poll::Ready(Ok(())) => terms.deadline.set_after(terms.timeout),
                Poll::Ready(Err(PumpFault::Body(error))) => return Poll::Ready(Err(Failure::Body(error))),
                // It may have answered before it stopped taking more.
                Poll::Ready(Err(PumpFault::Io)) => takes_more = false,
                // Whoever waits for more of the request's body waits for the client, whose own limit holds.
                Poll::Pending if wire.out.is_empty() || wire.out.len() != left => {
                    left = wire.out.len();
                    terms.deadline.set_after(terms.timeout);
                }
                Poll::Pending => {}
            }
        }
        is_first = false;
        loop {
            match next_head(wire, terms.method) {
                Ok(Some(head)) if !head.status.is_informational() => return Poll::Ready(Ok(head)),
                Ok(Some(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => return Poll::Ready(Ok(head)),
                Ok(Some(head)) => {
                    interims += 1;
                    if interims > MOST_INTERIM {
                        return Poll::Ready(Err(Failure::Broken("it sent too many interim answers".to_owned())));
                    }
                    if head.status != StatusCode::CONTINUE {
                        interim(head.status, &head.headers, cx);
                    }
                    continue;
                }
                Ok(None) => {}
                Err(why) => return Poll::Ready(Err(Failure::Broken(why))),
            }
            if wire.is_finished {
                return Poll::Ready(Err(closed(wire)));
            }
            match wire.poll_fill(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(wire, &error))),
                Poll::Pending => return terms.deadline.poll(cx).map(|()| Err(Failure::Timeout)),
            }
        }
    })
    .await
}

fn next_head(wire: &mut Wire, method: &Method) -> Result<Option<ResponseHead>, String> {
    let not_http = |fault: HeadFault| format!("its answer is not HTTP: {fault}");
    match wire.head().map_err(not_http)? {
        Some(head) => response::parse(&head, method).map(Some).map_err(not_http),
        None if wire.read.len() > LARGEST_HEAD => Err("the head of its answer is too large".to_owned()),
        None => Ok(None),
    }
}

fn closed(wire: &Wire) -> Failure {
    match wire.read.is_empty() {
        true => Failure::Closed,
        false => Failure::Broken("it closed the connection in the head of its answer".to_owned()),
    }
}

fn broken(wire: &Wire, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => closed(wire),
        _ => Failure::Broken(error.to_string()),
    }
}
