//! The one store: resources with their history, events, and the one door for changes.
//!
//! [`Store::commit`] is the only way to change a resource. One task owns the write connection and the compiler; it
//! takes what is waiting, checks and writes it in one transaction (group commit), and publishes before it answers.

pub mod audit;
mod events;
pub mod keys;
pub mod open;
pub mod read;
pub mod rotation;
pub mod row;
mod stage;
pub mod state;
mod write;
mod writer;

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use portunus_gateway::kind::{Id, KindInfo, OneTimeSecret};
use portunus_gateway::problem::Problem;
use portunus_gateway::snapshot::Snapshot;
use serde_json::{Map, Value};
use sqlx::SqlitePool;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::access::AccessTable;
use crate::approval::Call;
use crate::approval::rules::Needed;
use crate::audit::event::{Actor, NewEvent};
use crate::principal::Principal;
use keys::StoreKeys;
use row::Row;
use state::{StateWrite, Work};

/// A change of any number of resources: all of it happens, or none.
pub struct Change {
    /// Who asks for it.
    pub actor: Actor,
    /// Who asks, so that they hand out no more rights than they have; `None` for the process itself.
    pub principal: Option<Arc<Principal>>,
    /// The call that asks for it, with what an approval has cleared; `None` when nothing can need approval.
    pub call: Option<Arc<Call>>,
    /// What is to be done, in this order.
    pub ops: Vec<Op>,
    /// Whether only to say what would happen.
    pub dry_run: bool,
}

/// One step of a change.
pub struct Op {
    /// The kind of resource.
    pub kind: &'static KindInfo,
    /// Put before the path of each fault, to say which of many documents it is in.
    pub path: String,
    /// What is to be done.
    pub action: Action,
}

impl Op {
    /// The path of a field that every resource has: in a manifest such fields are under `metadata`, beside `spec`.
    fn meta_path(&self, field: &str) -> String {
        match self.path.strip_suffix("/spec") {
            Some(manifest) => format!("{manifest}/metadata/{field}"),
            None => format!("{}/{field}", self.path),
        }
    }
}

/// What is done to one resource.
pub enum Action {
    /// Makes a new one. Without a name it gets one, if its kind has default names.
    Create {
        /// The owner.
        tenant_id: Id,
        /// Its name.
        name: Option<String>,
        /// Its fields; references by id or name.
        spec: Value,
    },
    /// Changes an existing one.
    Update {
        /// Which one.
        id: Id,
        /// The revision it must have.
        if_match: Option<u64>,
        /// A new name.
        name: Option<String>,
        /// New fields.
        edit: Edit,
    },
    /// Makes it or changes it, whichever is needed.
    Apply {
        /// The owner: a tenant's id or name.
        tenant: String,
        /// Its name.
        name: String,
        /// Its fields; references by id or name.
        spec: Value,
    },
    /// Takes it over from another store. Only the process itself can.
    Import(Box<Import>),
    /// Removes it.
    Delete {
        /// Which one.
        id: Id,
        /// The revision it must have.
        if_match: Option<u64>,
        /// Whether to remove what refers to it as well.
        cascade: bool,
    },
}

/// A resource of another store.
pub struct Import {
    /// Its id.
    pub id: Id,
    /// The owner.
    pub tenant_id: Id,
    /// Its name.
    pub name: String,
    /// Its fields; references are ids, secrets are sealed.
    pub spec: Value,
    /// Its hidden fields, such as hashes.
    pub hidden: Map<String, Value>,
}

/// How fields are changed.
pub enum Edit {
    /// These are all the fields.
    Replace(Value),
    /// JSON merge patch (RFC 7396).
    Merge(Value),
    /// Back to what they were at a revision.
    Rollback(u64),
}

/// What a change did.
#[derive(Debug)]
pub struct Committed {
    /// The store's revision after it.
    pub revision: u64,
    /// What happened to each resource, those that went along included.
    pub outcomes: Vec<Outcome>,
}

/// What happened to one resource.
#[derive(Debug)]
pub struct Outcome {
    /// What was done.
    pub done: Done,
    /// The resource after it; for a deletion, before it.
    pub row: Row,
    /// The resource before it.
    pub before: Option<Row>,
    /// A secret to show once.
    pub secret: Option<OneTimeSecret>,
}

/// What was done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is new.
    Created,
    /// It has new content.
    Updated,
    /// It was so already.
    Unchanged,
    /// It is gone.
    Deleted,
}

impl Done {
    /// The word in answers, in history and in events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }
}

/// Why a change did not happen.
#[derive(Debug, Clone, Error)]
pub enum CommitError {
    /// There is no such resource.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Something in it is wrong.
    #[error("the change has faults")]
    Invalid(Vec<Problem>),
    /// It contradicts what is there.
    #[error("the change contradicts what is there")]
    Conflict(Vec<Problem>),
    /// The resource has changed since it was read.
    #[error("the resource is at revision {0} by now")]
    Stale(u64),
    /// It would hand out rights that the asker does not have.
    #[error("{0}")]
    Forbidden(String),
    /// Others must approve it first.
    #[error("the change needs approval")]
    NeedsApproval(Needed),
    /// The store cannot be reached or written.
    #[error("the store failed: {0}")]
    Store(String),
}

/// Handles to the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    readers: SqlitePool,
    jobs: mpsc::Sender<Job>,
    /// The published configuration.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Who may do what, as of the last commit.
    pub access: Arc<ArcSwap<AccessTable>>,
    /// The store's own keys.
    pub keys: StoreKeys,
}

/// What the writer is asked to do.
enum Job {
    Change { change: Change, answer: oneshot::Sender<Result<Committed, CommitError>> },
    State { work: Work, answer: oneshot::Sender<Result<state::Done, StoreError>> },
}

/// The store cannot be reached or written.
#[derive(Debug, Clone, Error)]
#[error("the store failed: {0}")]
pub struct StoreError(pub String);

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

impl Store {
    /// Makes a change. When this returns, it is on disk and every following request is judged by it.
    pub async fn commit(&self, change: Change) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        let gone = || CommitError::Store("the writer has stopped".to_owned());
        self.jobs.send(Job::Change { change, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Changes the short-lived state beside the resources, such as sessions, and records events with it, in one
    /// transaction. An error of the database takes all of it back.
    pub async fn transact<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(StateWrite<'c>) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError("the writer has stopped".to_owned());
        self.jobs.send(Job::State { work: state::erase(work), answer }).await.map_err(|_| gone())?;
        let done = answered.await.map_err(|_| gone())??;
        Ok(*done.downcast().expect("the writer answers with what the work made"))
    }

    /// Records events that come with no change.
    pub async fn record(&self, events: Vec<NewEvent>) -> Result<(), StoreError> {
        self.transact(|write| {
            Box::pin(async move {
                write.events.extend(events);
                Ok(())
            })
        })
        .await
    }

    /// Connections for reading.
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }
}
