//! The data plane of Portunus: everything that a request passes through. No SQL and no admin API.
//!
//! Follow a request: [`listen`] accepts, [`serve`] reads HTTP, [`pipeline`] is the walk; on it [`sanitize`],
//! [`router`], [`policy`], [`authenticate`], [`upstream`] and [`record`] take their turns. What they read is a
//! [`snapshot`], compiled from what is configured in [`config`].

pub mod accounts;
pub mod api_key;
pub mod authenticate;
pub mod body;
pub mod client;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod error;
pub mod exchange;
pub mod forward;
pub mod http1;
pub mod http2;
pub mod kind;
pub mod limit;
pub mod listen;
pub mod own;
pub mod pipeline;
pub mod policy;
pub mod problem;
pub mod record;
pub mod request_id;
pub mod router;
pub mod sanitize;
pub mod schema;
pub mod secret;
pub mod serve;
pub mod sharded;
pub mod snapshot;
pub mod telemetry;
pub mod upstream;
pub mod worker;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
