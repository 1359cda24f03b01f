//! What a proof of the chain reads, on one connection, in batches.

use std::collections::HashSet;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::audit::chain::{CHECKPOINT, ChainRow, Head, SealKey};
use crate::audit::checkpoint::Last;
use crate::audit::fault::{Fault, Wrong};
use crate::audit::segment::Segment;
use crate::audit::verifier::Verifier;

/// The columns of a row, in the order in which [`row`] reads them.
pub(super) const COLUMNS: &str = "SELECT sequence, at, tenant_id, actor_kind, actor, actor_id, via, client, request_id, \
    action, kind, resource_id, resource_name, outcome, reason, count, details, store_revision, previous_hash, hash, seal \
    FROM event";

/// A row of the table, or the number of one that holds what no row can hold.
pub type Read = Result<ChainRow, (u64, String)>;

/// The row from its columns.
pub(super) fn row(row: &SqliteRow) -> sqlx::Result<Read> {
    let sequence = row.try_get::<i64, _>(0)? as u64;
    let read = || -> sqlx::Result<ChainRow> {
        let text = |column: usize| row.try_get::<String, _>(column);
        let number = |column: usize| row.try_get::<i64, _>(column).map(|number| number as u64);
        Ok(ChainRow {
            sequence,
            at: row.try_get(1)?,
            tenant_id: text(2)?,
            actor_kind: text(3)?,
            actor: text(4)?,
            actor_id: text(5)?,
            via: text(6)?,
            client: text(7)?,
            request_id: text(8)?,
            action: text(9)?,
            kind: text(10)?,
            resource_id: text(11)?,
            resource_name: text(12)?,
            outcome: text(13)?,
            reason: text(14)?,
            count: number(15)?,
            details: text(16)?,
            store_revision: number(17)?,
            previous_hash: text(18)?,
            hash: text(19)?,
            seal: text(20)?,
        })
    };
    Ok(read().map_err(|error| (sequence, error.to_string())))
}

/// The rows after this one.
pub async fn rows_after(db: &mut SqliteConnection, after: u64, limit: u64) -> sqlx::Result<Vec<Read>> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" WHERE sequence > ").push_bind(after as i64);
    query.push(" ORDER BY sequence LIMIT ").push_bind(limit as i64);
    query.build().fetch_all(db).await?.iter().map(row).collect()
}

/// The number of the first row in the table; 0 when there is none.
pub async fn first_row(db: &mut SqliteConnection) -> sqlx::Result<u64> {
    let first: Option<i64> = sqlx::query_scalar("SELECT MIN(sequence) FROM event").fetch_one(db).await?;
    Ok(first.unwrap_or_default() as u64)
}

/// Where the chain is noted to end, with the seal of the note.
pub async fn head(db: &mut SqliteConnection) -> sqlx::Result<Option<(Head, String)>> {
    let found = sqlx::query("SELECT sequence, hash, seal FROM audit_head").fetch_optional(db).await?;
    found
        .map(|row| {
            let head = Head { sequence: row.try_get::<i64, _>(0)? as u64, hash: row.try_get(1)? };
            Ok((head, row.try_get(2)?))
        })
        .transpose()
}

/// The segments with their seals, the oldest first.
pub async fn segments(db: &mut SqliteConnection) -> sqlx::Result<Vec<(Segment, String)>> {
    let rows = sqlx::query(
        "SELECT first_sequence, last_sequence, previous_hash, last_hash, file, file_sha256, sealed_at, seal \
         FROM audit_segment ORDER BY first_sequence",
    )
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            let segment = Segment {
                first_sequence: row.try_get::<i64, _>(0)? as u64,
                last_sequence: row.try_get::<i64, _>(1)? as u64,
                previous_hash: row.try_get(2)?,
                last_hash: row.try_get(3)?,
                file: row.try_get(4)?,
                file_sha256: row.try_get(5)?,
                sealed_at: row.try_get(6)?,
            };
            Ok((segment, row.try_get(7)?))
        })
        .collect()
}

/// A pseudonym with its salt and what it stands for; both are gone when it was erased.
#[derive(Debug, Clone)]
pub struct Person {
    /// The pseudonym.
    pub pseudonym: String,
    /// The salt.
    pub salt: Option<String>,
    /// The name or address.
    pub value: Option<String>,
}

