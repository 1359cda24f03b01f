//! Things to put behind the gateway: an echo service, ports that refuse, and servers that misbehave.

mod canned;
mod connection;
mod echo;
mod flood;
mod frames;
mod recorder;
mod silent;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

pub use canned::Canned;
pub use connection::Speaks;
pub use flood::Flood;
pub use frames::{Deed, Frames};
pub use recorder::{Recorder, Script};
pub use silent::Silent;

/// How many of the latest requests an upstream remembers.
const REMEMBERED: usize = 512;

/// A request as the upstream saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// The header fields in their order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// The fields after the body.
    pub trailers: Vec<(String, String)>,
}

impl Seen {
    /// The values of one field, joined as one list; none when it is absent.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

#[derive(Default)]
struct Record {
    requests: AtomicU64,
    connections: AtomicU64,
    open_connections: AtomicU64,
    at_work: AtomicU64,
    most_at_work: AtomicU64,
    body_bytes: AtomicU64,
    /// The status of plain echoes; 0 for 200.
    status: AtomicU16,
    is_remembering: AtomicBool,
    seen: Mutex<VecDeque<Seen>>,
}

/// A request under way.
struct AtWork(Arc<Record>);

impl AtWork {
    fn begin(record: &Arc<Record>) -> Self {
        let now = record.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        record.most_at_work.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(record))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Record {
    fn remember(&self, seen: Seen) {
        if !self.is_remembering.load(Ordering::Relaxed) {
            return;
        }
        let mut list = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() == REMEMBERED {
            list.pop_front();
        }
        list.push_back(seen);
    }
}

/// An HTTP service on a free port that echoes what it is asked as JSON. It stops when it is dropped.
///
/// The end of the path can ask for something else: `/status/{code}`, `/delay/{ms}`, `/bytes/{n}`, `/stream` (five slow
/// chunks), `/held` (one chunk, and the rest when [`Upstream::release`] is called), `/close` (no answer), `/hop`
/// (an answer with hop-by-hop fields), `/text` (a fixed text with its own fields), `/page` (an empty HTML page), `/grpc`
/// (the request's body and trailers that say success).
pub struct Upstream {
    address: SocketAddr,
    scheme: &'static str,
    record: Arc<Record>,
    release: watch::Sender<bool>,
    leave: watch::Sender<u64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::start_at(0)
    }

    /// Starts one on a given port, for an upstream that comes back.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn start_at(port: u16) -> Self {
        Self::start_on((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Starts one on a given address, for hosts with several of them.
    ///
    /// # Panics
    /// When the address is taken or not this machine's.
    pub fn start_on(address: SocketAddr) -> Self {
        Self::start_speaking(address, Speaks::Http1)
    }

    /// Starts one that speaks something else than HTTP/1.1.
    pub fn speaking(speaks: Speaks) -> Self {
        Self::start_speaking((Ipv4Addr::LOCALHOST, 0).into(), speaks)
    }

    fn start_speaking(address: SocketAddr, speaks: Speaks) -> Self {
        let scheme = if speaks.is_tls() { "https" } else { "http" };
        let listener = TcpListener::bind(address).expect("the address is free");
        listener.set_nonblocking(true).expect("a listener can be made nonblocking");
        let address = listener.local_addr().expect("a bound listener has an address");
        let record = Arc::new(Record::default());
        record.is_remembering.store(true, Ordering::Relaxed);
        let (release, held) = watch::channel(false);
        let (leave, leaving) = watch::channel(0);
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&record);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a tokio runtime can be built");
            runtime.block_on(echo::serve(listener, speaks, shared, held, (leaving, stopped)));
        });
        Self { address, scheme, record, release, leave, stop: Some(stop), thread: Some(thread) }
    }

    /// The address, `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Lets every connection over HTTP/2 say that it takes no further streams, and end with those that it has.
    pub fn go_away(&self) {
        self.leave.send_modify(|times| *times += 1);
    }

    /// How many requests have arrived, whole or not.
    pub fn count(&self) -> u64 {
        self.record.requests.load(Ordering::SeqCst)
    }

    /// How many connections have been accepted.
    pub fn connections(&self) -> u64 {
        self.record.connections.load(Ordering::SeqCst)
    }

    /// The most requests that it has worked on at one time.
    pub fn most_at_work(&self) -> u64 {
        self.record.most_at_work.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> u64 {
        self.record.open_connections.load(Ordering::SeqCst)
    }

    /// How many bytes of request bodies have arrived, also of those that are not complete.
    pub fn body_bytes(&self) -> u64 {
        self.record.body_bytes.load(Ordering::SeqCst)
    }

    /// Goes on counting but keeps no request, for long runs.
    pub fn forget(&self) {
        self.record.is_remembering.store(false, Ordering::Relaxed);
        self.record.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The latest requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.record.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The latest request.
    ///
    /// # Panics
    /// When there was none.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the upstream was asked")
    }

    /// Gives plain echoes another status from now on.
    pub fn answer_with(&self, status: u16) {
        self.record.status.store(status, Ordering::SeqCst);
    }

    /// Lets every answer to `/held` go on to its end.
    pub fn release(&self) {
        self.release.send_replace(true);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A port that nobody listens on right now.
///
/// # Panics
/// When the machine has no free port.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// The URL of a port that refuses connections.
pub fn refused_url() -> String {
    format!("http://127.0.0.1:{}", free_port())
}
