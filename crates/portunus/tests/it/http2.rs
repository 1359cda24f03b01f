//! HTTP/2 on the gateway listener, spoken by clients that know it is (RFC 9113 section 3.3), well-behaved and not.
//!
//! The long floods are drills; here each abuse is tried for a moment.

mod bodies;
mod drain;
mod floods;
mod heads;
mod requests;
mod stalls;

use portunus_testkit::Portunus;
use portunus_testkit::http2::{Connection, END_HEADERS, END_STREAM, frame, kind, request};

/// The error codes that tests look at (RFC 9113 section 7).
mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
}

/// The setting of the window of each stream (RFC 9113 section 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The frame of a GET without a body.
fn get(process: &Portunus, stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", process.gw_address(), path))
}

/// Why a stream was reset, or a connection ended.
fn error_code(payload: &[u8]) -> Option<u32> {
    let last = payload.last_chunk::<4>()?;
    Some(u32::from_be_bytes(*last))
}

/// Opens a connection and sends these frames.
fn open(process: &Portunus, frames: &[u8]) -> Connection {
    let mut connection = Connection::open(process.gw_address(), &[]);
    connection.send(frames);
    connection
}
