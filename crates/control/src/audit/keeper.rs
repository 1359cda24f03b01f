//! Keeps the record: writes what was counted, makes checkpoints, seals old rows. One task of the process runs it.

mod checkpoint;
mod seal;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portunus_gateway::clock;
use portunus_gateway::telemetry::metrics::Metrics;
use serde_json::json;
use thiserror::Error;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::checkpoint::Last;
use super::checkpoints::Checkpointed;
use super::event::{Actor, NewEvent};
use super::fault::Fault;
use super::rollup::Rollup;
use super::verify::{self, BROKEN, Report, VerifyError};
use crate::store::{Store, StoreError};
pub use seal::Sealed;

/// The action of readings of the record.
pub const READ: &str = "audit.read";

/// How often the counts of the gateway are taken over.
const COLLECT: Duration = Duration::from_secs(2);

/// How often counts become rows.
const FLUSH: Duration = Duration::from_secs(60);

/// How often it is looked whether rows are old enough to be sealed.
const SEAL: Duration = Duration::from_secs(3600);

/// What the operator chose for the record.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The folder of segment files.
    pub folder: PathBuf,
    /// Where checkpoints are kept.
    pub checkpoints: Checkpointed,
    /// How often a checkpoint is made when there is something new.
    pub checkpoint_every: Duration,
    /// After how many days rows are sealed into files; 0 for never.
    pub retention_days: u64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("audit"),
            checkpoints: Checkpointed::File(PathBuf::from("audit/checkpoints.jsonl")),
            checkpoint_every: Duration::from_secs(60),
            retention_days: 0,
        }
    }
}

/// Why something was not kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read or written.
    #[error("{0} cannot be written: {1}")]
    File(String, std::io::Error),
    /// The chain is not right, so nothing of it is sealed.
    #[error("the chain is broken, so nothing is sealed: {0}")]
    Broken(String),
}

impl From<sqlx::Error> for KeepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Keeps the record of one process.
pub struct Keeper {
    store: Store,
    metrics: Arc<Metrics>,
    /// What the operator chose.
    pub settings: AuditSettings,
    /// What is counted and not yet a row.
    pub rollup: Rollup,
    /// The last checkpoint, once it is known.
    checkpoint: Mutex<Option<Last>>,
    sealing: Mutex<()>,
}

impl Keeper {
    /// The keeper of this store's record.
    pub fn new(store: Store, metrics: Arc<Metrics>, settings: AuditSettings) -> Self {
        let (checkpoint, sealing) = (Mutex::default(), Mutex::default());
        Self { store, metrics, settings, rollup: Rollup::default(), checkpoint, sealing }
    }

    /// Tells what is wrong with the record at the start, and goes on: the traffic must not stop because of it.
    pub async fn begin(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.broken(&fault.message);
            let event = NewEvent::new(Actor::system("audit"), BROKEN)
                .failed("chain_broken")
                .with(json!({ "message": fault.message, "sequence": fault.sequence }));
            self.record(vec![event]).await;
        }
        if let Err(error) = self.compare_last().await {
            tracing::error!(target: "control", error = %error, "audit_checkpoint_failed");
        }
    }

    fn broken(&self, message: &str) {
        self.metrics.audit.broken.store(1, Ordering::Relaxed);
        tracing::error!(target: "control", error = message, "audit_chain_broken");
    }

    /// Keeps the record until `stopping` turns true. Call [`Self::finish`] after that.
    pub async fn run(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let ticks = |every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut collect = ticks(COLLECT);
        let mut seal = ticks(SEAL);
        let every = self.settings.checkpoint_every;
        let (mut flush_at, mut checkpoint_at) = (Instant::now() + FLUSH, Instant::now() + every);
        loop {
            let stop = async {
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            tokio::select! {
                () = stop => return,
                _ = collect.tick() => self.collect(),
                () = sleep_until(flush_at) => {
                    self.flush(true).await;
                    flush_at = Instant::now() + FLUSH;
                }
                () = sleep_until(checkpoint_at) => {
                    self.try_checkpoint().await;
                    checkpoint_at = Instant::now() + every;
                }
                _ = seal.tick(), if self.settings.retention_days > 0 => self.retain().await,
            }
        }
    }

    /// Writes the last of it, when nothing more can happen.
    pub async fn finish(&self) {
        self.flush(true).await;
        self.try_checkpoint().await;
    }

    /// Takes over what the gateway counted.
    fn collect(&self) {
        for (cause, tally) in self.metrics.refused.take() {
            let (from, to) = (tally.first as i64, tally.last as i64);
            self.rollup.add(traffic::refused(&cause, tally), from, to);
        }
    }

    /// Makes rows of what was counted. Readings of the record wait for their minute unless `all` is asked for, so that
    /// who reads it often does not make it long.
    pub async fn flush(&self, all: bool) {
        self.collect();
        let events = self.rollup.take(|event| all || event.action != READ);
        if !events.is_empty() {
            self.record(events).await;
        }
    }

    async fn record(&self, events: Vec<NewEvent>) {
        if let Err(error) = self.store.record(events.clone()).await {
            tracing::error!(target: "control", error = %error, "audit_flush_failed");
            self.rollup.put_back(events);
        }
    }

    /// Notes that somebody read the record.
    pub fn reading(&self, event: NewEvent) {
        let now = clock::now().as_microsecond();
        self.rollup.add(event, now, now);
    }

    /// Walks the whole record.
    pub async fn verify(&self) -> Result<Report, VerifyError> {
        self.flush(false).await;
        let mut db = self.store.readers().acquire().await?;
        let settings = &self.settings;
        let report = verify::verify(&mut db, &self.store.keys.audit, &settings.folder, &settings.checkpoints).await?;
        let gauges = &self.metrics.audit;
        gauges.sequence.store(report.last_sequence, Ordering::Relaxed);
        gauges.verified_at.store(clock::now().as_second().unsigned_abs(), Ordering::Relaxed);
        gauges.broken.store(u64::from(!report.intact), Ordering::Relaxed);
        if let Some(fault) = &report.first_fault {
            self.broken(&fault.message);
        }
        Ok(report)
    }
}
