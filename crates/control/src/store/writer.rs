//! The one task that writes. It takes what is waiting as one transaction, so that many writers share one sync to disk.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portunus_gateway::clock;
use portunus_gateway::kind::{Id, PLATFORM_TENANT};
use portunus_gateway::problem::Problem;
use portunus_gateway::snapshot::Snapshot;
use portunus_gateway::snapshot::compiler::{self, Compiler, Fault, Undo};
use sqlx::{QueryBuilder, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::read::{self, COLUMNS};
use super::stage::stage;
use super::write::{Write, write};
use super::{Change, CommitError, Committed, Done, Job, Op, Outcome};
use crate::access::AccessTable;

/// The most changes in one transaction.
const MOST: usize = 128;

/// Owns the write connection and the compiler.
pub(super) struct Writer {
    pub(super) db: SqliteConnection,
    pub(super) compiler: Compiler,
    pub(super) revision: u64,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) access: Arc<ArcSwap<AccessTable>>,
}

type Answer = oneshot::Sender<Result<Committed, CommitError>>;

struct Staged {
    outcomes: Vec<Outcome>,
    undo: Undo,
    revision: u64,
}

impl Writer {
    /// Serves changes until every handle to the store is gone.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let mut batch = vec![first];
            while batch.len() < MOST {
                match jobs.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(_) => break,
                }
            }
            self.serve(batch).await;
        }
    }

    async fn serve(&mut self, batch: Vec<Job>) {
        let before = self.revision;
        let mut done: Vec<(Answer, Staged)> = Vec::new();
        let mut failed = match sqlx::query("BEGIN IMMEDIATE").execute(&mut self.db).await {
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let mut rest = batch.into_iter();
        for job in rest.by_ref() {
            if let Some(error) = &failed {
                let _ = job.answer.send(Err(CommitError::Store(error.clone())));
                continue;
            }
            match self.one(&job.change).await {
                Ok(one) => done.push((job.answer, one)),
                Err(CommitError::Store(error)) => {
                    let _ = job.answer.send(Err(CommitError::Store(error.clone())));
                    failed = Some(error);
                }
                Err(refused) => drop(job.answer.send(Err(refused))),
            }
        }
        if failed.is_none() {
            failed = sqlx::query("COMMIT").execute(&mut self.db).await.err().map(|error| error.to_string());
        }
        if let Some(error) = failed {
            self.take_back(done, before, &error).await;
            return;
        }
        if self.revision != before {
            let accounts_changed = done.iter().flat_map(|(_, one)| &one.outcomes).any(|outcome| {
                outcome.done != Done::Unchanged
                    && matches!(outcome.row.kind.kind, "Role" | "User" | "ServiceAccount" | "Tenant")
            });
            if accounts_changed {
                self.refresh_access().await;
            }
            self.snapshot.store(Arc::new(self.compiler.snapshot(self.revision)));
        }
        for (answer, one) in done {
            let _ = answer.send(Ok(Committed { revision: one.revision, outcomes: one.outcomes }));
        }
    }

    async fn take_back(&mut self, done: Vec<(Answer, Staged)>, revision: u64, error: &str) {
        tracing::error!(target: "control", error, "database_connection_failed");
        // Without a transaction under way this fails, and nothing is left to take back.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.db).await;
        self.revision = revision;
        for (answer, one) in done.into_iter().rev() {
            self.compiler.undo(one.undo);
            let _ = answer.send(Err(CommitError::Store(error.to_owned())));
        }
    }

    async fn one(&mut self, change: &Change) -> Result<Staged, CommitError> {
        let now = clock::now().as_microsecond();
        let access = self.access.load_full();
        let mut outcomes = stage(&mut self.db, &access, change, now).await?;
        if change.dry_run {
            // A secret that is not kept opens nothing.
            outcomes.iter_mut().for_each(|outcome| outcome.secret = None);
        }
        let mut changes = Vec::with_capacity(outcomes.len());
        for outcome in outcomes.iter().filter(|outcome| outcome.done != Done::Unchanged) {
            let entry = outcome.row.entry().map_err(|error| CommitError::Store(error.to_string()))?;
            match (outcome.done, entry) {
                (Done::Deleted, Some(_)) => changes.push(compiler::Change::Remove(outcome.row.id)),
                (_, Some(entry)) => changes.push(compiler::Change::Put(entry)),
                (_, None) => {}
            }
        }
        let writes: Vec<Write<'_>> = outcomes
            .iter()
            .filter(|outcome| outcome.done != Done::Unchanged)
            .map(|outcome| Write { done: outcome.done, row: &outcome.row })
            .collect();
        let undo = tokio::task::block_in_place(|| self.compiler.apply(changes))
            .map_err(|faults| refusal(faults, &outcomes, &change.ops))?;
        if change.dry_run {
            self.compiler.undo(undo);
            let nothing = self
                .compiler
                .apply(Vec::new())
                .map_err(|_| CommitError::Store("an empty change has no faults".to_owned()))?;
            return Ok(Staged { outcomes, undo: nothing, revision: self.revision });
        }
        if !writes.is_empty() {
            if let Err(error) = write(&mut self.db, &writes, &change.actor, self.revision + 1, now).await {
                self.compiler.undo(undo);
                return Err(error.into());
            }
            self.revision += 1;
        }
        drop(writes);
        Ok(Staged { outcomes, undo, revision: self.revision })
    }

    /// Reads the accounts again. If that fails, the table stays as it was, and the next change tries again.
    pub(super) async fn refresh_access(&mut self) {
        match access_table(&mut self.db).await {
            Ok(table) => self.access.store(Arc::new(table)),
            Err(error) => tracing::error!(target: "control", error = %error, "database_connection_failed"),
        }
    }
}

/// Who may do what, as the store has it.
pub(super) async fn access_table(db: &mut SqliteConnection) -> sqlx::Result<AccessTable> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" WHERE kind IN ('Role', 'User', 'ServiceAccount')");
    let rows = read::all(&mut *db, query).await?;
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" WHERE kind = 'Tenant' AND name = ").push_bind(PLATFORM_TENANT);
    let platform = read::all(&mut *db, query).await?.into_iter().find(|row| row.id == row.tenant_id).map(|row| row.id);
    Ok(AccessTable::new(&rows, platform))
}

/// Puts each fault where its author will look for it: at the document that was sent, or at the resource that it breaks.
fn refusal(faults: Vec<Fault>, outcomes: &[Outcome], ops: &[Op]) -> CommitError {
    let by_id: HashMap<Id, usize> =
        outcomes.iter().enumerate().map(|(index, outcome)| (outcome.row.id, index)).collect();
    let is_conflict = faults.iter().all(|fault| fault.is_conflict);
    let problems = faults
        .into_iter()
        .map(|fault| match by_id.get(&fault.id) {
            // Steps that only changed something have one outcome each, in order.
            Some(index) if outcomes.len() == ops.len() => fault.problem.under(&ops[*index].path),
            Some(index) if ops.len() == 1 && *index == 0 => fault.problem,
            Some(index) => about(&outcomes[*index].row.name, outcomes[*index].row.kind.kind, fault.problem),
            None => about(&fault.id.to_string(), "another resource", fault.problem),
        })
        .collect();
    if is_conflict { CommitError::Conflict(problems) } else { CommitError::Invalid(problems) }
}

fn about(name: &str, kind: &str, problem: Problem) -> Problem {
    Problem {
        message: format!("this would break {kind} {name} at {}: {}", problem.path, problem.message),
        path: String::new(),
        ..problem
    }
}
