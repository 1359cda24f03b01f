//! The one body type of the data plane.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::record::Record;
use crate::upstream::pool::LeasedBody;

/// A body on its way through: streamed as it comes, or a few bytes of our own.
pub enum Body {
    /// Bytes of our own.
    Full(Option<Bytes>),
    /// Streamed from the other side.
    Streamed(Incoming),
    /// Streamed, and cut off past a limit.
    Limited(Limited),
    /// An upstream's answer, with the connection that it comes from.
    Leased(Box<LeasedBody>),
    /// An answer whose end is recorded.
    Recorded(Box<Recorded>),
}

/// The error of a body.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request body that may not pass a number of bytes.
pub struct Limited {
    inner: Incoming,
    left: u64,
    exceeded: Rc<Cell<bool>>,
}

/// An answer's body that writes the access line when it ends, however it ends.
pub struct Recorded {
    inner: Body,
    record: Record,
}

impl Body {
    /// A body of no bytes.
    pub const fn empty() -> Self {
        Self::Full(None)
    }

    /// A request body of at most `limit` bytes; `exceeded` is set when it was cut off.
    pub fn limited(inner: Incoming, limit: u64, exceeded: Rc<Cell<bool>>) -> Self {
        Self::Limited(Limited { inner, left: limit, exceeded })
    }

    /// The same body, recorded at its end.
    pub fn recorded(self, record: Record) -> Self {
        Self::Recorded(Box::new(Recorded { inner: self, record }))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Full(Some(bytes.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(inner) => Pin::new(inner).poll_frame(cx).map_err(Into::into),
            Self::Limited(limited) => limited.poll_frame(cx),
            Self::Leased(leased) => leased.poll_frame(cx),
            Self::Recorded(recorded) => recorded.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Streamed(inner) => inner.is_end_stream(),
            Self::Limited(limited) => limited.inner.is_end_stream(),
            Self::Leased(leased) => leased.is_end_stream(),
            Self::Recorded(recorded) => recorded.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Streamed(inner) => inner.size_hint(),
            Self::Limited(limited) => limited.inner.size_hint(),
            Self::Leased(leased) => leased.size_hint(),
            Self::Recorded(recorded) => recorded.inner.size_hint(),
        }
    }
}

impl Limited {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => return other.map_err(Into::into),
        };
        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
        if size > self.left {
            self.exceeded.set(true);
            return Poll::Ready(Some(Err("the request's body is larger than its limit".into())));
        }
        self.left -= size;
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Recorded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.record.bytes_sent += data.len() as u64;
                }
            }
            Poll::Ready(Some(Err(error))) => self.record.broken(&error.to_string()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}
