//! Walks the whole record, from the first sealed segment to the last row, and names the first row that is wrong. Rows are
//! read in batches, so that a long record needs no more memory than a short one.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use portunus_gateway::api_key;
use serde::Serialize;
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};
use thiserror::Error;

use super::chain::{ChainRow, SEGMENT, SealKey};
use super::checkpoint::{Checkpoints, Last, Seen, gap};
use super::checkpoints::Checkpointed;
use super::fault::{Fault, Wrong};
use super::person::pseudonym;
use super::segment::{Segment, SegmentReader, Unreadable};
use super::verifier::Verifier;
use crate::store::audit::proof;
use crate::store::audit::query::pseudonyms;

/// Rows in memory at once.
const BATCH: u64 = 1_000;

/// The most pseudonyms that are remembered as known.
const MOST_KNOWN: usize = 20_000;

/// The action of a person's erasure.
pub const ERASED: &str = "person.erased";

/// The action of a start that found the end of the chain broken.
pub const BROKEN: &str = "audit.chain_broken";

/// The action of checkpoints that go on at another place.
pub const MOVED: &str = "audit.checkpoints_moved";

/// What a walk found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// The first fault.
    pub first_fault: Option<Fault>,
    /// How many rows were found right, those in segments included.
    pub rows: u64,
    /// The last row that was found right.
    pub last_sequence: u64,
    /// Its hash.
    pub last_hash: String,
    /// How many segments were read.
    pub segments: u64,
    /// How many checkpoints were compared.
    pub checkpoints: u64,
    /// When the last checkpoint was made.
    pub last_checkpoint_at: Option<String>,
}

/// Why a walk came to no result.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The database failed.
    #[error("the store cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The checkpoints cannot be read.
    #[error("the checkpoints at {0} cannot be read: {1}")]
    Checkpoints(String, std::io::Error),
}

/// Ends a walk: with a fault that was found, or without a result.
enum Stop {
    Fault(Fault),
    Error(VerifyError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Error(error.into())
    }
}

/// Walks the record. `folder` holds the segment files.
pub async fn verify(
    db: &mut SqliteConnection,
    key: &SealKey,
    folder: &Path,
    checkpointed: &Checkpointed,
) -> Result<Report, VerifyError> {
    // In this order nothing that is written meanwhile looks like a fault: a checkpoint is noted after it is written, and
    // it is written after its row.
    let noted = proof::checkpoint(db, key).await?;
    let text = checkpointed.read().await.map_err(|error| VerifyError::Checkpoints(checkpointed.location(), error))?;
    let mut transaction = db.begin().await?;
    let db = &mut *transaction;
    let mut walk = Walk::new(key);
    let walked = async {
        let checkpoints = Checkpoints::read(&text, &key.signer().public_key());
        // What the rows say comes first: it is what people ask for.
        if let Ok(checkpoints) = &checkpoints {
            walk.take_checkpoints(checkpoints);
        }
        walk.people(db).await?;
        walk.segments(db, folder).await?;
        walk.table(db).await?;
        let head = proof::head(db).await?;
        walk.verifier.end(head.as_ref().map(|(head, seal)| (head, seal.as_str())))?;
        walk.end()?;
        let checkpoints = checkpoints?;
        if let Some(noted) = noted {
            if !noted.is_sealed {
                return Err(Fault::beside(Wrong::Checkpoint, "the note of the last checkpoint was altered").into());
            }
            checkpoints.compare(&noted.last)?;
        }
        if checkpoints.first > 1 && !walk.moved.contains(&checkpoints.first) {
            return Err(gap(1, checkpoints.first).into());
        }
        Ok(())
    }
    .await;
    transaction.rollback().await?;
    let first_fault = match walked {
        Ok(()) => None,
        Err(Stop::Fault(fault)) => Some(fault),
        Err(Stop::Error(error)) => return Err(error),
    };
    Ok(walk.report(first_fault))
}

/// A walk under way.
struct Walk {
    key: SealKey,
    verifier: Verifier,
    rows: u64,
    segments: u64,
    seen: Vec<Seen>,
    next_seen: usize,
    last_checkpoint: Last,
    checkpoints: u64,
    /// Pseudonyms that do not fit what they stand for.
    exchanged: HashSet<String>,
    /// Pseudonyms that were erased, as long as no row tells of it, and the first row with each.
    erased: HashMap<String, Option<u64>>,
    /// Pseudonyms that are known to be there.
    known: HashSet<String>,
    /// Numbers of checkpoints with which a new place began.
    moved: HashSet<u64>,
    /// The first row that tells of a chain that was found broken at a start.
    told: Option<Fault>,
}

