//! Clients that ask for much and take nothing.

use portunus_testkit::http2::{Connection, END_HEADERS, END_STREAM, frame, kind, request};

use super::{ENDED_WITHIN, Scene, stream};
use crate::figure;

const CONNECTIONS: usize = 10;
const STREAMS: u32 = 100;
/// The setting of the window of each stream (RFC 9113 section 6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A window of nothing: each answer of a megabyte waits for a client that never takes it.
#[test]
fn flood_zero_window() {
    let scene = Scene::new();
    let closed = scene.under("zero_window", 192, || {
        let mut connections: Vec<Connection> =
            (0..CONNECTIONS).map(|_| Connection::open(scene.address(), &[(INITIAL_WINDOW_SIZE, 0)])).collect();
        for connection in &mut connections {
            for number in 0..STREAMS {
                let block = request("GET", scene.address(), "/orders/bytes/1000000");
                connection.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, stream(number), &block));
            }
        }
        connections.iter().filter(|connection| connection.wait_closed(ENDED_WITHIN)).count()
    });
    figure("flood_zero_window_connections_closed", closed, "connections");
    assert_eq!(closed, CONNECTIONS, "a client that takes nothing is waited for without end");
}
