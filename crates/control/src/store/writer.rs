//! The one task that writes. It takes what is waiting as one transaction, so that many writers share one sync to disk.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portunus_gateway::clock;
use portunus_gateway::kind::{Id, PLATFORM_TENANT};
use portunus_gateway::problem::Problem;
use portunus_gateway::snapshot::Snapshot;
use portunus_gateway::snapshot::compiler::{self, Compiler, Fault, Undo};
use serde_json::json;
use sqlx::{QueryBuilder, Row as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, MissedTickBehavior, interval};

use super::events::Chain;
use super::keys::StoreKeys;
use super::read::{self, COLUMNS};
use super::stage::stage;
use super::state::{self, After, StateWrite, Work};
use super::write::{Write, write};
use super::{Change, CommitError, Committed, Done, Job, Op, Outcome, StoreError};
use crate::access::{AccessTable, AccountState, Permission, Verb};
use crate::approval::rules::Needed;
use crate::audit::chain::Head;
use crate::audit::event::{Actor, NewEvent};
use crate::login::changes;

/// The most jobs in one transaction.
const MOST: usize = 128;

/// How often files that secrets lie in are looked at.
const REREAD: Duration = Duration::from_secs(2);

/// Kinds that say who may do what.
const ACCOUNT_KINDS: [&str; 8] =
    ["Role", "User", "ServiceAccount", "ApiToken", "Tenant", "LoginPolicy", "ApprovalRule", "IdentityProvider"];

/// Owns the write connection and the compiler.
pub(super) struct Writer {
    pub(super) db: SqliteConnection,
    pub(super) compiler: Compiler,
    pub(super) chain: Chain,
    pub(super) keys: StoreKeys,
    pub(super) revision: u64,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) access: Arc<ArcSwap<AccessTable>>,
}

struct Staged {
    outcomes: Vec<Outcome>,
    undo: Undo,
    revision: u64,
}

/// A job that is done as soon as the transaction is on disk.
enum Waiting {
    Change(oneshot::Sender<Result<Committed, CommitError>>, Box<Staged>),
    State(oneshot::Sender<Result<state::Done, StoreError>>, state::Done),
}

/// What must be made undone or known when a transaction ends.
struct Before {
    revision: u64,
    head: Head,
}

impl Writer {
    /// Serves jobs until every handle to the store is gone.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut reread = interval(REREAD);
        reread.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let first = tokio::select! {
                first = jobs.recv() => first,
                _ = reread.tick() => {
                    self.reread_secrets();
                    continue;
                }
            };
            let Some(first) = first else { break };
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

    /// Publishes again when a file with a secret has changed.
    fn reread_secrets(&mut self) {
        if tokio::task::block_in_place(|| self.compiler.reread_secrets()) {
            self.snapshot.store(Arc::new(self.compiler.snapshot(self.revision)));
        }
    }

    async fn serve(&mut self, batch: Vec<Job>) {
        let before = Before { revision: self.revision, head: self.chain.head.clone() };
        let mut done: Vec<Waiting> = Vec::new();
        let mut accounts_changed = false;
        let mut after = After::default();
        let mut failed = match sqlx::query("BEGIN IMMEDIATE").execute(&mut self.db).await {
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        for job in batch {
            if let Some(error) = &failed {
                refuse(job, error);
                continue;
            }
            match job {
                Job::Change { change, answer } => match self.one(&change).await {
                    Ok(one) => done.push(Waiting::Change(answer, Box::new(one))),
                    Err(CommitError::Store(error)) => {
                        let _ = answer.send(Err(CommitError::Store(error.clone())));
                        failed = Some(error);
                    }
                    Err(refused) => drop(answer.send(Err(refused))),
                },
                Job::State { work, answer } => match self.state(work, &mut accounts_changed, &mut after).await {
                    Ok(made) => done.push(Waiting::State(answer, made)),
                    Err(error) => {
                        let _ = answer.send(Err(StoreError(error.to_string())));
                        if let Err(error) = sqlx::query("ROLLBACK TO work").execute(&mut self.db).await {
                            failed = Some(error.to_string());
                        }
                    }
                },
            }
        }
        if failed.is_none() {
            failed = self.end(&before).await.err().map(|error| error.to_string());
        }
        if let Some(error) = failed {
            self.take_back(done, before, &error).await;
            return;
        }
        self.chain.people.keep();
        self.tidy(after).await;
        accounts_changed |= done.iter().any(changes_accounts);
        if accounts_changed {
            self.refresh_access().await;
        }
        if self.revision != before.revision {
            self.snapshot.store(Arc::new(self.compiler.snapshot(self.revision)));
        }
        for waiting in done {
            match waiting {
                Waiting::Change(answer, one) => {
                    let _ = answer.send(Ok(Committed { revision: one.revision, outcomes: one.outcomes }));
                }
                Waiting::State(answer, made) => drop(answer.send(Ok(made))),
            }
        }
    }

    /// Does what a transaction has asked for, now that it is on disk.
    async fn tidy(&mut self, after: After) {
        self.compiler.take_resealed(after.resealed);
        if after.empty_log
            && let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut self.db).await
        {
            // It shrinks at the next chance; what was deleted cannot be opened any more.
            tracing::warn!(target: "control", %error, "the write-ahead log could not be emptied");
        }
    }

