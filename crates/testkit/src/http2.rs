//! HTTP/2 frame by frame (RFC 9113), for what no well-behaved client sends.
//!
//! Header blocks are made of HPACK literals (RFC 7541): nothing is compressed that a test does not want to be.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Frame types (RFC 9113 section 6).
pub mod kind {
    #![allow(missing_docs, reason = "the names of the protocol")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The flag of a frame that ends its stream.
pub const END_STREAM: u8 = 1;
/// The flag of a SETTINGS or PING that answers one.
pub const ACK: u8 = 1;
/// The flag of a frame that ends a header block.
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How many frames are kept for a test to look at, besides those that only keep the connection going.
const KEPT: usize = 10_000;

/// One frame.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// The bytes of a frame.
///
/// # Panics
/// When the payload is longer than a frame can be.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload fits into a frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of a SETTINGS frame.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()).collect()
}

/// A length and the text itself (RFC 7541 section 5.2).
fn text(block: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text.as_bytes());
}

/// The header block of a request; the method is GET or POST.
pub fn request(method: &str, authority: &str, path: &str) -> Vec<u8> {
    // The static table: 2 is GET, 3 is POST, 6 is http, 4 and 1 are the names of path and authority.
    let mut block = vec![if method == "POST" { 0x83 } else { 0x82 }, 0x86, 0x04];
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, authority);
    block
}

/// A field with a new name. `is_kept` puts it into the receiver's dynamic table.
pub fn field(name: &str, value: &str, is_kept: bool) -> Vec<u8> {
    let mut block = vec![if is_kept { 0x40 } else { 0x00 }];
    text(&mut block, name);
    text(&mut block, value);
    block
}

#[derive(Default)]
struct State {
    frames: Vec<Frame>,
    counts: BTreeMap<u8, u64>,
    is_closed: bool,
}

/// A connection on which the preface was sent. What comes back is always read.
pub struct Connection {
    stream: TcpStream,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Connection {
    /// Connects to `host:port` and sends the preface with these settings.
    ///
    /// # Panics
    /// When nobody accepts there.
    pub fn open(address: &str, values: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).expect("the listener accepts");
        stream.set_nodelay(true).expect("a TCP option can be set");
        // Who does not read what we send has stopped us; that is for the test to judge.
        stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a TCP option can be set");
        let shared = Arc::<(Mutex<State>, Condvar)>::default();
        let mut reader = stream.try_clone().expect("a socket can be shared");
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            while let Some(frame) = read(&mut reader) {
                let mut held = state.0.lock().unwrap_or_else(PoisonError::into_inner);
                *held.counts.entry(frame.kind).or_default() += 1;
                let is_upkeep = match frame.kind {
                    kind::PING | kind::SETTINGS => frame.flags & ACK != 0,
                    kind => kind == kind::WINDOW_UPDATE,
                };
                if !is_upkeep && held.frames.len() < KEPT || frame.kind == kind::GOAWAY {
                    held.frames.push(frame);
                }
                state.1.notify_all();
            }
            state.0.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
            state.1.notify_all();
        });
        let mut connection = Self { stream, shared };
        connection.send(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &settings(values))].concat());
        connection
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends bytes; false when the other side has closed or takes no more.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// How many frames of a type have come.
    pub fn count(&self, kind: u8) -> u64 {
        self.state().counts.get(&kind).copied().unwrap_or_default()
    }

    /// Whether the other side has closed.
    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Waits for a frame; none when the deadline passes or the other side closes first.
    pub fn wait(&self, deadline: Duration, is_wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let end = Instant::now() + deadline;
        let mut state = self.state();
        loop {
            if let Some(found) = state.frames.iter().find(|frame| is_wanted(frame)) {
                return Some(found.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.is_closed || left.is_zero() {
                return None;
            }
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The error code of the last GOAWAY that has come.
    pub fn goaway(&self) -> Option<u32> {
        let state = self.state();
        let last = state.frames.iter().rev().find(|frame| frame.kind == kind::GOAWAY)?;
        Some(u32::from_be_bytes(last.payload.get(4..8)?.try_into().ok()?))
    }

    /// Waits until the other side closes; false when the deadline passes first.
    pub fn wait_closed(&self, deadline: Duration) -> bool {
        self.wait(deadline, |_| false);
        self.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

impl Frame {
    /// Whether these are the headers of an answer with status 200, the eighth entry of the static table.
    pub fn is_ok(&self) -> bool {
        self.kind == kind::HEADERS && self.payload.first() == Some(&0x88)
    }

    /// Whether it ends its stream.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }
}

fn read(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).ok()?;
    let stream_id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
    Some(Frame { kind: head[3], flags: head[4], stream: stream_id, payload })
}
