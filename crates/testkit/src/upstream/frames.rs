//! An upstream that speaks HTTP/2 frame by frame and does what a test tells it to, in the order of the requests.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http2::{END_HEADERS, END_STREAM, frame, kind};

/// `PRI * HTTP/2.0` and what follows it.
const PREFACE_LENGTH: usize = 24;
/// `:status: 200`, the eighth entry of the static table (RFC 7541).
const OK: &[u8] = &[0x88];
/// Why a stream or a connection ends (RFC 9113 section 7).
const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// It is answered 200.
    Answer,
    /// It is refused before it is looked at.
    Refuse,
    /// The connection says that it did not look at it, and ends.
    GoAway,
    /// The connection ends without a word.
    Close,
    /// The head and the beginning of a body come, then the stream is reset.
    BreakOff,
    /// The head and the beginning of a body come, then the connection ends.
    CloseMidway,
    /// Nothing comes.
    Silence,
}

struct Shared {
    deeds: Mutex<Vec<Deed>>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    is_stopped: AtomicBool,
}

/// The upstream. It stops when it is dropped.
pub struct Frames {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Frames {
    /// Starts one that does these deeds, one for each request, and answers all further ones.
    ///
    /// # Panics
    /// When the machine has no free port.
    pub fn start(deeds: &[Deed]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            deeds: Mutex::new(deeds.iter().rev().copied().collect()),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
        });
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if state.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                state.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&state);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, shared }
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have come.
    pub fn count(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections have come.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.read_exact(&mut [0; PREFACE_LENGTH]).ok()?;
    stream.write_all(&frame(kind::SETTINGS, 0, 0, &[])).ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).ok()?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match head[3] {
            kind::SETTINGS if head[4] == 0 => stream.write_all(&frame(kind::SETTINGS, 1, 0, &[])).ok()?,
            kind::PING if head[4] == 0 => stream.write_all(&frame(kind::PING, 1, 0, &payload)).ok()?,
            kind::HEADERS => {
                shared.requests.fetch_add(1, Ordering::SeqCst);
                let deed = shared.deeds.lock().unwrap_or_else(PoisonError::into_inner).pop();
                act(&mut stream, id, deed.unwrap_or(Deed::Answer))?;
            }
            _ => {}
        }
    }
}

fn act(stream: &mut TcpStream, id: u32, deed: Deed) -> Option<()> {
    let answer = frame(kind::HEADERS, END_HEADERS | END_STREAM, id, OK);
    let begun = [frame(kind::HEADERS, END_HEADERS, id, OK), frame(kind::DATA, 0, id, b"begun")].concat();
    let reset = |reason: u32| frame(kind::RST_STREAM, 0, id, &reason.to_be_bytes());
    let bytes = match deed {
        Deed::Answer => answer,
        Deed::Refuse => reset(REFUSED_STREAM),
        Deed::GoAway => {
            frame(kind::GOAWAY, 0, 0, &[id.saturating_sub(2).to_be_bytes(), NO_ERROR.to_be_bytes()].concat())
        }
        Deed::BreakOff => [begun, reset(CANCEL)].concat(),
        Deed::CloseMidway => begun,
        Deed::Close | Deed::Silence => Vec::new(),
    };
    stream.write_all(&bytes).ok()?;
    match deed {
        Deed::GoAway | Deed::Close | Deed::CloseMidway => stream.shutdown(Shutdown::Both).ok(),
        _ => Some(()),
    }
}
