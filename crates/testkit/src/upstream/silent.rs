//! An address that does not even accept connections: a listener whose queue is full.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use crate::runtime::block_on;

/// A listener that never accepts and whose queue is full, so that a new connection is never made. It ends when it is dropped.
pub struct Silent {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Silent {
    /// Fills the queue of a listener that never accepts.
    ///
    /// # Panics
    /// When the machine has no free port or the queue does not fill up.
    pub fn start() -> Self {
        let listener = block_on(async {
            let socket = TcpSocket::new_v4().expect("a socket can be made");
            socket.bind(([127, 0, 0, 1], 0).into()).expect("there is a free port");
            socket.listen(1).expect("a bound socket can listen")
        });
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
            assert!(queue.len() < 64, "the queue of {address} never fills up");
        }
        Self { address, _listener: listener, _queue: queue }
    }

    /// The base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
