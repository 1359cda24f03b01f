//! One target as a worker knows it over HTTP/2: its connections, and the requests that wait for room on them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::connection::{Connection, MOST_STREAMS};
use super::feed::Outgoing;
use super::pool::Way;
use crate::http1::Stream;
use crate::upstream::balance::CompiledUpstream;
use crate::upstream::connect::{self, ConnectError};
use crate::upstream::target::{CompiledTarget, Speaks};

/// The most connections of a worker to one target.
const MOST_CONNECTIONS: usize = 16;

/// For how long it is remembered that a target has chosen HTTP/1.1.
const HTTP1_FOR: Duration = Duration::from_secs(300);

/// What a worker knows of a target.
#[derive(Default)]
pub(super) struct Peer {
    connections: RefCell<Vec<Rc<Connection>>>,
    queue: RefCell<VecDeque<Waiter>>,
    /// How many connections are being made.
    connecting: Cell<usize>,
    http1_until: Cell<Option<Instant>>,
}

/// A request that waits for room, and what is needed to make a connection for it.
struct Waiter {
    ready: oneshot::Sender<Result<Way, ConnectError>>,
    upstream: Arc<CompiledUpstream>,
    index: usize,
    timeout: Duration,
}

impl Peer {
    /// Whether it has chosen HTTP/1.1 lately.
    pub(super) fn is_http1(&self) -> bool {
        self.http1_until.get().is_some_and(|until| Instant::now() < until)
    }

    /// Whether nothing is known of it that is worth keeping.
    pub(super) fn is_forgettable(self: &Rc<Self>) -> bool {
        Rc::strong_count(self) == 1 && self.connections.borrow().is_empty() && !self.is_http1()
    }

    /// Closes what has been idle for too long, and forgets what has ended.
    pub(super) fn sweep(&self, now: Instant) {
        self.connections.borrow_mut().retain(|connection| connection.is_usable(now) && !connection.has_rested(now));
    }

    /// Gives a request its way, waiting for room up to `timeout`.
    pub(super) async fn way(
        self: &Rc<Self>,
        upstream: &Arc<CompiledUpstream>,
        index: usize,
        timeout: Duration,
    ) -> Result<Way, ConnectError> {
        self.leave_old_addresses(&upstream.targets[index]);
        // Nobody overtakes those who wait.
        if self.queue.borrow().is_empty()
            && let Some(turn) = self.turn()
        {
            return Ok(Way::Http2(turn));
        }
        let (ready, turn) = oneshot::channel();
        self.queue.borrow_mut().push_back(Waiter { ready, upstream: upstream.clone(), index, timeout });
        self.serve_queue();
        match tokio::time::timeout(timeout, turn).await {
            Ok(Ok(way)) => way,
            Ok(Err(_)) | Err(_) => Err(ConnectError::Timeout),
        }
    }

    /// Gives a request the first stream of a new connection.
    pub(super) async fn new_way(
        self: &Rc<Self>,
        upstream: &CompiledUpstream,
        index: usize,
        timeout: Duration,
    ) -> Result<Way, ConnectError> {
        Ok(match self.make(upstream, index, timeout).await? {
            Made::Http1(stream, address) => Way::Http1(Some((stream, address))),
            Made::Http2(connection) => {
                let was_used = connection.begin();
                self.connections.borrow_mut().push(connection.clone());
                Way::Http2(Turn { peer: self.clone(), connection, was_used })
            }
        })
    }

