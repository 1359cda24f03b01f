//! Bytes on a TCP connection, for what no well-behaved client sends.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::runtime::block_on;

/// How the other side has left a connection, as far as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not at all.
    Open,
    /// In order: everything it sent has been read.
    Closed,
    /// With a reset: what it sent before may be lost.
    Reset,
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    end: End,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Panics
    /// When nobody accepts there.
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the listener accepts");
        stream.set_nodelay(true).expect("a TCP option can be set");
        Self { stream, read: Vec::new(), end: End::Open }
    }

    /// Connects to `host:port` from this address of the machine.
    ///
    /// # Panics
    /// When nobody accepts there, or the address is not one of the machine.
    pub fn open_from(source: IpAddr, address: &str) -> Self {
        let address: SocketAddr = address.parse().expect("an address with a port");
        let stream = block_on(async {
            let socket = TcpSocket::new_v4().expect("a socket can be made");
            socket.bind((source, 0).into()).expect("the address is one of the machine");
            socket.connect(address).await.expect("the listener accepts")
        });
        let stream = stream.into_std().expect("a socket can be taken over");
        stream.set_nonblocking(false).expect("a socket can be made blocking");
        stream.set_nodelay(true).expect("a TCP option can be set");
        Self { stream, read: Vec::new(), end: End::Open }
    }

    /// Sends bytes; false when the other side has closed.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more will be sent; answers can still be read.
    pub fn finish(&self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }

    /// How the other side has left, as far as it was read.
    pub fn end(&self) -> End {
        self.end
    }

    /// Everything read so far.
    pub fn received(&self) -> &[u8] {
        &self.read
    }

    /// Everything read so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Reads until `is_enough` is content with all that was read; false when the deadline passes or the other side closes first.
    pub fn read_until(&mut self, deadline: Duration, is_enough: impl Fn(&[u8]) -> bool) -> bool {
        let end = Instant::now() + deadline;
        let mut buffer = [0; 65536];
        while !is_enough(&self.read) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.stream.set_read_timeout(Some(left)).expect("a TCP option can be set");
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.end = End::Closed;
                    return false;
                }
                Ok(n) => self.read.extend_from_slice(&buffer[..n]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return false,
                    _ => {
                        self.end = End::Reset;
                        return false;
                    }
                },
            }
        }
        true
    }

    /// Reads until this text has come.
    pub fn read_text(&mut self, deadline: Duration, text: &str) -> bool {
        self.read_until(deadline, |read| read.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    /// Reads until the other side closes; false when the deadline passes first.
    pub fn read_to_end(&mut self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        self.read_until(deadline, |_| false);
        Instant::now() < end
    }

    /// The status code of the first answer read so far; none when there is no whole status line.
    pub fn status(&self) -> Option<u16> {
        let text = self.text();
        let line = text.strip_prefix("HTTP/1.1 ").or_else(|| text.strip_prefix("HTTP/1.0 "))?;
        line.get(..3)?.parse().ok()
    }
}

/// Sends `bytes` on a connection of its own and reads until the other side closes or the deadline passes.
pub fn exchange(address: &str, bytes: &[u8], deadline: Duration) -> Connection {
    let mut connection = Connection::open(address);
    connection.send(bytes);
    connection.read_to_end(deadline);
    connection
}
