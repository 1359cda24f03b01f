//! One client connection: reads heads, has them answered, and goes on or closes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use tokio::net::TcpStream;

use super::answer::End;
use super::decode::{Decoder, Framing};
use super::encode::{self, Persistence};
use super::head::HeadFault;
use super::head::request;
use super::linger::{linger, skip_body};
use super::request_body::RequestBody;
use super::wire::{Stream, Wire};
use crate::body::Body;
use crate::client::{Client, ClientLimits};
use crate::deadline::Deadline;
use crate::error::{Refusal, Rejection};
use crate::http2;
use crate::record::Record;
use crate::serve;
use crate::worker::Worker;

/// How HTTP/2 begins where it is not negotiated (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many empty lines before a request are passed over (RFC 9112 section 2.2 asks for one).
const MOST_EMPTY_LINES: u8 = 2;

/// How many bytes of further requests are taken in while one is being answered.
const MOST_AHEAD: usize = 64 * 1024;

/// A client connection, shared between what reads a request's body from it and what writes the answer.
pub struct Connection {
    pub(super) worker: Rc<Worker>,
    pub(super) peer: IpAddr,
    pub(super) wire: RefCell<Wire>,
    /// Of the body of the current request.
    pub(super) decoder: RefCell<Decoder>,
    /// Whether the client waits for `100 Continue`.
    pub(super) awaits_continue: Cell<bool>,
    /// Whether no further request can be read, because the current one is not at its end.
    pub(super) is_spoiled: Cell<bool>,
    pub(super) deadline: Rc<Deadline>,
    /// Runs from when the client stopped sending while it waits for an answer.
    half_closed: RefCell<Option<Deadline>>,
}

/// What a connection brings next.
enum Next {
    Head(Bytes),
    Refuse(Rejection),
    Http2,
    Closed,
}

/// Serves a connection until it ends, or, when the worker drains, until its current request is answered.
pub async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: IpAddr) {
    let limits = worker.limits();
    let connection = Rc::new(Connection {
        peer,
        wire: RefCell::new(Wire::new(Stream::Plain(stream))),
        decoder: RefCell::new(Decoder::new(Framing::Length(0))),
        awaits_continue: Cell::new(false),
        is_spoiled: Cell::new(false),
        deadline: Rc::new(Deadline::after(limits.first_byte_timeout)),
        half_closed: RefCell::new(None),
        worker: worker.clone(),
    });
    let peer_text: Rc<str> = peer.to_canonical().to_string().into();
    let mut drained = pin!(worker.drained());
    let mut has_registered = false;
    let mut served = 0;
    loop {
        let head = match connection.next(served == 0, drained.as_mut(), &mut has_registered).await {
            Next::Head(head) => head,
            Next::Refuse(rejection) => {
                let refused = serve::refused_head(&worker, peer, &connection.wire.borrow().read, rejection);
                return connection.close_with(refused).await;
            }
            Next::Http2 => {
                // Nothing else holds it before the first request.
                let Ok(connection) = Rc::try_unwrap(connection) else { return };
                return http2::serve(worker.clone(), connection.wire.into_inner(), peer, peer_text).await;
            }
            Next::Closed => return,
        };
        served += 1;
        if !connection.clone().exchange(head, &peer_text, served).await {
            return;
        }
    }
}

fn rejection(fault: HeadFault) -> Rejection {
    let refusal = match fault {
        HeadFault::Malformed(_) => Refusal::BadRequest,
        HeadFault::Coding => Refusal::UnknownCoding,
        HeadFault::Version => Refusal::UnknownVersion,
        HeadFault::Expectation => Refusal::UnknownExpectation,
        HeadFault::Lines => Refusal::HeadTooLarge,
    };
    Rejection::new(refusal, fault.to_string())
}

impl Connection {
    /// The limits of the listener.
    pub fn limits(&self) -> &ClientLimits {
        self.worker.limits()
    }

