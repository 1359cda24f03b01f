//! Ends a request whose body nobody wanted.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::server::Connection;
use super::wire::{Piece, Wire};
use crate::deadline::Deadline;

/// The largest rest of a body that is read and dropped so that the connection can go on.
pub const MOST_SKIPPED: u64 = 64 * 1024;

/// How long that may take.
const SKIP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client that is still sending gets to read its answer.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long such a client may be silent.
const LINGER_SILENCE: Duration = Duration::from_secs(1);

/// Reads the rest of a body and drops it; false if that did not work.
pub async fn skip_body(connection: &Connection) -> bool {
    connection.deadline.set_after(SKIP_TIMEOUT);
    poll_fn(|cx| {
        loop {
            let mut decoder = connection.decoder.borrow_mut();
            if decoder.is_end() {
                return Poll::Ready(true);
            }
            match connection.wire.borrow_mut().poll_piece(&mut decoder, cx) {
                Poll::Ready(Ok(Piece::Data(_))) => {}
                Poll::Ready(Ok(Piece::End(_))) => return Poll::Ready(true),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {
                    ready!(connection.deadline.poll(cx));
                    return Poll::Ready(false);
                }
            }
        }
    })
    .await
}

/// Says that no more will come, and reads on for a while: closing while the client still sends would reset the
/// connection, and the client would lose the answer (RFC 9112 section 9.6).
pub async fn linger(wire: &RefCell<Wire>) {
    let end = Deadline::after(LINGER_TIMEOUT);
    let silence = Deadline::after(LINGER_SILENCE);
    let mut is_shut = false;
    poll_fn(|cx| {
        let mut wire = wire.borrow_mut();
        if !is_shut {
            if ready!(Pin::new(&mut wire.stream).poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            is_shut = true;
        }
        while !wire.is_finished {
            wire.read.clear();
            match wire.poll_fill(cx) {
                Poll::Ready(Ok(_)) => silence.set_after(LINGER_SILENCE),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    return if end.poll(cx).is_ready() { Poll::Ready(()) } else { silence.poll(cx) };
                }
            }
            if end.poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    })
    .await;
}
