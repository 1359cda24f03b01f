//! Idle connections of one worker, by target. Nothing is shared between workers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connect::{self, ConnectError, Stream};
use super::slots::InFlight;
use super::target::CompiledTarget;
use crate::body::{Body, BodyError};

/// The most idle connections that a worker keeps per target.
const MOST_IDLE: usize = 512;

/// The idle connections of one worker.
#[derive(Default)]
pub struct Pool {
    idle: RefCell<HashMap<Arc<str>, Vec<Idle>, RandomState>>,
}

struct Idle {
    sender: SendRequest<Body>,
    address: SocketAddr,
    until: Instant,
    keep: Duration,
}

/// A connection in use. It goes back to the pool when the answer's body has been read to its end, and is closed
/// otherwise, which also tells the upstream that nobody waits any more.
pub struct Lease {
    sender: Option<SendRequest<Body>>,
    pool: Rc<Pool>,
    origin: Arc<str>,
    address: SocketAddr,
    keep: Duration,
    in_flight: Option<InFlight>,
}

impl Pool {
    /// An idle connection to a target that is still open, the latest used first.
    pub fn take(self: &Rc<Self>, target: &CompiledTarget) -> Option<Lease> {
        let origin = &target.origin;
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(origin)?;
        let now = Instant::now();
        connections.retain(|idle| !idle.sender.is_closed() && idle.until > now);
        let Idle { sender, address, keep, .. } = loop {
            let ready = connections.iter().rposition(|idle| idle.sender.is_ready())?;
            let idle = connections.remove(ready);
            if target.has_address(idle.address) {
                break idle;
            }
        };
        let sender = Some(sender);
        Some(Lease { sender, pool: self.clone(), origin: origin.clone(), address, keep, in_flight: None })
    }

    /// A new connection.
    pub async fn connect(
        self: &Rc<Self>,
        target: &CompiledTarget,
        timeout: Duration,
        keep: Duration,
    ) -> Result<Lease, ConnectError> {
        let (stream, address) = connect::connect(target, timeout).await?;
        let sender = match stream {
            Stream::Plain(stream) => handshake(stream).await,
            Stream::Tls(stream) => handshake(*stream).await,
        };
        let sender = Some(sender.map_err(|error| ConnectError::Io(error.to_string()))?);
        Ok(Lease { sender, pool: self.clone(), origin: target.origin.clone(), address, keep, in_flight: None })
    }

    /// Closes what has been idle for too long.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain(|idle| !idle.sender.is_closed() && idle.until > now);
            !connections.is_empty()
        });
    }

    fn put(&self, origin: Arc<str>, sender: SendRequest<Body>, address: SocketAddr, keep: Duration) {
        if sender.is_closed() || keep.is_zero() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(origin).or_default();
        if connections.len() < MOST_IDLE {
            connections.push(Idle { sender, address, until: Instant::now() + keep, keep });
        }
    }
}

async fn handshake<T: AsyncRead + AsyncWrite + Unpin + 'static>(stream: T) -> hyper::Result<SendRequest<Body>> {
    let (sender, connection) = http1::Builder::new().max_headers(256).handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(async move {
        // The request that used the connection reports what went wrong.
        let _ = connection.await;
    });
    Ok(sender)
}

impl Lease {
    /// The connection.
    pub fn sender(&mut self) -> &mut SendRequest<Body> {
        self.sender.as_mut().expect("a lease holds its connection until its body ends")
    }

    /// The body of the answer, which gives the connection back at its end; until then the request is under way.
    pub fn into_body(mut self, inner: Incoming, in_flight: Option<InFlight>) -> Body {
        self.in_flight = in_flight;
        if inner.is_end_stream() {
            self.give_back();
            return Body::empty();
        }
        Body::Leased(Box::new(LeasedBody { inner, lease: self }))
    }

    fn give_back(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.put(self.origin.clone(), sender, self.address, self.keep);
        }
        // After the connection, so that whoever waited for this can use it.
        self.in_flight = None;
    }
}

/// The body of an answer with the connection that it comes from.
pub struct LeasedBody {
    inner: Incoming,
    lease: Lease,
}

impl LeasedBody {
    /// See [`HttpBody::poll_frame`].
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let ended = matches!(polled, Poll::Ready(None))
            || matches!(polled, Poll::Ready(Some(Ok(_)))) && self.inner.is_end_stream();
        if ended {
            self.lease.give_back();
        }
        polled.map_err(Into::into)
    }

    /// See [`HttpBody::is_end_stream`].
    pub fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    /// See [`HttpBody::size_hint`].
    pub fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
