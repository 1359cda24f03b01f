//! Bytes on their way out: framing of our own, then a piece of body, then framing again, in as few writes as the kernel
//! allows.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::wire::Stream;

/// A buffer larger than this is not kept for the next message.
const KEPT: usize = 4 * 1024;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// A head, or the framing before `data`.
    pub prefix: Vec<u8>,
    sent: usize,
    /// A piece of body.
    pub data: Bytes,
    /// The framing after `data`.
    pub suffix: &'static [u8],
}

impl Outgoing {
    /// Whether everything is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether another piece of body can be put behind what is to be written.
    pub fn has_room(&self) -> bool {
        self.data.is_empty() && self.suffix.is_empty()
    }

    /// How many bytes are still to be written.
    pub fn len(&self) -> usize {
        self.prefix.len() - self.sent + self.data.len() + self.suffix.len()
    }

    /// Writes until everything is out.
    pub fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let prefix = &self.prefix[self.sent..];
            let written = if self.data.is_empty() && self.suffix.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, prefix))?
            } else {
                let parts = [IoSlice::new(prefix), IoSlice::new(&self.data), IoSlice::new(self.suffix)];
                let from = usize::from(prefix.is_empty());
                let to = 3 - usize::from(self.suffix.is_empty());
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts[from..to]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        self.clear();
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, written: usize) {
        let of_prefix = written.min(self.prefix.len() - self.sent);
        self.sent += of_prefix;
        let of_data = (written - of_prefix).min(self.data.len());
        self.data.advance(of_data);
        self.suffix = &self.suffix[written - of_prefix - of_data..];
    }

    fn clear(&mut self) {
        self.sent = 0;
        self.data = Bytes::new();
        match self.prefix.capacity() > KEPT {
            true => self.prefix = Vec::new(),
            false => self.prefix.clear(),
        }
    }
}