    /// Notes the chain's new end and puts everything on disk.
    async fn end(&mut self, before: &Before) -> sqlx::Result<()> {
        if self.chain.head != before.head {
            self.chain.write_head(&mut self.db).await?;
        }
        sqlx::query("COMMIT").execute(&mut self.db).await?;
        Ok(())
    }

    async fn take_back(&mut self, done: Vec<Waiting>, before: Before, error: &str) {
        tracing::error!(target: "control", error, "database_connection_failed");
        // Without a transaction under way this fails, and nothing is left to take back.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.db).await;
        self.revision = before.revision;
        self.chain.head = before.head;
        self.chain.people.forget();
        for waiting in done.into_iter().rev() {
            match waiting {
                Waiting::Change(answer, one) => {
                    self.compiler.undo(one.undo);
                    let _ = answer.send(Err(CommitError::Store(error.to_owned())));
                }
                Waiting::State(answer, _) => drop(answer.send(Err(StoreError(error.to_owned())))),
            }
        }
    }

    /// Does a piece of work. An error leaves the savepoint for the caller to go back to.
    async fn state(&mut self, work: Work, accounts_changed: &mut bool, after: &mut After) -> sqlx::Result<state::Done> {
        let now = clock::now().as_microsecond();
        sqlx::query("SAVEPOINT work").execute(&mut self.db).await?;
        let mut events = Vec::new();
        let mut own = After::default();
        let mut erased = Vec::new();
        let write = StateWrite {
            db: &mut self.db,
            events: &mut events,
            accounts_changed,
            after: &mut own,
            erased: &mut erased,
            now,
        };
        let made = work(write).await?;
        erased.iter().for_each(|value| self.chain.people.erase(value));
        let head = self.chain.head.clone();
        let platform = self.access.load().platform;
        let appended = self.chain.append(&mut self.db, &events, platform, 0, now).await;
        if let Err(error) = appended {
            self.chain.head = head;
            self.chain.people.forget();
            return Err(error);
        }
        sqlx::query("RELEASE work").execute(&mut self.db).await?;
        after.resealed.append(&mut own.resealed);
        after.empty_log |= own.empty_log;
        Ok(made)
    }

    async fn one(&mut self, change: &Change) -> Result<Staged, CommitError> {
        let now = clock::now().as_microsecond();
        let access = self.access.load_full();
        let mut outcomes = stage(&mut self.db, &access, &self.keys, change, now).await?;
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
        if let Some(needed) = needed_approval(&access, change, &outcomes) {
            self.compiler.undo(undo);
            return Err(CommitError::NeedsApproval(needed));
        }
        if change.dry_run {
            self.compiler.undo(undo);
            let nothing = self
                .compiler
                .apply(Vec::new())
                .map_err(|_| CommitError::Store("an empty change has no faults".to_owned()))?;
            return Ok(Staged { outcomes, undo: nothing, revision: self.revision });
        }
        if !writes.is_empty() {
            let written = self.write(&writes, &outcomes, change, access.platform, now).await;
            if let Err(error) = written {
                self.compiler.undo(undo);
                return Err(error.into());
            }
            self.revision += 1;
        }
        drop(writes);
        Ok(Staged { outcomes, undo, revision: self.revision })
    }

