//! What is known about traffic: metrics, the log, the access line.

pub mod access_log;
pub mod counters;
pub mod line;
pub mod local;
pub mod log;
pub mod metrics;
pub mod per_worker;
pub mod refused;
mod targets;
