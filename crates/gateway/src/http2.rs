//! HTTP/2 from clients that know that it is spoken here (RFC 9113 section 3.3). hyper and h2 speak the protocol; this
//! file bounds what a client may cost with it.

mod request_body;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header, request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::{Body, BodyError};
use crate::client::Client;
use crate::deadline::Deadline;
use crate::error::{Refusal, Rejection};
use crate::forward;
use crate::http1::head::HeadFault;
use crate::http1::{Stream, Wire};
use crate::pipeline;
use crate::serve;
use crate::worker::Worker;

pub use request_body::RequestBody;

/// Streams that a client may open and reset before the gateway has looked at them (rapid reset, CVE-2023-44487).
const MOST_RESETS: usize = 32;

/// Streams that the gateway may have to reset itself before it gives the connection up (CVE-2025-8671).
const MOST_LOCAL_RESETS: usize = 256;

/// How much of an answer waits for a client that does not take it.
const SEND_BUFFER: usize = 64 * 1024;

/// How much of a request's body a client may send unasked, by stream and in all.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How often a quiet client is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// How often idle and stalled connections are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone, Copy)]
pub struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move { drop(future.await) });
    }
}

/// What is known of a connection's streams.
struct Streams {
    active: Cell<usize>,
    idle_since: Cell<Instant>,
    /// Since when the client could take more of an answer and has not, by stream.
    waiting: RefCell<Vec<(u64, Instant)>>,
    next: Cell<u64>,
}

/// Serves a connection until it ends; when the worker drains, `GOAWAY` is sent and the open streams are answered.
pub async fn serve(worker: Rc<Worker>, wire: Wire, peer: IpAddr, peer_text: Rc<str>) {
    let limits = worker.limits();
    let streams = Rc::new(Streams {
        active: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
        waiting: RefCell::default(),
        next: Cell::new(0),
    });
    let service = service_fn(|request| {
        let stream = OpenStream::begin(&streams);
        respond(worker.clone(), peer, peer_text.clone(), stream, request)
    });
    let connection = http2::Builder::new(OnThisThread)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_LOCAL_RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(Rewound { read: wire.read, stream: wire.stream }), service);
    let mut connection = pin!(connection);
    let mut drained = pin!(worker.drained());
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    let mut leaves = false;
    loop {
        tokio::select! {
            // Whatever ends a connection has been recorded with its requests.
            _ = connection.as_mut() => return,
            () = drained.as_mut(), if !leaves => {
                leaves = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = look.tick() => {
                if streams.has_stalled(limits.write_timeout) || leaves && streams.is_idle(PING_TIMEOUT) {
                    return;
                }
                if !leaves && streams.is_idle(limits.idle_timeout) {
                    leaves = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn respond(
    worker: Rc<Worker>,
    peer: IpAddr,
    peer_text: Rc<str>,
    stream: OpenStream,
    request: Request<Incoming>,
) -> Result<Response<StreamBody>, Infallible> {
    let (mut head, body) = request.into_parts();
    let takes_trailers = head.headers.get(header::TE).is_some_and(|te| te == "trailers");
    forward::remove_hop_by_hop(&mut head.headers);
    let client = Client {
        peer,
        peer_text,
        websocket: false,
        takes_trailers,
        connection: None,
        deadline: Rc::new(Deadline::after(worker.limits().head_timeout)),
    };
    let limits = worker.limits();
    let mut record = serve::begin(&worker, &client, &head);
    let mut response = if let Some(rejection) = fault(&head, limits.head_fields) {
        pipeline::refused(rejection, &mut record)
    } else {
        // Clients may send the parts of a cookie apart (RFC 9113 section 8.2.3); HTTP/1 knows one field only.
        join_cookies(&mut head.headers);
        let body = match body.is_end_stream() {
            true => Body::empty(),
            false => Body::Streamed(Box::new(RequestBody::new(body, limits.body_timeout))),
        };
        serve::answer(&worker, &client, &mut head, body, &mut record).await
    };
    // Portunus has already said how long it is, by what it sends.
    if response.body().size_hint().exact().is_none() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    stream.hand_over();
    Ok(response.map(|body| StreamBody { inner: body.recorded(record), stream }))
}

/// What the protocol allows and Portunus does not.
fn fault(head: &request::Parts, most_fields: usize) -> Option<Rejection> {
    if head.headers.len() > most_fields {
        return Some(Rejection::new(Refusal::HeadTooLarge, HeadFault::Lines.to_string()));
    }
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let is_confused = match (authority, hosts.next()) {
        (Some(authority), Some(host)) if !host.as_bytes().eq_ignore_ascii_case(authority) => true,
        _ => hosts.next().is_some(),
    };
    is_confused.then(|| Rejection::new(Refusal::BadRequest, "a request has one host: the Host is the :authority"))
}

fn join_cookies(headers: &mut http::HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    if cookies.by_ref().count() < 2 {
        return;
    }
    let joined: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&joined.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

impl Streams {
    fn is_idle(&self, limit: Duration) -> bool {
        self.active.get() == 0 && self.idle_since.get().elapsed() > limit
    }

    fn has_stalled(&self, limit: Duration) -> bool {
        self.waiting.borrow().iter().any(|(_, since)| since.elapsed() > limit)
    }
}

/// One stream; counted until it is dropped.
struct OpenStream {
    streams: Rc<Streams>,
    number: u64,
}

impl OpenStream {
    fn begin(streams: &Rc<Streams>) -> Self {
        streams.active.set(streams.active.get() + 1);
        let number = streams.next.get();
        streams.next.set(number + 1);
        Self { streams: streams.clone(), number }
    }

    /// It is up to the client now.
    fn hand_over(&self) {
        self.streams.waiting.borrow_mut().push((self.number, Instant::now()));
    }

    /// It is up to the gateway again.
    fn take_over(&self) {
        self.streams.waiting.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.take_over();
        self.streams.active.set(self.streams.active.get() - 1);
        self.streams.idle_since.set(Instant::now());
    }
}

/// The body of an answer, which notes when the client does not take it.
struct StreamBody {
    inner: Body,
    stream: OpenStream,
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.stream.take_over();
        let polled = this.inner.poll(cx);
        if let Poll::Ready(Some(_)) = polled {
            this.stream.hand_over();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection of which a part was already read.
struct Rewound {
    read: BytesMut,
    stream: Stream,
}

impl AsyncRead for Rewound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let size = this.read.len().min(buf.remaining());
        buf.put_slice(&this.read[..size]);
        this.read.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
