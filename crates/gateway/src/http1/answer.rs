//! Writes an answer to a client, the body as it comes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode, Version};
use http_body::Body as _;

use super::decode::Framing;
use super::encode::{self, Persistence};
use super::linger::MOST_SKIPPED;
use super::server::Connection;
use super::tunnel;
use crate::body::Body;
use crate::record::Record;

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Another request may follow.
    Persists,
    /// It is closed so that the client can still read the answer.
    Closes,
    /// There is nothing to be said on it any more.
    Broken,
}

/// Why an answer was not written to its end.
enum Broken {
    Client,
    Upstream(String),
}

impl Connection {
    /// Writes an answer.
    pub(super) async fn answer(
        &self,
        response: Response<Body>,
        record: &mut Record,
        is_head: bool,
        version: Version,
        may_persist: bool,
    ) -> End {
        let (head, body) = response.into_parts();
        let mut body = match body {
            Body::Tunnel(upstream) => {
                self.head(&head, version, None, Persistence::Switch);
                tunnel::run(self, *upstream, record).await;
                return End::Broken;
            }
            body => body,
        };
        let persists = may_persist && !self.is_spoiled.get() && !self.worker.is_draining() && self.can_skip_body();
        // From here on it is too late to be told.
        self.awaits_continue.set(false);
        let length = body.size_hint().exact();
        let has_body = !is_head && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let (framing, persists) = match length {
            Some(length) => (Framing::Length(length), persists),
            None if version == Version::HTTP_10 => (Framing::UntilClose, false),
            None => (Framing::Chunked, persists),
        };
        let persistence = match (persists, version) {
            (false, _) => Persistence::Close,
            (true, Version::HTTP_10) => Persistence::KeepAlive,
            (true, _) => Persistence::Usual,
        };
        // What an answer of our own to HEAD would have is known from the body that is not sent.
        let stated = has_body || is_head && length.is_some_and(|length| length > 0);
        self.head(&head, version, stated.then_some(framing), persistence);
        if !has_body {
            body = Body::empty();
        }
        match self.body(&mut body, framing, record).await {
            Ok(()) if persists => End::Persists,
            Ok(()) => End::Closes,
            Err(Broken::Client) => End::Broken,
            // Without the end of its body the client notices that the answer is not whole.
            Err(Broken::Upstream(why)) => {
                record.broken(&why);
                End::Broken
            }
        }
    }

    fn head(&self, head: &http::response::Parts, version: Version, body: Option<Framing>, persistence: Persistence) {
        let mut wire = self.wire.borrow_mut();
        encode::response(&mut wire.out.prefix, head.status, version, &head.headers, body, persistence);
    }

    /// What a client still sends of its request can be passed over if it is little and already on its way.
    fn can_skip_body(&self) -> bool {
        let decoder = self.decoder.borrow();
        decoder.is_end() || !self.awaits_continue.get() && decoder.left().is_some_and(|left| left <= MOST_SKIPPED)
    }

    async fn body(&self, body: &mut Body, framing: Framing, record: &mut Record) -> Result<(), Broken> {
        let mut has_ended = false;
        let mut stalled_at = None;
        poll_fn(|cx| {
            loop {
                let mut waits = false;
                if !has_ended && self.wire.borrow().out.has_room() {
                    match self.poll_piece(body, framing, record, cx) {
                        Poll::Ready(Ok(is_last)) => has_ended = is_last,
                        Poll::Ready(Err(broken)) => {
                            // The client should see at least how far it came.
                            let _ = self.poll_out(cx);
                            return Poll::Ready(Err(broken));
                        }
                        Poll::Pending => waits = true,
                    }
                }
                match self.poll_out(cx) {
                    Poll::Ready(Ok(())) => stalled_at = None,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Client)),
                    Poll::Pending => {
                        ready!(self.poll_stall(&mut stalled_at, cx));
                        return Poll::Ready(Err(Broken::Client));
                    }
                }
                if has_ended {
                    return Poll::Ready(Ok(()));
                }
                if waits {
                    return self.poll_gone(cx).map(|()| Err(Broken::Client));
                }
            }
        })
        .await
    }

    fn poll_out(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.wire.borrow_mut().poll_write(cx)
    }

    /// Ready when the client has taken nothing for too long.
    fn poll_stall(&self, stalled_at: &mut Option<usize>, cx: &mut Context<'_>) -> Poll<()> {
        let left = Some(self.wire.borrow().out.len());
        if *stalled_at != left {
            *stalled_at = left;
            self.deadline.set_after(self.limits().write_timeout);
        }
        self.deadline.poll(cx)
    }

    /// Puts the next piece of the body behind what is on its way out; true for the last one.
    fn poll_piece(
        &self,
        body: &mut Body,
        framing: Framing,
        record: &mut Record,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, Broken>> {
        let frame = match ready!(body.poll(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Err(Broken::Upstream(error.to_string()))),
            None => {
                encode::end(&mut self.wire.borrow_mut().out, framing, None);
                return Poll::Ready(Ok(true));
            }
        };
        let out = &mut self.wire.borrow_mut().out;
        Poll::Ready(Ok(match frame.into_data() {
            Ok(data) => {
                record.bytes_sent += data.len() as u64;
                let is_last = body.is_end_stream();
                encode::piece(out, framing, data, is_last);
                is_last
            }
            Err(frame) => {
                encode::end(out, framing, frame.trailers_ref());
                true
            }
        }))
    }
}
