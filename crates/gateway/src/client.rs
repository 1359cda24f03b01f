//! The other end of a request: who sent it, over what.

use std::net::IpAddr;
use std::rc::Rc;

use crate::deadline::Deadline;
use crate::http1::server::Connection;

/// Who sent a request, over what.
pub struct Client {
    /// The address at the other end of the connection.
    pub peer: IpAddr,
    /// The same as text, made once for each connection.
    pub peer_text: Rc<str>,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
    /// Whether it says that it takes trailers (`TE: trailers`), which gRPC wants to know.
    pub takes_trailers: bool,
    /// The connection, where it is HTTP/1.
    pub connection: Option<Rc<Connection>>,
    /// Bounds the wait for the upstream.
    pub deadline: Rc<Deadline>,
}

impl Client {
    /// Makes sure that no further request is read from the connection.
    pub fn distrust(&self) {
        if let Some(connection) = &self.connection {
            connection.spoil();
        }
    }
}

/// What a client may cost.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// The most bytes of a request's head.
    pub head_bytes: usize,
    /// The most fields of a request.
    pub head_fields: usize,
    /// The most bytes of a request's target.
    pub uri_bytes: usize,
    /// The most bytes of a request's body; 0 for no bound.
    pub body_bytes: u64,
    /// How long a new connection may be silent.
    pub first_byte_timeout: std::time::Duration,
    /// How long a head may take from its first byte.
    pub head_timeout: std::time::Duration,
    /// How long a client may be silent in the middle of a body.
    pub body_timeout: std::time::Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: std::time::Duration,
    /// How long a connection may rest between two requests.
    pub idle_timeout: std::time::Duration,
    /// How long a WebSocket may rest.
    pub websocket_timeout: std::time::Duration,
    /// How long a client that has stopped sending still gets its answer.
    pub half_close_timeout: std::time::Duration,
    /// The most requests of a connection; 0 for no bound.
    pub requests_per_connection: u64,
    /// The most connections; 0 for no bound.
    pub connections: usize,
    /// The most connections of one address (IPv6: of one /64); 0 for no bound.
    pub connections_per_address: usize,
    /// The most requests that are being answered at once; 0 for no bound.
    pub requests_in_flight: usize,
    /// The most requests at once on an HTTP/2 connection.
    pub streams_per_connection: u32,
}