/// The persons after this pseudonym, in order.
pub async fn people_after(db: &mut SqliteConnection, after: &str, limit: u64) -> sqlx::Result<Vec<Person>> {
    let rows =
        sqlx::query("SELECT pseudonym, salt, value FROM audit_person WHERE pseudonym > $1 ORDER BY pseudonym LIMIT $2")
            .bind(after)
            .bind(limit as i64)
            .fetch_all(db)
            .await?;
    rows.iter().map(person).collect()
}

fn person(row: &SqliteRow) -> sqlx::Result<Person> {
    Ok(Person { pseudonym: row.try_get(0)?, salt: row.try_get(1)?, value: row.try_get(2)? })
}

/// Those of these pseudonyms that there are.
pub async fn people(db: &mut SqliteConnection, pseudonyms: &HashSet<&str>) -> sqlx::Result<Vec<Person>> {
    let mut found = Vec::with_capacity(pseudonyms.len());
    let all: Vec<&str> = pseudonyms.iter().copied().collect();
    for batch in all.chunks(500) {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT pseudonym, salt, value FROM audit_person WHERE pseudonym IN (");
        let mut list = query.separated(", ");
        for pseudonym in batch {
            list.push_bind(*pseudonym);
        }
        query.push(")");
        for row in query.build().fetch_all(&mut *db).await? {
            found.push(person(&row)?);
        }
    }
    Ok(found)
}

/// What the database noted of the last checkpoint, where it is, and whether the seal of the note is right.
#[derive(Debug, Clone)]
pub struct NotedCheckpoint {
    /// The last checkpoint.
    pub last: Last,
    /// Where checkpoints are kept.
    pub location: String,
    /// Whether nobody altered the note.
    pub is_sealed: bool,
}

/// What is sealed of the note.
pub(super) fn checkpoint_text(last: &Last, location: &str) -> String {
    serde_json::json!([last.number, last.line_hash, last.sequence, last.at, location]).to_string()
}

/// The note of the last checkpoint.
pub async fn checkpoint(db: &mut SqliteConnection, key: &SealKey) -> sqlx::Result<Option<NotedCheckpoint>> {
    let found = sqlx::query("SELECT number, line_hash, sequence, at, location, seal FROM audit_checkpoint")
        .fetch_optional(db)
        .await?;
    found
        .map(|row| {
            let last = Last {
                number: row.try_get::<i64, _>(0)? as u64,
                line_hash: row.try_get(1)?,
                sequence: row.try_get::<i64, _>(2)? as u64,
                at: row.try_get(3)?,
            };
            let location: String = row.try_get(4)?;
            let is_sealed = key.is_right(CHECKPOINT, &checkpoint_text(&last, &location), row.try_get(5)?);
            Ok(NotedCheckpoint { last, location, is_sealed })
        })
        .transpose()
}

/// Whether the end of the chain is what it is noted to be: its last row, or the last of the sealed ones.
pub async fn check_end(db: &mut SqliteConnection, key: &SealKey) -> sqlx::Result<Result<(), Fault>> {
    let head = head(db).await?;
    let noted = head.as_ref().map(|(head, seal)| (head, seal.as_str()));
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" ORDER BY sequence DESC LIMIT 1");
    let last = query.build().fetch_optional(&mut *db).await?.as_ref().map(row).transpose()?;
    let verifier = match last {
        Some(Ok(last)) => {
            let before = Head { sequence: last.sequence.saturating_sub(1), hash: last.previous_hash.clone() };
            let mut verifier = Verifier::after(key.clone(), before);
            if let Err(fault) = verifier.row(&last) {
                return Ok(Err(fault));
            }
            verifier
        }
        Some(Err((sequence, error))) => {
            return Ok(Err(Fault::row(sequence, Wrong::Edited, format!("row {sequence} was edited: {error}"))));
        }
        None => match segments(db).await?.pop() {
            Some((segment, _)) => {
                let end = Head { sequence: segment.last_sequence, hash: segment.last_hash };
                Verifier::after(key.clone(), end)
            }
            None => Verifier::new(key.clone()),
        },
    };
    Ok(verifier.end(noted))
}

/// The hash of a row that is in the table.
pub async fn hash_of(db: &mut SqliteConnection, sequence: u64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT hash FROM event WHERE sequence = $1").bind(sequence as i64).fetch_optional(db).await
}
