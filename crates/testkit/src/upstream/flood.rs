//! An upstream with a large answer that tells how much of it was taken, and one that takes nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How much is sent at once.
const BLOCK: usize = 64 * 1024;

/// Answers every request with a body of fixed length and counts the bytes that the other side has taken. With no length at
/// all it reads nothing and answers nothing. It stops when it is dropped.
pub struct Flood {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    open: AtomicUsize,
    is_stopped: AtomicBool,
}

impl Flood {
    /// Starts one that answers with `length` bytes.
    pub fn start(length: u64) -> Self {
        Self::with(Some(length))
    }

    /// Starts one that accepts connections and reads nothing.
    pub fn deaf() -> Self {
        Self::with(None)
    }

    fn with(length: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let acceptor = Arc::clone(&shared);
        thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                if acceptor.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                acceptor.open.fetch_add(1, Ordering::SeqCst);
                let Some(length) = length else {
                    held.push(stream);
                    continue;
                };
                let shared = Arc::clone(&acceptor);
                thread::spawn(move || {
                    answer(stream, length, &shared);
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

    /// How many bytes of bodies have been taken, also by the buffers of the system.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}

fn answer(mut stream: TcpStream, length: u64, shared: &Shared) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
    }
    if stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).is_err() {
        return;
    }
    let block = vec![b'x'; BLOCK];
    let mut left = length;
    while left > 0 {
        let part = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        match stream.write(&block[..part]) {
            Ok(n) => {
                left -= n as u64;
                shared.sent.fetch_add(n as u64, Ordering::SeqCst);
            }
            Err(_) => return,
        }
    }
}
