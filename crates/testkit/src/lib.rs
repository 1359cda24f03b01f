//! What the black-box tests of Portunus share: the real binary under test, upstreams to put behind it, and the ways to talk to both.
//!
//! Everything here is blocking on purpose: a test reads as the list of what a user does and sees.
//! Nothing here knows the product's code; it sees what a user sees.

#![allow(clippy::disallowed_methods, reason = "tests measure the product with the machine's own clock")]

pub mod authenticator;
pub mod browser;
pub mod call;
pub mod client;
pub mod command;
pub mod crowd;
pub mod descriptors;
pub mod gateway;
pub mod h2c;
pub mod http2;
pub mod lines;
pub mod load;
pub mod message;
pub mod origin;
pub mod poll;
pub mod prober;
pub mod raw;
pub mod runtime;
pub mod session;
pub mod tls;
pub mod upstream;
pub mod websocket;
pub mod wrk;

pub use call::{Answer, Call};
pub use client::Api;
pub use command::Output;
pub use gateway::{Builder, Portunus};
pub use message::{Framing, Message};
pub use poll::eventually;
pub use session::Session;
pub use upstream::Upstream;
