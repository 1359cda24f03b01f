//! What is known about traffic: metrics, the log, the access line.

pub mod access_log;
pub mod log;
pub mod metrics;
mod targets;
