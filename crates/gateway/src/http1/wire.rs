//! A connection and what was read from it but not yet taken.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::decode::{Decoder, FramingFault, Step};
use super::head::{self, HeadFault};
use super::outgoing::Outgoing;
use super::plain;

/// How much is read at once where nothing is known of what comes.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    // Reading first into memory that all connections of the thread share lets an idle connection own no buffer at all,
    // and a busy one a buffer of just the size that it needs.
    static SHARED: RefCell<Box<[u8; SCRATCH]>> = RefCell::new(Box::new([0; SCRATCH]));
}

/// The bytes of a connection.
pub enum Stream {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS to an upstream.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => plain::poll_read(stream, cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => plain::poll_write(stream, cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A connection and what was read from it but not yet taken.
pub struct Wire {
    /// The connection.
    pub stream: Stream,
    /// What was read and not yet taken.
    pub read: BytesMut,
    /// What is to be written.
    pub out: Outgoing,
    /// How much of `read` was searched for the end of a head.
    searched: usize,
    /// Whether the other side sends no more.
    pub is_finished: bool,
}

/// What comes next in a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes of it.
    Data(Bytes),
    /// Its end, with the fields that came after it.
    End(Option<Box<http::HeaderMap>>),
}

/// Why a body cannot be read.
#[derive(Debug)]
pub enum ReadFault {
    /// The connection broke.
    Io(io::Error),
    /// The connection ended before the body.
    Short,
    /// The body is not well framed.
    Framing(FramingFault),
}

impl Wire {
    /// A connection of which nothing was read yet.
    pub fn new(stream: Stream) -> Self {
        Self { stream, read: BytesMut::new(), out: Outgoing::default(), searched: 0, is_finished: false }
    }

    /// Writes until nothing is left in `out`.
    pub fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out.poll_write(&mut self.stream, cx)
    }

    /// Reads once; 0 bytes is the end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = SHARED.with_borrow_mut(|shared| {
            let mut buffer = ReadBuf::new(&mut shared[..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            self.read.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        });
        if let Poll::Ready(Ok(0)) = read {
            self.is_finished = true;
        }
        read
    }

    /// Reads once, up to `appetite` bytes, for what is taken at once anyway.
    fn poll_fill_large(&mut self, appetite: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if appetite <= SCRATCH {
            return self.poll_fill(cx);
        }
        self.read.reserve(appetite);
        let read = ready!(pin!(self.stream.read_buf(&mut self.read)).poll(cx))?;
        self.is_finished = read == 0;
        Poll::Ready(Ok(read))
    }

    /// The next complete head, if it has come.
    pub fn head(&mut self) -> Result<Option<Bytes>, HeadFault> {
        match head::end(&self.read, self.searched)? {
            Some(end) => {
                self.searched = 0;
                Ok(Some(self.read.split_to(end).freeze()))
            }
            None => {
                self.searched = self.read.len();
                Ok(None)
            }
        }
    }

    /// The next piece of a body.
    pub fn poll_piece(&mut self, decoder: &mut Decoder, cx: &mut Context<'_>) -> Poll<Result<Piece, ReadFault>> {
        loop {
            match decoder.step(&self.read).map_err(ReadFault::Framing)? {
                Step::Data { skip, data } => {
                    let _ = self.read.split_to(skip);
                    let data = self.read.split_to(data).freeze();
                    return Poll::Ready(Ok(Piece::Data(data)));
                }
                Step::End { skip, trailers } => {
                    let _ = self.read.split_to(skip);
                    return Poll::Ready(Ok(Piece::End(trailers)));
                }
                Step::More { skip } => drop(self.read.split_to(skip)),
            }
            let read = match self.is_finished {
                true => 0,
                false => ready!(self.poll_fill_large(decoder.appetite(), cx)).map_err(ReadFault::Io)?,
            };
            if read == 0 {
                let is_end = decoder.ends_with_connection();
                return Poll::Ready(if is_end { Ok(Piece::End(None)) } else { Err(ReadFault::Short) });
            }
        }
    }

    /// Whether nothing has come since the last answer, not even an end: only then is an idle connection good for another
    /// request.
    pub fn is_quiet(&mut self) -> bool {
        self.read.is_empty()
            && !self.is_finished
            && self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Gives memory back that an idle connection has no use for.
    pub fn rest(&mut self) {
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
    }
}