    /// Waits for the next head.
    async fn next<F: Future<Output = ()>>(
        &self,
        is_first: bool,
        mut drained: Pin<&mut F>,
        has_registered: &mut bool,
    ) -> Next {
        let limits = self.limits();
        self.deadline.set_after(if is_first { limits.first_byte_timeout } else { limits.idle_timeout });
        let mut empty_lines = 0;
        let mut has_begun = false;
        poll_fn(|cx| {
            loop {
                let mut wire = self.wire.borrow_mut();
                while wire.read.starts_with(b"\r\n") && empty_lines < MOST_EMPTY_LINES {
                    wire.read.advance(2);
                    empty_lines += 1;
                }
                if !wire.read.is_empty() {
                    if is_first && wire.read.starts_with(&HTTP2_PREFACE[..wire.read.len().min(HTTP2_PREFACE.len())]) {
                        if wire.read.len() >= HTTP2_PREFACE.len() {
                            return Poll::Ready(Next::Http2);
                        }
                    } else if let Some(next) = next_head(&mut wire, limits) {
                        return Poll::Ready(next);
                    }
                    if !has_begun {
                        has_begun = true;
                        self.deadline.set_after(limits.head_timeout);
                    }
                }
                if wire.is_finished {
                    return Poll::Ready(Next::Closed);
                }
                match wire.poll_fill(cx) {
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(_)) => return Poll::Ready(Next::Closed),
                    Poll::Pending => {}
                }
                // Once registered, it wakes this task whatever that is waiting for.
                let drains = match std::mem::replace(has_registered, true) {
                    true => self.worker.is_draining(),
                    false => drained.as_mut().poll(cx).is_ready(),
                };
                if !has_begun && drains {
                    return Poll::Ready(Next::Closed);
                }
                ready!(self.deadline.poll(cx));
                return Poll::Ready(match has_begun {
                    true => Next::Refuse(Refusal::RequestTimeout.into()),
                    false => Next::Closed,
                });
            }
        })
        .await
    }

    /// Has one request answered; whether another may follow.
    async fn exchange(self: Rc<Self>, head: Bytes, peer_text: &Rc<str>, served: u64) -> bool {
        let mut request = match request::parse(&head, self.limits().head_fields) {
            Ok(request) => request,
            Err(fault) => {
                let refused = serve::refused_head(&self.worker, self.peer, &head, rejection(fault));
                self.close_with(refused).await;
                return false;
            }
        };
        drop(head);
        *self.decoder.borrow_mut() = Decoder::new(request.framing);
        self.awaits_continue.set(request.expects_continue);
        let body = match request.framing {
            Framing::Length(0) => Body::empty(),
            _ => Body::Client(RequestBody::new(self.clone())),
        };
        let client = Client {
            peer: self.peer,
            peer_text: peer_text.clone(),
            websocket: request.websocket,
            takes_trailers: request.takes_trailers,
            connection: Some(self.clone()),
            deadline: self.deadline.clone(),
        };
        let (version, is_head) = (request.parts.version, request.parts.method == Method::HEAD);
        let mut record = serve::begin(&self.worker, &client, &request.parts);
        let answer = {
            let mut answering = pin!(serve::answer(&self.worker, &client, &mut request.parts, body, &mut record));
            poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => self.poll_gone(cx).map(|()| None),
            })
            .await
        };
        self.half_closed.take();
        let Some(response) = answer else { return false };
        let most = self.limits().requests_per_connection;
        let may_persist = request.persists && (most == 0 || served < most);
        let end = self.answer(response, &mut record, is_head, version, may_persist).await;
        drop(record);
        let goes_on = self.close_after(end).await;
        if goes_on && !self.decoder.borrow().is_end() && !skip_body(&self).await {
            return false;
        }
        let mut wire = self.wire.borrow_mut();
        wire.rest();
        goes_on
    }

    async fn close_with(&self, refused: (Response<Body>, Record)) {
        self.spoil();
        let (response, mut record) = refused;
        let end = self.answer(response, &mut record, false, Version::HTTP_11, false).await;
        drop(record);
        self.close_after(end).await;
    }

    /// Ready when nobody waits for the answer any more: the connection broke, or the client stopped sending and its time
    /// for getting the answer nevertheless is over. Takes in what comes of further requests.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.borrow().is_end() {
            return Poll::Pending;
        }
        let mut wire = self.wire.borrow_mut();
        while !wire.is_finished && wire.read.len() < MOST_AHEAD {
            if ready!(wire.poll_fill(cx)).is_err() {
                return Poll::Ready(());
            }
        }
        if !wire.is_finished {
            return Poll::Pending;
        }
        let mut half_closed = self.half_closed.borrow_mut();
        half_closed.get_or_insert_with(|| Deadline::after(self.limits().half_close_timeout)).poll(cx)
    }

    /// Tells a client that waits for it to send the body, and writes what else was left to be told.
    pub(super) fn poll_continue(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let mut wire = self.wire.borrow_mut();
        if self.awaits_continue.replace(false) {
            wire.out.prefix.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        wire.poll_write(cx)
    }

    /// Passes an interim answer of the upstream on (RFC 9110 section 15.2).
    pub fn interim(&self, status: StatusCode, headers: &HeaderMap, cx: &mut Context<'_>) {
        let mut wire = self.wire.borrow_mut();
        encode::response(&mut wire.out.prefix, status, Version::HTTP_11, headers, None, Persistence::Usual);
        // What cannot be written now goes out before the answer.
        let _ = wire.poll_write(cx);
    }

    /// Makes sure that this request is the last one.
    pub fn spoil(&self) {
        self.is_spoiled.set(true);
    }

    /// What is left to do for the connection after an answer; whether another request may follow.
    async fn close_after(&self, end: End) -> bool {
        if end == End::Closes {
            linger(&self.wire).await;
        }
        end == End::Persists
    }
}

/// The head at the beginning of what was read, if it is complete, or why it is refused.
fn next_head(wire: &mut Wire, limits: &ClientLimits) -> Option<Next> {
    match wire.head() {
        Ok(Some(head)) if head.len() > limits.head_bytes => Some(Next::Refuse(Refusal::HeadTooLarge.into())),
        Ok(Some(head)) => Some(Next::Head(head)),
        Ok(None) if wire.read.len() > limits.head_bytes => {
            let has_line = memchr::memchr(b'\n', &wire.read).is_some();
            let refusal = if has_line { Refusal::HeadTooLarge } else { Refusal::UriTooLong };
            Some(Next::Refuse(refusal.into()))
        }
        Ok(None) => None,
        Err(fault) => Some(Next::Refuse(rejection(fault))),
    }
}
