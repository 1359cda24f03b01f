//! HTTP/1.1 on both sides, in the request's own task: no connection task, no channel, one write and one read where
//! they suffice.
//!
//! Reading is strict (RFC 9112): whatever two parties could read in two ways is refused. Writing is always anew, from
//! parsed parts; no byte of framing is copied from one side to the other.

pub mod decode;
pub mod encode;
pub mod head;
pub mod server;
pub mod upstream;

mod answer;
mod linger;
mod outgoing;
mod plain;
mod request_body;
mod response_body;
mod tunnel;
mod wire;

pub use decode::FramingFault;
pub use request_body::RequestBody;
pub use response_body::ResponseBody;
pub use tunnel::Tunnel;
pub use wire::{Stream, Wire};
