//! The body of an upstream's answer, with the connection that it comes from.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;

use super::decode::{Decoder, FramingFault, Step};
use super::head::response::ResponseHead;
use super::upstream::Pump;
use super::wire::{Piece, ReadFault, Wire};
use crate::body::{Body, BodyError};
use crate::deadline::Patience;
use crate::upstream::pool::Lease;

/// The body of an upstream's answer. When it has been read to its end the connection goes back to its pool; dropped before,
/// the connection is closed, which also tells the upstream that nobody waits any more.
pub struct ResponseBody {
    wire: Option<Box<Wire>>,
    decoder: Decoder,
    /// The rest of the request, where the upstream answers before it has all of it.
    pump: Option<Pump>,
    lease: Lease,
    persists: bool,
    /// A piece that came with the one before.
    ahead: Option<Result<Piece, FramingFault>>,
    read_timeout: Duration,
    patience: Patience,
}

impl ResponseBody {
    /// The body after a head. What came whole is no longer tied to the connection.
    pub fn body(
        head: &ResponseHead,
        mut wire: Box<Wire>,
        pump: Pump,
        lease: Lease,
        read_timeout: Duration,
        now: Instant,
    ) -> Body {
        let decoder = Decoder::new(head.framing);
        let is_sent = pump.is_done(&wire);
        let length = decoder.left().and_then(|left| usize::try_from(left).ok());
        if let Some(length) = length.filter(|length| is_sent && *length <= wire.read.len()) {
            let data = wire.read.split_to(length).freeze();
            if head.persists {
                lease.give_back(wire, now);
            }
            return Body::Full((length > 0).then_some(data));
        }
        Body::Upstream(Box::new(Self {
            wire: Some(wire),
            decoder,
            pump: (!is_sent).then_some(pump),
            lease,
            persists: head.persists,
            ahead: None,
            read_timeout,
            patience: Patience::new(read_timeout),
        }))
    }

    /// Whether it has been read to its end.
    pub fn is_end(&self) -> bool {
        self.decoder.is_end() && self.ahead.is_none()
    }

    /// How many bytes are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        self.decoder.left().filter(|_| self.ahead.is_none())
    }

    /// The next piece.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(self.hand_out(ahead.map_err(ReadFault::Framing)));
        }
        let Some(wire) = &mut self.wire else { return Poll::Ready(None) };
        if let Some(pump) = &mut self.pump {
            match pump.poll(wire, cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.pump = None,
                // It has answered without the rest, and may go on to do so.
                Poll::Ready(Err(_)) => {
                    self.pump = None;
                    self.persists = false;
                }
            }
        }
        let Poll::Ready(piece) = wire.poll_piece(&mut self.decoder, cx) else {
            ready!(self.patience.poll(cx));
            self.wire = None;
            let why = format!("it was silent for {} ms", self.read_timeout.as_millis());
            return Poll::Ready(Some(Err(BodyError::Upstream(why.into()))));
        };
        self.patience.renew();
        Poll::Ready(self.hand_out(piece))
    }

    fn hand_out(&mut self, piece: Result<Piece, ReadFault>) -> Option<Result<Frame<Bytes>, BodyError>> {
        match piece {
            Err(fault) => {
                self.wire = None;
                let why = match fault {
                    ReadFault::Short => "it closed the connection".to_owned(),
                    ReadFault::Framing(fault) => fault.to_string(),
                    ReadFault::Io(error) => error.to_string(),
                };
                Some(Err(BodyError::Upstream(why.into())))
            }
            Ok(Piece::Data(data)) => {
                self.look_ahead();
                if self.is_end() {
                    self.give_back();
                }
                Some(Ok(Frame::data(data)))
            }
            Ok(Piece::End(trailers)) => {
                self.give_back();
                trailers.map(|trailers| Ok(Frame::trailers(*trailers)))
            }
        }
    }

    /// The end of a chunked body usually comes with its last piece; known in time, it goes out with it too.
    fn look_ahead(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        if self.decoder.left().is_some() || wire.read.is_empty() {
            return;
        }
        self.ahead = match self.decoder.step(&wire.read) {
            Ok(Step::Data { skip, data }) => {
                let _ = wire.read.split_to(skip);
                Some(Ok(Piece::Data(wire.read.split_to(data).freeze())))
            }
            Ok(Step::End { skip, trailers }) => {
                let _ = wire.read.split_to(skip);
                trailers.map(|trailers| Ok(Piece::End(Some(trailers))))
            }
            Ok(Step::More { skip }) => {
                let _ = wire.read.split_to(skip);
                None
            }
            Err(fault) => Some(Err(fault)),
        };
    }

    fn give_back(&mut self) {
        if let Some(wire) = self.wire.take().filter(|_| self.persists && self.pump.is_none()) {
            self.lease.give_back(wire, Instant::now());
        }
    }
}
