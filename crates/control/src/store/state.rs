//! Work on the short-lived state beside the resources: sessions, revocations, one-time codes. It runs in the writer's
//! transaction, so it shares the sync to disk with everything else that is written.

use std::any::Any;

use futures_util::future::BoxFuture;
use portunus_gateway::config::AnyEntry;
use sqlx::SqliteConnection;

use crate::audit::event::NewEvent;

/// What a piece of work made.
pub(super) type Done = Box<dyn Any + Send>;

/// A piece of work, whatever it makes.
pub(super) type Work = Box<dyn for<'c> FnOnce(StateWrite<'c>) -> BoxFuture<'c, sqlx::Result<Done>> + Send>;

/// What a piece of work writes to.
pub struct StateWrite<'c> {
    /// The connection, inside the transaction.
    pub db: &'c mut SqliteConnection,
    /// Events to record with it.
    pub events: &'c mut Vec<NewEvent>,
    /// Set it to have the table of accounts read again afterwards.
    pub accounts_changed: &'c mut bool,
    /// What is to be done once it is on disk.
    pub after: &'c mut After,
    /// Names and addresses that were erased, for the writer to forget as well.
    pub erased: &'c mut Vec<String>,
    /// The time of the transaction, in microseconds since 1970.
    pub now: i64,
}

/// What the writer does for a piece of work once it is on disk.
#[derive(Default)]
pub struct After {
    /// Takes over entries in which nothing but the sealing of secrets differs.
    pub resealed: Vec<AnyEntry>,
    /// Moves everything from the write-ahead log to the database, and leaves the log empty.
    pub empty_log: bool,
}

/// Hides the type of what a piece of work makes.
pub(super) fn erase<T: Send + 'static>(
    work: impl for<'c> FnOnce(StateWrite<'c>) -> BoxFuture<'c, sqlx::Result<T>> + Send + 'static,
) -> Work {
    Box::new(|write| {
        let made = work(write);
        Box::pin(async move { Ok(Box::new(made.await?) as Done) })
    })
}
