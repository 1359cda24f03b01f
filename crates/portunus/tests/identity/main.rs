//! Black-box tests of who may do what and of the record of it: logins, tokens, roles, approvals, audit.
//!
//! Each test starts a process of its own with its own data folder, as those in `it` do.

mod access_review;
mod approvals;
mod attacks;
mod audit;
mod authorize;
mod doorman;
mod folionaut;
mod isolation;
mod login;
mod login_mail;
mod login_throttle;
mod login_users;
mod mfa;
mod oidc;
mod oidc_provider;
mod realm;
mod roles;
mod secrets;
mod tokens;

use portunus_testkit::{Builder, Portunus};

/// The binary under test.
const BINARY: &str = env!("CARGO_BIN_EXE_portunus");

/// A process that is not started yet.
fn portunus() -> Builder {
    Portunus::builder(BINARY)
}
