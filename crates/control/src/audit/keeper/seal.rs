//! Moves old rows into sealed files.

use jiff::{SignedDuration, Timestamp};
use portunus_gateway::clock;
use serde_json::json;

use super::{KeepError, Keeper};
use crate::audit::chain::Head;
use crate::audit::event::{Actor, NewEvent};
use crate::audit::segment::{Segment, SegmentWriter};
use crate::audit::verifier::Verifier;
use crate::store::audit::{keep, proof};
use crate::store::row::time;

/// The most rows of a segment, so that no transaction that deletes them is long.
const MOST_ROWS: u64 = 50_000;

/// Rows in memory at once.
const BATCH: u64 = 1_000;

/// What was sealed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sealed {
    /// Segments.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
}

impl Keeper {
    pub(super) async fn retain(&self) {
        let days = i64::try_from(self.settings.retention_days).unwrap_or(i64::MAX);
        let before = clock::now().checked_sub(SignedDuration::from_hours(days.saturating_mul(24)));
        // What no clock can tell is older than everything.
        let before = before.unwrap_or(Timestamp::MIN).as_microsecond();
        match self.seal(before, Actor::system("audit")).await {
            Ok(sealed) if sealed.rows > 0 => {
                tracing::info!(target: "control", rows = sealed.rows, segments = sealed.segments, "audit rows sealed");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(target: "control", error = %error, "audit_seal_failed"),
        }
    }

    /// Seals the rows from before this time, in microseconds since 1970, into segment files.
    pub async fn seal(&self, before: i64, actor: Actor) -> Result<Sealed, KeepError> {
        let _one_at_a_time = self.sealing.lock().await;
        let mut sealed = Sealed::default();
        loop {
            let rows = self.seal_segment(before, &actor).await?;
            if rows == 0 {
                return Ok(sealed);
            }
            sealed.rows += rows;
            sealed.segments += 1;
        }
    }

    /// Seals one segment; answers how many rows it has.
    async fn seal_segment(&self, before: i64, actor: &Actor) -> Result<u64, KeepError> {
        let key = self.store.keys.audit.clone();
        let mut db = self.store.readers().acquire().await?;
        let start = match proof::segments(&mut db).await?.pop() {
            Some((segment, _)) => Head { sequence: segment.last_sequence, hash: segment.last_hash },
            None => Head::default(),
        };
        let mut verifier = Verifier::after(key.clone(), start.clone());
        let mut file = None;
        let unwritable = |error| KeepError::File(self.settings.folder.display().to_string(), error);
        'rows: while verifier.head().sequence - start.sequence < MOST_ROWS {
            let rows = proof::rows_after(&mut db, verifier.head().sequence, BATCH).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let row = row.map_err(|(n, error)| KeepError::Broken(format!("row {n}: {error}")))?;
                if row.at >= before {
                    break 'rows;
                }
                // What is broken stays where it is seen.
                verifier.row(&row).map_err(|fault| KeepError::Broken(fault.message))?;
                let mut out = match file.take() {
                    Some(out) => out,
                    None => SegmentWriter::begin(&self.settings.folder).map_err(unwritable)?,
                };
                out.row(&row).map_err(unwritable)?;
                file = Some(out);
            }
        }
        drop(db);
        let Some(file) = file else { return Ok(0) };
        let (first, end) = (start.sequence + 1, verifier.head().clone());
        let (name, sha256) = tokio::task::block_in_place(|| file.finish(first, end.sequence)).map_err(unwritable)?;
        let segment = Segment {
            first_sequence: first,
            last_sequence: end.sequence,
            previous_hash: start.hash,
            last_hash: end.hash,
            file: name,
            file_sha256: sha256,
            sealed_at: clock::now().as_microsecond(),
        };
        let event = NewEvent::new(actor.clone(), "audit.sealed").with(json!({
            "first": first,
            "last": end.sequence,
            "file": segment.file,
            "sha256": segment.file_sha256,
            "before": time(before),
        }));
        self.store
            .transact(move |write| {
                Box::pin(async move {
                    write.events.push(event);
                    keep::seal(write.db, &key, &segment).await
                })
            })
            .await?;
        Ok(end.sequence - start.sequence)
    }
}
