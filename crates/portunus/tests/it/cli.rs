//! The commands, as typed.

mod offline;
mod online;
