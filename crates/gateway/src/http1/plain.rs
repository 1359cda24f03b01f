//! Reading from and writing to a TCP socket by the system call itself. The C library makes both points where a thread can
//! be cancelled, which costs two locked instructions each time and is of no use here.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll, ready};

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;

/// Reads once.
pub fn poll_read(stream: &TcpStream, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let space = buffer.initialize_unfilled();
        let most = space.len();
        match once(stream, Interest::READABLE, most, || {
            retry_on_intr(|| recv(stream, &mut *space, RecvFlags::empty())).map(|(read, _)| read)
        })? {
            Some(read) => {
                buffer.advance(read);
                return Poll::Ready(Ok(()));
            }
            None => continue,
        }
    }
}

/// Writes once.
pub fn poll_write(stream: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let written = once(stream, Interest::WRITABLE, bytes.len(), || {
            retry_on_intr(|| send(stream, bytes, SendFlags::NOSIGNAL))
        })?;
        if let Some(written) = written {
            return Poll::Ready(Ok(written));
        }
    }
}

/// One call. Less than was asked for means that there is no more for now, which saves the call that would say so.
fn once(
    stream: &TcpStream,
    interest: Interest,
    most: usize,
    call: impl FnOnce() -> rustix::io::Result<usize>,
) -> io::Result<Option<usize>> {
    let mut moved = None;
    let called = stream.try_io(interest, || {
        let size = call()?;
        moved = Some(size);
        if size > 0 && size < most { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match called {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ => Ok(moved),
    }
}
