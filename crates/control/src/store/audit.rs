//! What is read from and written beside the chain of events: proofs, lists, and what retention and erasure do.

pub mod keep;
pub mod proof;
pub mod query;