    /// Room on a connection; the first that has some, so that those that are not needed come to rest.
    fn turn(self: &Rc<Self>) -> Option<Turn> {
        let now = Instant::now();
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.is_usable(now));
        let connection = connections.iter().find(|connection| connection.has_room())?.clone();
        let was_used = connection.begin();
        Some(Turn { peer: self.clone(), connection, was_used })
    }

    /// Gives those who wait what room there is, and makes connections for the others.
    pub(super) fn serve_queue(self: &Rc<Self>) {
        while self.somebody_waits() {
            let Some(turn) = self.turn() else { return self.connect_as_needed() };
            self.tell_next(Ok(Way::Http2(turn)));
        }
    }

    fn somebody_waits(&self) -> bool {
        let mut queue = self.queue.borrow_mut();
        queue.retain(|waiter| !waiter.ready.is_closed());
        !queue.is_empty()
    }

    fn tell_next(&self, way: Result<Way, ConnectError>) {
        let next = self.queue.borrow_mut().pop_front();
        if let Some(waiter) = next {
            // One who has left in this moment drops it, and it goes to the next.
            drop(waiter.ready.send(way));
        }
    }

    /// Makes as many connections as those who wait need, going by what the connections before took.
    fn connect_as_needed(self: &Rc<Self>) {
        loop {
            let (known, unknown, room) = {
                let connections = self.connections.borrow();
                let unknown = connections.iter().filter(|connection| connection.most().is_none()).count();
                let room = connections.iter().rev().find_map(|connection| connection.most());
                (connections.len(), unknown + self.connecting.get(), room.unwrap_or(MOST_STREAMS).max(1))
            };
            let queue = self.queue.borrow();
            let is_enough = unknown * room >= queue.len() || known + self.connecting.get() >= MOST_CONNECTIONS;
            let Some(first) = queue.front().filter(|_| !is_enough) else { return };
            let (upstream, index, timeout) = (first.upstream.clone(), first.index, first.timeout);
            self.connecting.set(self.connecting.get() + 1);
            tokio::task::spawn_local(self.clone().connect(upstream, index, timeout));
        }
    }

    async fn connect(self: Rc<Self>, upstream: Arc<CompiledUpstream>, index: usize, timeout: Duration) {
        let made = self.make(&upstream, index, timeout).await;
        self.connecting.set(self.connecting.get() - 1);
        match made {
            Ok(Made::Http2(connection)) => {
                self.http1_until.set(None);
                self.connections.borrow_mut().push(connection);
                self.serve_queue();
            }
            Ok(Made::Http1(stream, address)) => {
                self.http1_until.set(Some(Instant::now() + HTTP1_FOR));
                let mut made = Some((stream, address));
                while self.somebody_waits() {
                    self.tell_next(Ok(Way::Http1(made.take())));
                }
            }
            // As long as there is another one, there is hope for those who wait.
            Err(error) if self.connections.borrow().is_empty() && self.connecting.get() == 0 => {
                while self.somebody_waits() {
                    self.tell_next(Err(error.clone()));
                }
            }
            Err(_) => {}
        }
    }

    async fn make(
        self: &Rc<Self>,
        upstream: &CompiledUpstream,
        index: usize,
        timeout: Duration,
    ) -> Result<Made, ConnectError> {
        let target = &upstream.targets[index];
        let (stream, address) = connect::connect(target, target.speaks, timeout).await?;
        if target.speaks == Speaks::Either && !connect::has_chosen_http2(&stream) {
            return Ok(Made::Http1(stream, address));
        }
        let terms = (upstream.idle_timeout, upstream.connection_age);
        let opened = Connection::open(stream, address, terms, self).await;
        opened.map(Made::Http2).map_err(|error| ConnectError::Io(error.to_string()))
    }

    /// Keeps a connection without streams, if it is any good and not one too many: those that were made for a last attempt
    /// are beside the others.
    fn rest(&self, idle: &Rc<Connection>) {
        let mut connections = self.connections.borrow_mut();
        if connections.len() > MOST_CONNECTIONS || !idle.is_usable(Instant::now()) {
            connections.retain(|connection| !Rc::ptr_eq(connection, idle));
        }
    }

    /// Connections to addresses that the target's name no longer has end with the streams that they have.
    fn leave_old_addresses(&self, target: &CompiledTarget) {
        for connection in self.connections.borrow().iter().filter(|one| !target.has_address(one.address)) {
            connection.retire();
        }
    }
}

/// A connection that was made.
enum Made {
    Http1(Stream, SocketAddr),
    Http2(Rc<Connection>),
}

/// Room for one stream on a connection; dropping it makes room for the next.
pub struct Turn {
    peer: Rc<Peer>,
    connection: Rc<Connection>,
    was_used: bool,
}

impl Turn {
    /// Whether the connection had streams before.
    pub(super) fn was_used(&self) -> bool {
        self.was_used
    }

    /// Lets the connection end with the streams that it has.
    pub(super) fn retire(&self) {
        self.connection.retire();
    }

    /// How often something came over the connection.
    pub(super) fn heard(&self) -> u64 {
        self.connection.heard()
    }

    /// Sends a request. Dropping the future resets the stream.
    pub(super) fn send(
        &self,
        request: Request<Outgoing>,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        self.connection.send(request)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.connection.end() {
            self.peer.rest(&self.connection);
        }
        self.peer.serve_queue();
    }
}
