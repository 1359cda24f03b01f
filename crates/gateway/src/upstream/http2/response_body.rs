//! The body of an answer over HTTP/2, with the stream that it comes from.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;

use super::fault;
use super::feed::Feed;
use super::peer::Turn;
use crate::body::{Body, BodyError};
use crate::deadline::Patience;
use crate::forward;
use crate::upstream::slots::InFlight;

/// The body of an upstream's answer over HTTP/2. Dropped before its end the stream is reset, which also tells the upstream
/// that nobody waits any more.
pub struct ResponseBody {
    stream: Option<Stream>,
    read_timeout: Duration,
    patience: Patience,
}

struct Stream {
    incoming: Incoming,
    /// The rest of the request, where the upstream answers before it has all of it.
    feed: Option<Feed>,
    turn: Turn,
    heard: u64,
    _in_flight: Option<InFlight>,
}

impl ResponseBody {
    /// The body after a head.
    pub(super) fn body(
        incoming: Incoming,
        turn: Turn,
        mut feed: Feed,
        in_flight: Option<InFlight>,
        read_timeout: Duration,
    ) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        feed.forget();
        let stream = Stream { incoming, feed: Some(feed), heard: turn.heard(), turn, _in_flight: in_flight };
        Body::UpstreamStream(Box::new(Self {
            stream: Some(stream),
            read_timeout,
            patience: Patience::new(read_timeout),
        }))
    }

    /// Whether it has been read to its end.
    pub fn is_end(&self) -> bool {
        self.stream.is_none()
    }

    /// How many bytes are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        self.stream.as_ref().map_or(Some(0), |stream| stream.incoming.size_hint().exact())
    }

    /// The next piece.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        // Whatever becomes of the rest of the request: it has answered without it, and may go on to do so.
        if stream.feed.as_mut().is_some_and(|feed| feed.poll(cx).is_ready()) {
            stream.feed = None;
        }
        let Poll::Ready(piece) = Pin::new(&mut stream.incoming).poll_frame(cx) else {
            ready!(self.patience.poll(cx));
            if stream.turn.heard() == stream.heard {
                stream.turn.retire();
            }
            let why = format!("it was silent for {} ms", self.read_timeout.as_millis());
            return Poll::Ready(Some(Err(self.broken(why))));
        };
        stream.heard = stream.turn.heard();
        self.patience.renew();
        let is_end = stream.incoming.is_end_stream();
        Poll::Ready(match piece {
            Some(Ok(mut piece)) => {
                if let Some(trailers) = piece.trailers_mut() {
                    forward::clean_trailers(trailers);
                }
                if is_end {
                    self.stream = None;
                }
                Some(Ok(piece))
            }
            Some(Err(error)) => Some(Err(self.broken(fault::words(&error)))),
            None if is_end => {
                self.stream = None;
                None
            }
            None => Some(Err(self.broken("it ended the stream in the middle of its answer".to_owned()))),
        })
    }

    fn broken(&mut self, why: String) -> BodyError {
        self.stream = None;
        BodyError::Upstream(why.into())
    }
}
