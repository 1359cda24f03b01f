//! One connection over HTTP/2, shared by the requests of a worker.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::feed::Outgoing;
use super::heard::Heard;
use super::peer::Peer;
use crate::http1::Stream;
use crate::http1::upstream::LARGEST_HEAD;
use crate::http2::OnThisThread;

/// The most streams at once on a connection, however many more its target takes: it is one task here and one there.
pub(super) const MOST_STREAMS: usize = 256;

/// How much of an answer a target may send unasked, by stream; together as much as all streams may, so that clients that
/// read slowly do not stop the others.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MOST_STREAMS as u32;

/// How much of a request waits for a target that does not take it.
const SEND_BUFFER: usize = 64 * 1024;

/// How long a connection with requests may be silent before it is asked whether it is still there. gRPC servers close
/// connections that ask more often than every five minutes.
const PING_INTERVAL: Duration = Duration::from_secs(301);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection over HTTP/2.
pub(super) struct Connection {
    sender: RefCell<SendRequest<Outgoing>>,
    /// Where it leads.
    pub(super) address: SocketAddr,
    /// How many streams its target takes at once; none before it has said that.
    most: Rc<Cell<Option<usize>>>,
    reads: Rc<Cell<u64>>,
    in_use: Cell<usize>,
    was_used: Cell<bool>,
    is_retired: Cell<bool>,
    idle_since: Cell<Instant>,
    keep: Duration,
    retires: Instant,
}

impl Connection {
    /// Begins HTTP/2 on a connection that is to be used for `age` at most and to rest for `keep` at most.
    pub(super) async fn open(
        stream: Stream,
        address: SocketAddr,
        (keep, age): (Duration, Duration),
        peer: &Rc<Peer>,
    ) -> hyper::Result<Rc<Self>> {
        let reads = Rc::<Cell<u64>>::default();
        let stream = TokioIo::new(Heard { stream, reads: reads.clone() });
        let (sender, connection) = http2::Builder::new(OnThisThread)
            .timer(TokioTimer::new())
            // It is the target who says how many. Until then the first request waits, and none is refused.
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(LARGEST_HEAD as u32)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(stream)
            .await?;
        let most = Rc::<Cell<Option<usize>>>::default();
        tokio::task::spawn_local(drive(connection, most.clone(), Rc::downgrade(peer)));
        let now = Instant::now();
        Ok(Rc::new(Self {
            sender: RefCell::new(sender),
            address,
            most,
            reads,
            in_use: Cell::new(0),
            was_used: Cell::new(false),
            is_retired: Cell::new(false),
            idle_since: Cell::new(now),
            keep,
            retires: now + age,
        }))
    }

    /// Sends a request as a stream of its own. Dropping the future resets the stream.
    pub(super) fn send(
        &self,
        request: Request<Outgoing>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        self.sender.borrow_mut().send_request(request)
    }

    /// How many streams its target takes at once, and we open; none as long as that is not known.
    pub(super) fn most(&self) -> Option<usize> {
        self.most.get().map(|most| most.min(MOST_STREAMS))
    }

    /// Whether there is room for one more stream.
    pub(super) fn has_room(&self) -> bool {
        self.in_use.get() < self.most().unwrap_or(1)
    }

    /// Whether further streams may be opened.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        let has_rested = self.was_used.get() && self.is_idle_for(self.keep, now);
        !self.is_retired.get() && now < self.retires && !has_rested && !self.sender.borrow().is_closed()
    }

    /// Whether it has had no stream for as long as it may.
    pub(super) fn has_rested(&self, now: Instant) -> bool {
        self.is_idle_for(self.keep, now)
    }

    fn is_idle_for(&self, limit: Duration, now: Instant) -> bool {
        self.in_use.get() == 0 && now >= self.idle_since.get() + limit
    }

    /// Lets it end with the streams that it has.
    pub(super) fn retire(&self) {
        self.is_retired.set(true);
    }

    /// How often something came over it.
    pub(super) fn heard(&self) -> u64 {
        self.reads.get()
    }

    /// Counts a stream in; whether there were others before.
    pub(super) fn begin(&self) -> bool {
        self.in_use.set(self.in_use.get() + 1);
        self.was_used.replace(true)
    }

    /// Counts a stream out; whether it was the last one.
    pub(super) fn end(&self) -> bool {
        self.in_use.set(self.in_use.get() - 1);
        let is_idle = self.in_use.get() == 0;
        if is_idle {
            self.idle_since.set(Instant::now());
        }
        is_idle
    }
}

/// Runs a connection to its end. Those who wait for room are told of each change of it.
async fn drive(
    mut connection: http2::Connection<TokioIo<Heard>, Outgoing, OnThisThread>,
    most: Rc<Cell<Option<usize>>>,
    peer: Weak<Peer>,
) {
    let tell = || {
        if let Some(peer) = peer.upgrade() {
            peer.serve_queue();
        }
    };
    let ended = poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        // 0 is what we began with.
        let now = Some(connection.current_max_send_streams()).filter(|most| *most > 0);
        if polled.is_pending() && most.replace(now) != now {
            tell();
        }
        polled
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(target: "gateway", error = %error, "a connection to an upstream broke");
    }
    tell();
}
