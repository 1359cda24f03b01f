//! One event: who did what to which thing, and how it ended.

use std::net::IpAddr;

use portunus_gateway::kind::Id;
use serde_json::Value;

/// Who did it, and how they were known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// What they are.
    pub kind: ActorKind,
    /// The account, if there is one.
    pub id: Option<Id>,
    /// The account's name, the process's part, or empty for somebody unknown.
    pub name: String,
    /// What proved it, such as `session:<id>` or `api-token:<id>`; empty when nothing did.
    pub via: String,
    /// Where the call came from.
    pub address: Option<IpAddr>,
    /// The id of the call.
    pub request_id: String,
}

/// What an actor is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ActorKind {
    /// A person with an account.
    User,
    /// A machine with an account.
    ServiceAccount,
    /// A part of Portunus itself.
    System,
    /// A caller of an API, known by a key.
    Consumer,
    /// Nobody that is known.
    #[default]
    Anonymous,
}

impl ActorKind {
    /// Its word in the record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ServiceAccount => "service-account",
            Self::System => "system",
            Self::Consumer => "consumer",
            Self::Anonymous => "anonymous",
        }
    }

    /// Whether the name of such an actor is that of a person.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::User | Self::Consumer)
    }
}

impl Actor {
    /// A part of the process, such as `bootstrap`.
    pub fn system(part: &str) -> Self {
        Self { kind: ActorKind::System, name: part.to_owned(), ..Self::default() }
    }

    /// How the history of a resource names it: `user:admin`.
    pub fn label(&self) -> String {
        match self.kind {
            ActorKind::System => self.name.clone(),
            kind => format!("{}:{}", kind.word(), self.name),
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    #[default]
    Success,
    /// It was refused.
    Denied,
    /// It was tried and did not work.
    Failed,
}

impl Outcome {
    /// Its word in the record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// An event that is not yet in the chain.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The tenant that it is about; the platform's when there is none.
    pub tenant_id: Option<Id>,
    /// Who did it.
    pub actor: Actor,
    /// What was done: `noun.word`, such as `policy.updated` or `login.failed`.
    pub action: String,
    /// The kind of resource that it was done to, if to one.
    pub kind: String,
    /// The id of that resource.
    pub resource_id: String,
    /// The name that it had.
    pub resource_name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The code of a refusal or fault.
    pub reason: String,
    /// How often it happened: more than once when events are rolled up.
    pub count: u64,
    /// What else is worth knowing: an object without secrets and without names of people.
    pub details: Value,
}

impl NewEvent {
    /// A success without a resource; set what else is known with struct update or the methods below.
    pub fn new(actor: Actor, action: impl Into<String>) -> Self {
        Self {
            tenant_id: None,
            actor,
            action: action.into(),
            kind: String::new(),
            resource_id: String::new(),
            resource_name: String::new(),
            outcome: Outcome::Success,
            reason: String::new(),
            count: 1,
            details: Value::Object(serde_json::Map::new()),
        }
    }

    /// Of this tenant.
    #[must_use]
    pub fn of(mut self, tenant_id: Id) -> Self {
        self.tenant_id = Some(tenant_id);
        self
    }

    /// About this resource.
    #[must_use]
    pub fn about(mut self, kind: &str, id: Id, name: &str) -> Self {
        self.kind = kind.to_owned();
        self.resource_id = id.to_string();
        self.resource_name = name.to_owned();
        self
    }

    /// Refused, for this reason.
    #[must_use]
    pub fn denied(mut self, reason: &str) -> Self {
        self.outcome = Outcome::Denied;
        self.reason = reason.to_owned();
        self
    }

    /// Tried without success, for this reason.
    #[must_use]
    pub fn failed(mut self, reason: &str) -> Self {
        self.outcome = Outcome::Failed;
        self.reason = reason.to_owned();
        self
    }

    /// With details.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}
