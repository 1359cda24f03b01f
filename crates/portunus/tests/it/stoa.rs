//! The contract lines of the STOA runbook, by their ids. Some are also in `access.rs` and `bad_input.rs`.

mod control;
mod log;
mod traffic;
