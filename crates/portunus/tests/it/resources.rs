//! The native API: every kind, and what holds for all of them.

mod changes;
mod consistency;
mod deletion;
mod every_kind;
mod lists;
mod manifests;
