//! An API token as it stands now.

use std::sync::Arc;

use portunus_gateway::kind::Id;

/// An API token that is accepted until its time is over. What it may do is its owner's affair: see
/// [`Principal`](crate::principal::Principal).
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// The account that it acts for.
    pub owner: Id,
    /// The only permissions that it carries; `None` for all of its owner's.
    pub scopes: Option<Arc<[String]>>,
    /// When the token itself ends, in microseconds since 1970.
    pub expires_at: Option<i64>,
    /// When this text of it ends, which can be sooner: it was replaced by another one.
    pub accepted_until: Option<i64>,
}

impl Token {
    /// Whether it is still accepted at this time.
    pub fn is_alive(&self, now: i64) -> bool {
        self.accepted_until.is_none_or(|end| now < end)
    }
}
