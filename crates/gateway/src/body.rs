//! The one body type of the data plane.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use thiserror::Error;

use crate::http1;
use crate::http2;
use crate::record::Record;
use crate::upstream;

/// A body on its way through: streamed as it comes, or a few bytes of our own.
pub enum Body {
    /// Bytes of our own, or all that there is.
    Full(Option<Bytes>),
    /// What a client sends over HTTP/1.
    Client(http1::RequestBody),
    /// What a client sends over HTTP/2.
    Streamed(Box<http2::RequestBody>),
    /// Streamed, and cut off past a limit.
    Limited(Box<Limited>),
    /// An upstream's answer over HTTP/1, with the connection that it comes from.
    Upstream(Box<http1::ResponseBody>),
    /// An upstream's answer over HTTP/2, with the stream that it comes from.
    UpstreamStream(Box<upstream::http2::ResponseBody>),
    /// The connection to an upstream that has become a WebSocket.
    Tunnel(Box<http1::Tunnel>),
    /// An answer whose end is recorded.
    Recorded(Box<Recorded>),
}

/// Why a body broke off.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The client's framing is wrong.
    #[error("the request's body is not well formed: {0}")]
    Malformed(http1::FramingFault),
    /// The client went away.
    #[error("the client closed the connection in the middle of its request")]
    ClientGone,
    /// The client was silent for too long.
    #[error("the client stopped sending its request")]
    ClientSilent,
    /// The request's body is larger than this.
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(u64),
    /// The upstream broke off its answer, or was silent for too long.
    #[error("the upstream broke off its answer: {0}")]
    Upstream(Box<str>),
    /// A client's HTTP/2 broke off.
    #[error("{0}")]
    Stream(hyper::Error),
}

/// A request body that may not pass a number of bytes.
pub struct Limited {
    inner: Body,
    limit: u64,
    passed: u64,
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

    /// A request body of at most `limit` bytes.
    pub fn limited(self, limit: u64) -> Self {
        if self.size_hint().exact().is_some_and(|size| size <= limit) {
            return self;
        }
        Self::Limited(Box::new(Limited { inner: self, limit, passed: 0 }))
    }

    /// The same body, recorded at its end.
    pub fn recorded(self, record: Record) -> Self {
        Self::Recorded(Box::new(Recorded { inner: self, record }))
    }

    /// See [`HttpBody::poll_frame`].
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Client(body) => body.poll_frame(cx),
            Self::Streamed(body) => body.poll_frame(cx),
            Self::Limited(limited) => limited.poll_frame(cx),
            Self::Upstream(body) => body.poll_frame(cx),
            Self::UpstreamStream(body) => body.poll_frame(cx),
            // A tunnel is served by the connection that asked for it.
            Self::Tunnel(_) => Poll::Ready(None),
            Self::Recorded(recorded) => recorded.poll_frame(cx),
        }
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
        self.get_mut().poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Client(body) => body.is_end(),
            Self::Streamed(body) => body.is_end(),
            Self::Limited(limited) => limited.inner.is_end_stream(),
            Self::Upstream(body) => body.is_end(),
            Self::UpstreamStream(body) => body.is_end(),
            Self::Tunnel(_) => true,
            Self::Recorded(recorded) => recorded.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let of = |left: Option<u64>| left.map_or_else(SizeHint::default, SizeHint::with_exact);
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Client(body) => of(body.left()),
            Self::Streamed(body) => body.size_hint(),
            Self::Limited(limited) => limited.inner.size_hint(),
            Self::Upstream(body) => of(body.left()),
            Self::UpstreamStream(body) => of(body.left()),
            Self::Tunnel(_) => SizeHint::with_exact(0),
            Self::Recorded(recorded) => recorded.inner.size_hint(),
        }
    }
}

impl Limited {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.inner.poll(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.passed += frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.passed > self.limit {
                return Poll::Ready(Some(Err(BodyError::TooLarge(self.limit))));
            }
        }
        polled
    }
}

impl Recorded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.inner.poll(cx);
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
