//! The record of what happened and must not be denied: a chain of events that cannot be altered unseen.
//!
//! An event is appended by the store's writer, in the transaction of what it tells ([`crate::store`]). Each row carries
//! a hash over all its fields and the row before it, and a seal that nobody can make without the store's audit key.

pub mod chain;
pub mod checkpoint;
pub mod checkpoints;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod keeper;
pub mod moment;
pub mod person;
pub mod readable;
pub mod rollup;
pub mod segment;
pub mod sign;
pub mod verifier;
pub mod verify;
