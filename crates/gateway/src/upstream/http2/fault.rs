//! Why a stream got no answer, and whether its request may be sent again.

use std::error::Error;
use std::io;

use h2::Reason;

use crate::http1::upstream::Failure;

/// Why a stream got no answer.
pub(super) enum Lost {
    /// The target has not looked at the request, and says so or never got it.
    Unseen {
        /// Why, in plain words.
        why: String,
        /// Whether that is true of all further requests on the connection.
        ends_connection: bool,
    },
    /// The connection ended before an answer came.
    Closed,
    /// The target may have looked at it.
    Failed {
        /// Why.
        failure: Failure,
        /// Whether the connection is of no more use.
        ends_connection: bool,
    },
}

impl Lost {
    /// Something that is a matter of this request alone.
    pub(super) fn failed(failure: Failure) -> Self {
        Self::Failed { failure, ends_connection: false }
    }

    /// What an error says.
    pub(super) fn of(error: &hyper::Error) -> Self {
        let why = words(error);
        match Cause::of(error) {
            // It names the last stream that it looked at; h2 tells this to those after that one only.
            Cause::Http2(cause) if cause.is_go_away() && cause.is_remote() => {
                Self::Unseen { why, ends_connection: true }
            }
            Cause::Http2(cause) if cause.is_remote() && cause.reason() == Some(Reason::REFUSED_STREAM) => {
                Self::Unseen { why, ends_connection: false }
            }
            Cause::Http2(cause) => Self::Failed { failure: Failure::Broken(why), ends_connection: !cause.is_reset() },
            Cause::Io => Self::Closed,
            // The connection ended while the request was in the queue for it.
            Cause::Other if error.is_canceled() || error.is_user() => Self::Unseen { why, ends_connection: true },
            Cause::Other => Self::Failed { failure: Failure::Broken(why), ends_connection: true },
        }
    }

    /// Whether the connection is of no more use.
    pub(super) fn ends_connection(&self) -> bool {
        match self {
            Self::Unseen { ends_connection, .. } | Self::Failed { ends_connection, .. } => *ends_connection,
            Self::Closed => true,
        }
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unseen { why, .. } => Self::Broken(why),
            Lost::Closed => Self::Closed,
            Lost::Failed { failure, .. } => failure,
        }
    }
}

/// What is behind an error.
enum Cause<'e> {
    /// The protocol.
    Http2(&'e h2::Error),
    /// The connection.
    Io,
    Other,
}

impl<'e> Cause<'e> {
    fn of(error: &'e hyper::Error) -> Self {
        let mut source = error.source();
        while let Some(error) = source {
            match error.downcast_ref::<h2::Error>() {
                Some(error) if error.is_io() => return Self::Io,
                Some(error) => return Self::Http2(error),
                None if error.is::<io::Error>() => return Self::Io,
                None => source = error.source(),
            }
        }
        Self::Other
    }
}

/// What went wrong, in plain words.
pub(super) fn words(error: &hyper::Error) -> String {
    match Cause::of(error) {
        Cause::Io => "it closed the connection".to_owned(),
        Cause::Http2(cause) => match cause.reason().filter(|_| cause.is_remote()) {
            Some(reason) if cause.is_go_away() => format!("it is closing the connection: {reason}"),
            Some(reason) => format!("it reset the stream: {reason}"),
            None => format!("its answer is not HTTP/2: {cause}"),
        },
        Cause::Other if error.is_timeout() => "the connection is dead".to_owned(),
        Cause::Other => error.to_string(),
    }
}