impl Walk {
    fn new(key: &SealKey) -> Self {
        Self {
            key: key.clone(),
            verifier: Verifier::new(key.clone()),
            rows: 0,
            segments: 0,
            seen: Vec::new(),
            next_seen: 0,
            last_checkpoint: Last::default(),
            checkpoints: 0,
            exchanged: HashSet::new(),
            erased: HashMap::new(),
            known: HashSet::new(),
            moved: HashSet::new(),
            told: None,
        }
    }

    fn take_checkpoints(&mut self, checkpoints: &Checkpoints) {
        self.seen.clone_from(&checkpoints.seen);
        self.checkpoints = checkpoints.count;
        self.last_checkpoint = checkpoints.last.clone();
    }

    /// Compares every pseudonym with what it stands for.
    async fn people(&mut self, db: &mut SqliteConnection) -> Result<(), Stop> {
        let mut after = String::new();
        loop {
            let people = proof::people_after(db, &after, BATCH).await?;
            let Some(last) = people.last() else { return Ok(()) };
            after.clone_from(&last.pseudonym);
            for person in people {
                match (&person.salt, &person.value) {
                    (Some(salt), Some(value)) if pseudonym(salt, value) == person.pseudonym => {}
                    (None, None) => drop(self.erased.insert(person.pseudonym, None)),
                    _ => drop(self.exchanged.insert(person.pseudonym)),
                }
            }
        }
    }

    async fn segments(&mut self, db: &mut SqliteConnection, folder: &Path) -> Result<(), Stop> {
        for (segment, seal) in proof::segments(db).await? {
            let first = segment.first_sequence;
            if !self.key.is_right(SEGMENT, &segment.text(), &seal) {
                let message = format!("the entry of segment {} was altered: its seal is wrong", segment.file);
                return Err(Fault::row(first, Wrong::Segment, message).into());
            }
            self.segment(db, &segment, folder).await?;
            self.segments += 1;
        }
        Ok(())
    }

    async fn segment(&mut self, db: &mut SqliteConnection, segment: &Segment, folder: &Path) -> Result<(), Stop> {
        let unreadable = |at: u64, why: Unreadable| {
            let file = &segment.file;
            let message = match why {
                Unreadable::Missing => format!(
                    "the segment file {file} is missing, and with it rows {} to {}",
                    segment.first_sequence, segment.last_sequence
                ),
                Unreadable::Altered(error) => format!("the segment file {file} was altered: row {at}: {error}"),
            };
            Fault::row(at, Wrong::Segment, message)
        };
        let first = segment.first_sequence;
        let mut reader = SegmentReader::open(segment.path(folder)).map_err(|why| unreadable(first, why))?;
        loop {
            let mut rows = Vec::with_capacity(BATCH as usize);
            while rows.len() < BATCH as usize {
                let at = self.verifier.head().sequence + rows.len() as u64 + 1;
                match reader.next_row().map_err(|why| unreadable(at, why))? {
                    Some(row) => rows.push(Ok(row)),
                    None => break,
                }
            }
            if rows.is_empty() {
                break;
            }
            self.batch(db, rows).await?;
        }
        let head = self.verifier.head();
        if head.sequence < segment.last_sequence {
            return Err(super::verifier::missing(head.sequence + 1, segment.last_sequence).into());
        }
        let sha256 = reader.sha256().unwrap_or_default();
        if sha256 != segment.file_sha256 || head.hash != segment.last_hash {
            let message = format!("the segment file {} was altered: its SHA-256 is another", segment.file);
            return Err(Fault::row(first, Wrong::Segment, message).into());
        }
        Ok(())
    }

    async fn table(&mut self, db: &mut SqliteConnection) -> Result<(), Stop> {
        // A row of a segment that is in the table as well is one too many.
        let first = proof::first_row(db).await?;
        let mut after = self.verifier.head().sequence;
        if first > 0 && first <= after {
            let message = format!("row {first} stands in the table and in a segment");
            return Err(Fault::row(first, Wrong::Forged, message).into());
        }
        loop {
            let rows = proof::rows_after(db, after, BATCH).await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.batch(db, rows).await?;
            after = self.verifier.head().sequence;
        }
    }

