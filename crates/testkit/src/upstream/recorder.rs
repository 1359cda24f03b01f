//! An upstream that keeps what it gets byte for byte, and answers with given bytes.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::message::Message;

/// What the recorder does with a request.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it sends. Of an answer to HEAD only the head is sent.
    pub answer: Vec<u8>,
    /// What it sends after [`Recorder::release`].
    pub rest: Vec<u8>,
    /// Whether it answers when it has the head, without waiting for the body.
    pub is_early: bool,
    /// Whether it closes the connection after the answer.
    pub closes: bool,
}

impl Script {
    /// Waits for the whole request, sends `answer`, and keeps the connection.
    pub fn answer(answer: impl Into<Vec<u8>>) -> Self {
        Self { answer: answer.into(), rest: Vec::new(), is_early: false, closes: false }
    }

    /// The same, and closes the connection.
    pub fn closing(answer: impl Into<Vec<u8>>) -> Self {
        Self { closes: true, ..Self::answer(answer) }
    }

    /// Answers when it has the head and keeps the connection.
    pub fn early(answer: impl Into<Vec<u8>>) -> Self {
        Self { is_early: true, ..Self::answer(answer) }
    }

    /// Sends `rest` when it is released.
    #[must_use]
    pub fn then(mut self, rest: impl Into<Vec<u8>>) -> Self {
        self.rest = rest.into();
        self
    }
}

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<BTreeMap<u64, Message>>,
    faults: Mutex<Vec<String>>,
    next: AtomicU64,
    bytes: AtomicU64,
    connections: AtomicU64,
    open: AtomicUsize,
    is_released: AtomicBool,
    is_stopped: AtomicBool,
}

/// The upstream. It stops when it is dropped.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// Starts one that answers `200` and `ok`.
    ///
    /// # Panics
    /// When the machine has no free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            script: Mutex::new(Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")),
            requests: Mutex::default(),
            faults: Mutex::default(),
            next: AtomicU64::default(),
            bytes: AtomicU64::default(),
            connections: AtomicU64::default(),
            open: AtomicUsize::default(),
            is_released: AtomicBool::default(),
            is_stopped: AtomicBool::default(),
        });
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if acceptor.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                acceptor.connections.fetch_add(1, Ordering::SeqCst);
                acceptor.open.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&acceptor);
                thread::spawn(move || {
                    serve(stream, &shared);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers from now on as `script` says.
    pub fn set(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// Lets the rest of every script be sent.
    pub fn release(&self) {
        self.shared.is_released.store(true, Ordering::SeqCst);
    }

    /// The requests whose head has come, oldest first.
    pub fn requests(&self) -> Vec<Message> {
        lock(&self.shared.requests).values().cloned().collect()
    }

    /// The same, and forgets them.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *lock(&self.shared.requests)).into_values().collect()
    }

    /// What came and is no HTTP.
    pub fn faults(&self) -> Vec<String> {
        lock(&self.shared.faults).clone()
    }

    /// How many bytes have come.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// How many connections have been made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections the other side has not closed.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}

/// One connection, until either side closes it.
fn serve(mut stream: TcpStream, shared: &Shared) {
    drop(stream.set_nodelay(true));
    drop(stream.set_read_timeout(Some(Duration::from_millis(20))));
    let mut held = Vec::new();
    let mut number = None;
    let mut is_answered = false;
    let mut rest = Vec::new();
    let mut buffer = vec![0; 65536];
    loop {
        if !rest.is_empty() && shared.is_released.load(Ordering::SeqCst) {
            drop(stream.write_all(&std::mem::take(&mut rest)));
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                shared.bytes.fetch_add(n as u64, Ordering::SeqCst);
                held.extend_from_slice(&buffer[..n]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if shared.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                continue;
            }
            Err(_) => return,
        }
        while !held.is_empty() {
            let message = match Message::request(&held) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(fault) => {
                    lock(&shared.faults).push(fault);
                    return;
                }
            };
            let number_now = *number.get_or_insert_with(|| shared.next.fetch_add(1, Ordering::SeqCst));
            lock(&shared.requests).insert(number_now, message.clone());
            let script = lock(&shared.script).clone();
            if !is_answered && (message.is_complete || script.is_early) {
                is_answered = true;
                let is_sent = stream.write_all(answer_to(&message, &script.answer)).is_ok();
                if !is_sent || script.closes {
                    return;
                }
                rest = script.rest;
            }
            if !message.is_complete {
                break;
            }
            held.drain(..message.size);
            number = None;
            is_answered = false;
        }
    }
}

fn answer_to<'a>(message: &Message, answer: &'a [u8]) -> &'a [u8] {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    match end {
        Some(end) if message.method() == "HEAD" => &answer[..end + 4],
        _ => answer,
    }
}
