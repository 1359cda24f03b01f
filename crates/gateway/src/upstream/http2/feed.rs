//! The body of a request on its way to hyper. The request's own task reads it, piece by piece as hyper takes them, so
//! that a client's connection is only ever polled by the task that serves it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use smallvec::SmallVec;
use thiserror::Error;

use crate::body::{Body, BodyError};

/// How much of a body is kept until the answer comes, to send it again if the target has not looked at it.
const MOST_KEPT: usize = 64 * 1024;

/// The request's side: reads the body. Dropping it before the end resets the stream.
pub(super) struct Feed {
    body: Body,
    length: Option<u64>,
    has_ended: bool,
    /// What was read so far; none when that is too much to send it again.
    kept: Option<SmallVec<[Bytes; 2]>>,
    kept_bytes: usize,
    /// How much of `kept` this attempt has fed.
    fed: usize,
    link: Rc<Link>,
}

/// hyper's side: takes the pieces.
pub(super) struct Outgoing(Rc<Link>);

/// The body broke off. Why, the request's own task knows.
#[derive(Debug, Error)]
#[error("the body broke off")]
pub(super) struct BrokeOff;

#[derive(Default)]
struct Link {
    piece: RefCell<Option<Frame<Bytes>>>,
    /// Whether nothing comes after `piece`.
    is_last: Cell<bool>,
    /// Whether nothing comes any more, although that was not the end.
    is_cut: Cell<bool>,
    /// Whether hyper takes no more.
    is_refused: Cell<bool>,
    taken: Cell<u64>,
    length: Option<u64>,
    reader: RefCell<Option<Waker>>,
    taker: RefCell<Option<Waker>>,
}

fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn note(waker: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut waker = waker.borrow_mut();
    if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}

impl Feed {
    /// Of a body of which nothing was read.
    pub(super) fn new(body: Body) -> Self {
        Self {
            length: body.size_hint().exact(),
            has_ended: body.is_end_stream(),
            body,
            kept: Some(SmallVec::new()),
            kept_bytes: 0,
            fed: 0,
            link: Rc::default(),
        }
    }

    /// Begins an attempt.
    pub(super) fn start(&mut self) -> Outgoing {
        self.link.cut();
        self.fed = 0;
        self.link = Rc::new(Link { length: self.length, ..Link::default() });
        self.link.is_last.set(self.has_ended && self.kept.as_ref().is_some_and(SmallVec::is_empty));
        Outgoing(self.link.clone())
    }

    /// Whether everything that was read can be sent again.
    pub(super) fn can_restart(&self) -> bool {
        self.kept.is_some()
    }

    /// There is an answer: it is not sent again.
    pub(super) fn forget(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| self.fed == kept.len()) {
            self.kept = None;
        }
    }

    /// How many pieces hyper has taken.
    pub(super) fn taken(&self) -> u64 {
        self.link.taken.get()
    }

    /// Reads on as hyper takes. Ready when it has taken everything, or wants no more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if self.link.is_refused.get() || self.link.is_through() {
                return Poll::Ready(Ok(()));
            }
            note(&self.link.reader, cx);
            if self.link.piece.borrow().is_some() {
                return Poll::Pending;
            }
            let piece = match self.again() {
                Some(data) => Some(Frame::data(data)),
                None if self.has_ended => None,
                None => match std::task::ready!(self.body.poll(cx)) {
                    Some(Ok(piece)) => {
                        self.keep(&piece);
                        self.has_ended = piece.is_trailers() || self.body.is_end_stream();
                        Some(piece)
                    }
                    Some(Err(error)) => {
                        self.link.cut();
                        return Poll::Ready(Err(error));
                    }
                    None => {
                        self.has_ended = true;
                        None
                    }
                },
            };
            self.link.is_last.set(self.has_ended && self.kept.as_ref().is_none_or(|kept| self.fed == kept.len()));
            *self.link.piece.borrow_mut() = piece;
            wake(&self.link.taker);
        }
    }

    /// The next piece that an attempt before this one has read.
    fn again(&mut self) -> Option<Bytes> {
        let data = self.kept.as_ref()?.get(self.fed)?.clone();
        self.fed += 1;
        Some(data)
    }

    fn keep(&mut self, piece: &Frame<Bytes>) {
        let data = piece.data_ref().filter(|data| self.kept_bytes + data.len() <= MOST_KEPT);
        match (&mut self.kept, data) {
            (Some(kept), Some(data)) => {
                self.kept_bytes += data.len();
                self.fed += 1;
                kept.push(data.clone());
            }
            _ => self.kept = None,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.link.cut();
    }
}

