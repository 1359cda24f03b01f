//! Who may do what: permissions, roles, accounts, tokens, and the one function that says yes.

pub mod account;
mod directory;
pub mod names;
pub mod permission;
pub mod role;
pub mod step_up;
pub mod table;
pub mod token;

pub use account::{Account, AccountKind};
pub use permission::{OTHER_NOUNS, Permission, Verb, covers, nouns};
pub use role::BUILT_IN_ROLES;
pub use table::{AccessTable, AccountState};
