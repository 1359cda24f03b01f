//! A server that answers every request with the same bytes, right or wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Reads a request's head, sends fixed bytes, closes. It stops when it is dropped.
pub struct Canned {
    address: SocketAddr,
    count: Arc<AtomicU64>,
    is_stopped: Arc<AtomicBool>,
}

impl Canned {
    /// Starts one that answers with `bytes`.
    ///
    /// # Panics
    /// When the machine has no free port.
    pub fn start(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let count = Arc::new(AtomicU64::new(0));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (counter, stop) = (Arc::clone(&count), Arc::clone(&is_stopped));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (counter, bytes) = (Arc::clone(&counter), bytes.clone());
                thread::spawn(move || answer(stream, &counter, &bytes));
            }
        });
        Self { address, count, is_stopped }
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests it has answered.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
    }
}

fn answer(mut stream: TcpStream, counter: &AtomicU64, bytes: &[u8]) {
    drop(stream.set_read_timeout(Some(Duration::from_secs(10))));
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
    }
    counter.fetch_add(1, Ordering::SeqCst);
    drop(stream.write_all(bytes));
}