    async fn batch(&mut self, db: &mut SqliteConnection, rows: Vec<proof::Read>) -> Result<(), Stop> {
        self.meet(db, &rows).await?;
        for row in rows {
            match row {
                Ok(row) => self.row(&row)?,
                Err((sequence, error)) => {
                    let message = format!("row {sequence} was edited: it holds what no row can hold ({error})");
                    return Err(Fault::row(sequence, Wrong::Edited, message).into());
                }
            }
        }
        Ok(())
    }

    /// Looks up the pseudonyms of these rows.
    async fn meet(&mut self, db: &mut SqliteConnection, rows: &[proof::Read]) -> Result<(), Stop> {
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
        }
        let strangers: HashSet<&str> =
            rows.iter().flatten().flat_map(pseudonyms).filter(|pseudonym| !self.known.contains(*pseudonym)).collect();
        let found = proof::people(db, &strangers).await?;
        self.known.extend(found.into_iter().map(|person| person.pseudonym));
        Ok(())
    }

    fn row(&mut self, row: &ChainRow) -> Result<(), Fault> {
        self.verifier.row(row)?;
        let n = row.sequence;
        while let Some(seen) = self.seen.get(self.next_seen).filter(|seen| seen.sequence <= n) {
            if api_key::from_hex(&row.hash) != Some(seen.hash) && seen.sequence == n {
                let message = format!("row {n} is not the one that a checkpoint saw: the record was rewritten");
                return Err(Fault::row(n, Wrong::Checkpoint, message));
            }
            self.next_seen += 1;
        }
        for pseudonym in pseudonyms(row) {
            if self.exchanged.contains(pseudonym) {
                let message = format!("the person {pseudonym} in row {n} was exchanged");
                return Err(Fault::row(n, Wrong::Person, message));
            }
            if !self.known.contains(pseudonym) {
                let message = format!("the person {pseudonym} in row {n} was deleted");
                return Err(Fault::row(n, Wrong::Person, message));
            }
            if let Some(first) = self.erased.get_mut(pseudonym) {
                first.get_or_insert(n);
            }
        }
        match row.action.as_str() {
            ERASED => drop(self.erased.remove(&row.resource_name)),
            MOVED => {
                let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
                self.moved.extend(details["number"].as_u64());
            }
            BROKEN => {
                let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
                let what = details["message"].as_str().unwrap_or_default();
                let message = format!("row {n} tells that at a start before it the chain was broken: {what}");
                self.told.get_or_insert(Fault::row(n, Wrong::Head, message));
            }
            _ => {}
        }
        self.rows += 1;
        Ok(())
    }

    /// What only the end shows.
    fn end(&self) -> Result<(), Fault> {
        let last = self.verifier.head().sequence;
        if let Some(seen) = self.seen.last().filter(|seen| seen.sequence > last) {
            let message = format!(
                "the record ends with row {last}, but a checkpoint saw row {}: the database was put back to an older copy",
                seen.sequence
            );
            return Err(Fault::row(last + 1, Wrong::Checkpoint, message));
        }
        if let Some(pseudonym) = self.exchanged.iter().min() {
            return Err(Fault::beside(Wrong::Person, format!("the person {pseudonym} was exchanged")));
        }
        let unexplained = self.erased.iter().min_by_key(|(_, first)| first.unwrap_or(u64::MAX));
        match unexplained {
            Some((pseudonym, first)) => Err(Fault {
                sequence: *first,
                fault: Wrong::Person,
                message: format!("the person {pseudonym} was erased, and no row tells of it"),
            }),
            None => self.told.clone().map_or(Ok(()), Err),
        }
    }

    fn report(self, first_fault: Option<Fault>) -> Report {
        let head = self.verifier.head();
        Report {
            intact: first_fault.is_none(),
            first_fault,
            rows: self.rows,
            last_sequence: head.sequence,
            last_hash: head.hash.clone(),
            segments: self.segments,
            checkpoints: self.checkpoints,
            last_checkpoint_at: Some(self.last_checkpoint.at).filter(|at| !at.is_empty()),
        }
    }
}
