//! A WebSocket on its way through: bytes in both directions until both sides have finished (RFC 6455).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use super::server::Connection;
use super::wire::{Stream, Wire};
use crate::record::Record;
use crate::upstream::pool::Lease;

/// The connection to an upstream that has become a WebSocket.
pub struct Tunnel {
    /// The connection.
    pub wire: Box<Wire>,
    /// Counts it at its target.
    pub lease: Lease,
}

/// Passes bytes on until both sides have finished, one breaks, or nothing has come for too long.
pub async fn run(connection: &Connection, tunnel: Tunnel, record: &mut Record) {
    let Tunnel { wire: mut upstream, lease: _lease } = tunnel;
    let limit = connection.limits().websocket_timeout;
    connection.deadline.set_after(limit);
    let (mut to_client_is_shut, mut to_upstream_is_shut) = (false, false);
    poll_fn(|cx| {
        if connection.wire.borrow_mut().poll_write(cx)?.is_pending() {
            return connection.deadline.poll(cx).map(Ok);
        }
        let mut client = connection.wire.borrow_mut();
        let before = record.bytes_sent;
        let mut received = 0;
        let to_client =
            poll_pass(&mut upstream, &mut client.stream, &mut to_client_is_shut, &mut record.bytes_sent, cx)?;
        let to_upstream = poll_pass(&mut client, &mut upstream.stream, &mut to_upstream_is_shut, &mut received, cx)?;
        if to_client.is_ready() && to_upstream.is_ready() {
            return Poll::Ready(io::Result::Ok(()));
        }
        if received > 0 || record.bytes_sent > before {
            connection.deadline.set_after(limit);
        }
        connection.deadline.poll(cx).map(Ok)
    })
    .await
    // However it ends, both connections are closed after it.
    .unwrap_or_default();
}

/// One direction. Nothing more is read before what was read is written, so that a slow side bounds the other.
fn poll_pass(
    from: &mut Wire,
    to: &mut Stream,
    is_shut: &mut bool,
    passed: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        while !from.read.is_empty() {
            let written = ready!(Pin::new(&mut *to).poll_write(cx, &from.read))?;
            from.read.advance(written);
            *passed += written as u64;
        }
        ready!(Pin::new(&mut *to).poll_flush(cx))?;
        if from.is_finished {
            if !*is_shut {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                *is_shut = true;
            }
            return Poll::Ready(Ok(()));
        }
        // A WebSocket that rests owns no buffer.
        from.read = BytesMut::new();
        ready!(from.poll_fill(cx))?;
    }
}