impl Link {
    fn is_through(&self) -> bool {
        self.is_last.get() && self.piece.borrow().is_none()
    }

    fn cut(&self) {
        if !self.is_through() {
            self.is_cut.set(true);
            self.piece.take();
            wake(&self.taker);
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let link = &self.0;
        if link.is_cut.get() {
            return Poll::Ready(Some(Err(BrokeOff)));
        }
        let piece = link.piece.take();
        if piece.is_some() {
            link.taken.set(link.taken.get() + 1);
            wake(&link.reader);
            return Poll::Ready(piece.map(Ok));
        }
        if link.is_last.get() {
            return Poll::Ready(None);
        }
        note(&link.taker, cx);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_through()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.is_refused.set(true);
        wake(&self.0.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    /// What hyper gets next: a piece, an end, a break, or nothing yet.
    fn take(outgoing: &mut Outgoing) -> String {
        match Pin::new(outgoing).poll_frame(&mut context()) {
            Poll::Ready(Some(Ok(piece))) => String::from_utf8_lossy(piece.data_ref().expect("data")).into_owned(),
            Poll::Ready(Some(Err(_))) => "cut".to_owned(),
            Poll::Ready(None) => "end".to_owned(),
            Poll::Pending => "wait".to_owned(),
        }
    }

    #[test]
    fn a_body_is_fed_as_it_is_taken_and_again_from_its_beginning() {
        let mut feed = Feed::new(Body::from(b"hello".to_vec()));
        for _ in 0..3 {
            let mut outgoing = feed.start();
            assert_eq!(outgoing.size_hint().exact(), Some(5));
            assert_eq!(take(&mut outgoing), "wait");
            assert!(feed.poll(&mut context()).is_pending());
            assert!(!outgoing.is_end_stream());
            assert_eq!((take(&mut outgoing).as_str(), outgoing.is_end_stream()), ("hello", true));
            assert!(matches!(feed.poll(&mut context()), Poll::Ready(Ok(()))));
            assert_eq!((take(&mut outgoing).as_str(), feed.taken()), ("end", 1));
            assert!(feed.can_restart());
        }
    }

    #[test]
    fn no_body_ends_at_once() {
        let mut feed = Feed::new(Body::empty());
        let outgoing = feed.start();
        assert!(outgoing.is_end_stream());
        assert!(feed.poll(&mut context()).is_ready());
    }

    #[test]
    fn a_large_body_is_not_kept() {
        let mut feed = Feed::new(Body::from(vec![b'x'; MOST_KEPT + 1]));
        let mut outgoing = feed.start();
        assert!(feed.can_restart(), "nothing is read yet");
        assert!(feed.poll(&mut context()).is_pending());
        assert!(!feed.can_restart());
        assert_eq!((take(&mut outgoing).len(), outgoing.is_end_stream()), (MOST_KEPT + 1, true));
    }

    #[test]
    fn what_is_dropped_before_the_end_is_cut_and_who_takes_no_more_is_fed_no_more() {
        let mut feed = Feed::new(Body::from(b"hello".to_vec()));
        let mut first = feed.start();
        assert!(feed.poll(&mut context()).is_pending());
        let mut second = feed.start();
        assert_eq!(take(&mut first), "cut");
        assert_eq!(take(&mut second), "wait");
        drop(second);
        assert!(matches!(feed.poll(&mut context()), Poll::Ready(Ok(()))));
        let mut third = feed.start();
        drop(feed);
        assert_eq!(take(&mut third), "cut");
    }
}