    /// Writes resources and the events that tell of it.
    async fn write(
        &mut self,
        writes: &[Write<'_>],
        outcomes: &[Outcome],
        change: &Change,
        platform: Option<Id>,
        now: i64,
    ) -> sqlx::Result<()> {
        let revision = self.revision + 1;
        write(&mut self.db, writes, &change.actor.label(), revision, now).await?;
        let mut events: Vec<NewEvent> = writes.iter().map(|write| event(write, &change.actor)).collect();
        events.extend(changes::follow(&mut self.db, outcomes, change, now).await?);
        self.chain.append(&mut self.db, &events, platform, revision, now).await
    }

    /// Reads the accounts again. If that fails, the table stays as it was, and the next change tries again.
    pub(super) async fn refresh_access(&mut self) {
        match access_table(&mut self.db).await {
            Ok(table) => self.access.store(Arc::new(table)),
            Err(error) => tracing::error!(target: "control", error = %error, "database_connection_failed"),
        }
    }
}

/// The approval that a change lacks. Only here all that it touches is known, and in which tenants.
fn needed_approval(access: &AccessTable, change: &Change, outcomes: &[Outcome]) -> Option<Needed> {
    if change.principal.is_none() || change.dry_run || access.approval_rules.is_empty() {
        return None;
    }
    let uses = outcomes.iter().filter_map(|outcome| {
        let verb = match outcome.done {
            Done::Created | Done::Updated => Verb::Write,
            Done::Deleted => Verb::Delete,
            Done::Unchanged => return None,
        };
        Some((Permission::new(outcome.row.kind.noun, verb), outcome.row.tenant_id))
    });
    let cleared = change.call.as_ref().map(|call| call.cleared.as_slice()).unwrap_or_default();
    Needed::of(&access.approval_rules, access.platform, uses, cleared)
}

/// What the record says of a change.
fn event(write: &Write<'_>, actor: &Actor) -> NewEvent {
    let row = write.row;
    NewEvent::new(actor.clone(), format!("{}.{}", row.kind.noun, write.done.word()))
        .of(row.tenant_id)
        .about(row.kind.kind, row.id, &row.name)
        .with(json!({ "revision": row.revision }))
}

fn refuse(job: Job, error: &str) {
    match job {
        Job::Change { answer, .. } => drop(answer.send(Err(CommitError::Store(error.to_owned())))),
        Job::State { answer, .. } => drop(answer.send(Err(StoreError(error.to_owned())))),
    }
}

/// Whether who may do what is different after this.
fn changes_accounts(waiting: &Waiting) -> bool {
    let Waiting::Change(_, one) = waiting else { return false };
    one.outcomes.iter().any(|outcome| outcome.done != Done::Unchanged && ACCOUNT_KINDS.contains(&outcome.row.kind.kind))
}

/// Who may do what, as the store has it.
pub(super) async fn access_table(db: &mut SqliteConnection) -> sqlx::Result<AccessTable> {
    let mut query = QueryBuilder::new(COLUMNS);
    query.push(" WHERE kind IN (");
    let mut kinds = query.separated(", ");
    for kind in ACCOUNT_KINDS {
        kinds.push_bind(kind);
    }
    query.push(")");
    let rows = read::all(&mut *db, query).await?;
    let mut tenants = rows.iter().filter(|row| row.kind.kind == "Tenant");
    let platform = tenants.find(|row| row.name == PLATFORM_TENANT && row.id == row.tenant_id).map(|row| row.id);
    let mut states = HashMap::new();
    for row in
        sqlx::query("SELECT account_id, generation, must_reset_password FROM account_state").fetch_all(&mut *db).await?
    {
        let id: &str = row.try_get("account_id")?;
        let id = id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
        let generation = row.try_get::<i64, _>("generation")? as u64;
        let must_reset_password = row.try_get::<i64, _>("must_reset_password")? != 0;
        states.insert(id, AccountState { generation, must_reset_password, has_factor: false });
    }
    for row in
        sqlx::query("SELECT DISTINCT user_id FROM mfa_method WHERE confirmed_at IS NOT NULL").fetch_all(db).await?
    {
        let id: &str = row.try_get("user_id")?;
        let id = id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
        states.entry(id).or_default().has_factor = true;
    }
    Ok(AccessTable::new(&rows, &states, platform))
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
