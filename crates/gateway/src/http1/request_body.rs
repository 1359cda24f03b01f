//! The body of a client's request, read from its connection when somebody asks for it.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use super::server::Connection;
use super::wire::{Piece, ReadFault};
use crate::body::BodyError;
use crate::deadline::Patience;

/// The body of a client's request.
pub struct RequestBody {
    connection: Rc<Connection>,
    patience: Patience,
}

impl RequestBody {
    /// The body that comes next on this connection.
    pub fn new(connection: Rc<Connection>) -> Self {
        let patience = Patience::new(connection.limits().body_timeout);
        Self { connection, patience }
    }

    /// Whether it has been read to its end.
    pub fn is_end(&self) -> bool {
        self.connection.decoder.borrow().is_end()
    }

    /// How many bytes are still to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        self.connection.decoder.borrow().left()
    }

    /// The next piece. The client is told to go on, if it waits for that (RFC 9110 section 10.1.1).
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let connection = &self.connection;
        let mut decoder = connection.decoder.borrow_mut();
        if decoder.is_end() {
            return Poll::Ready(None);
        }
        if ready!(connection.poll_continue(cx)).is_err() {
            return Poll::Ready(Some(Err(BodyError::ClientGone)));
        }
        let piece = connection.wire.borrow_mut().poll_piece(&mut decoder, cx);
        let Poll::Ready(piece) = piece else {
            ready!(self.patience.poll(cx));
            connection.spoil();
            return Poll::Ready(Some(Err(BodyError::ClientSilent)));
        };
        self.patience.renew();
        Poll::Ready(match piece {
            Ok(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Piece::End(Some(trailers))) => Some(Ok(Frame::trailers(*trailers))),
            Ok(Piece::End(None)) => None,
            Err(fault) => {
                connection.spoil();
                Some(Err(match fault {
                    ReadFault::Framing(fault) => BodyError::Malformed(fault),
                    ReadFault::Io(_) | ReadFault::Short => BodyError::ClientGone,
                }))
            }
        })
    }
}
