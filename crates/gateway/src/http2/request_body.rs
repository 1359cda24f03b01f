//! The body of a client's request over HTTP/2.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::body::BodyError;
use crate::deadline::Patience;
use crate::forward;

/// The body of a client's request. It breaks off when the client is silent for too long.
pub struct RequestBody {
    inner: Incoming,
    patience: Patience,
}

impl RequestBody {
    /// A body each piece of which may take so long.
    pub fn new(inner: Incoming, timeout: Duration) -> Self {
        Self { inner, patience: Patience::new(timeout) }
    }

    /// Whether it has been read to its end.
    pub fn is_end(&self) -> bool {
        self.inner.is_end_stream()
    }

    /// See [`http_body::Body::size_hint`].
    pub fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    /// The next piece.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else {
            ready!(self.patience.poll(cx));
            return Poll::Ready(Some(Err(BodyError::ClientSilent)));
        };
        self.patience.renew();
        Poll::Ready(frame.map(|frame| {
            let mut frame = frame.map_err(BodyError::Stream)?;
            if let Some(trailers) = frame.trailers_mut() {
                forward::clean_trailers(trailers);
            }
            Ok(frame)
        }))
    }
}
