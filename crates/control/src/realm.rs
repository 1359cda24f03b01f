//! The realm, all that says who may come in, as one document: to keep, and to take to another machine.
//!
//! [`export`] writes it, [`import`] reads it. What is secret lies in it as one sealed text ([`sealed`]).

pub mod document;
pub mod export;
pub mod import;
pub mod sealed;
pub mod tables;

/// The kinds in a document, those that are referred to first.
pub const KINDS: [&str; 7] =
    ["Tenant", "Role", "User", "ServiceAccount", "ApiToken", "IdentityProvider", "LoginPolicy"];

/// The version of the documents that are written, and the last one that is read.
pub const VERSION: u64 = 1;
