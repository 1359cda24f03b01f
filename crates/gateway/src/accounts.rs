//! Accounts of the control plane, as far as proxied routes need them: who sends a credential, and whether a call is
//! approved. The data plane keeps neither accounts nor approvals; the process that it is part of brings the answers.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::kind::Id;

/// An account, as it is when it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: Id,
    /// What it is, and its name: `user:ada`.
    pub label: String,
    /// Its name.
    pub name: String,
    /// Whether it is a person's.
    pub is_person: bool,
    /// What proved it, for the record.
    pub via: String,
    /// The names of the roles that it holds in the tenant of the API; none when it does not act there.
    pub roles: Vec<String>,
}

/// Where a call comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The id of the call.
    pub request_id: String,
}

/// Asks whose credential this is.
#[derive(Debug)]
pub struct WhoIs {
    /// The text that was sent: an access token, an API token, an admin key.
    pub credential: String,
    /// The tenant of the API that is called.
    pub tenant_id: Id,
    /// The roles of which the account must hold one in that tenant; none means that it must only act there.
    pub roles: Arc<[String]>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// Why nobody is let through with a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// The credential is not valid; the text says why.
    Invalid(String),
    /// The account has none of the roles, or does not act in this tenant.
    Role(Arc<Account>),
    /// Nobody can tell at the moment.
    Unavailable,
}

/// What the approval of a call must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How many must approve.
    pub approvals: u32,
    /// An approver holds one of these roles; none means that `approval:write` is enough.
    pub approver_roles: Vec<String>,
    /// How many minutes a request waits.
    pub expires_minutes: u32,
    /// How many minutes the call may be made afterwards.
    pub valid_minutes: u32,
}

/// Who makes a call that needs approval.
#[derive(Debug, Clone)]
pub enum Requester {
    /// An account of the control plane.
    Account(Arc<Account>),
    /// A consumer, by id and name.
    Consumer(Id, Arc<str>),
}

/// Asks whether a call is approved. If it is, that approval is spent; if not, a request for it is made.
#[derive(Debug)]
pub struct MayPass {
    /// Who calls.
    pub requester: Requester,
    /// The API's id.
    pub api_id: Id,
    /// The API's name.
    pub api: String,
    /// The API's tenant.
    pub tenant_id: Id,
    /// The method.
    pub method: String,
    /// The normalised path.
    pub path: String,
    /// The query.
    pub query: String,
    /// SHA-256 of the body, in hexadecimal.
    pub body_sha256: String,
    /// Why the caller wants it.
    pub reason: String,
    /// What the approval must have.
    pub terms: Arc<Terms>,
    /// Where the call comes from.
    pub origin: Origin,
}

/// Whether a call is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It may be made, this once.
    Approved,
    /// It waits for approval.
    Asked {
        /// The id of the request.
        id: Id,
        /// Until when it waits.
        expires_at: Timestamp,
        /// How many must approve.
        needed: usize,
    },
    /// Too many requests of this caller wait already.
    TooMany,
    /// Nobody can tell at the moment.
    Unavailable,
}

/// The answers. The control plane has them; the data plane cannot depend on it.
pub trait Accounts: Send + Sync {
    /// Whose credential it is, if they may call.
    fn who_is(&self, question: WhoIs) -> BoxFuture<'static, Result<Arc<Account>, Stranger>>;

    /// Whether a call is approved.
    fn may_pass(&self, question: MayPass) -> BoxFuture<'static, Passage>;
}

/// Who calls, as the upstream is told in `X-Portunus-Account` and `X-Portunus-Roles`. A client's own fields of these
/// names never reach an upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The account.
    pub account: String,
    /// Its roles, separated by commas.
    pub roles: String,
}

impl Introduction {
    /// The introduction of an account. Names are text; what a header field cannot carry is percent-encoded.
    pub fn of(account: &Account) -> Self {
        let roles: Vec<Cow<'_, str>> = account.roles.iter().map(|role| plain(role)).collect();
        Self { account: plain(&account.label).into_owned(), roles: roles.join(",") }
    }
}

fn plain(text: &str) -> Cow<'_, str> {
    const CODED: &AsciiSet = &CONTROLS.add(b'%').add(b',');
    utf8_percent_encode(text, CODED).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_field_or_look_like_two() {
        let account = Account {
            id: Id::nil(),
            label: "user:Zoë\r\nX-Admin: 1".to_owned(),
            name: String::new(),
            is_person: true,
            via: String::new(),
            roles: vec!["a,b".to_owned(), "100%".to_owned(), "two words".to_owned()],
        };
        let told = Introduction::of(&account);
        assert_eq!(told.account, "user:Zo%C3%AB%0D%0AX-Admin: 1");
        assert_eq!(told.roles, "a%2Cb,100%25,two words");
    }
}
