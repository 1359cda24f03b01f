//! Gathers what belongs into the evidence: the record with its proofs, the configuration's history, sessions and tokens.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use serde_json::{Map, Value, json};
use sqlx::{Column as _, Row as _, SqliteConnection, ValueRef as _};
use thiserror::Error;

use super::{Bundle, Lines};
use crate::audit::chain::ChainRow;
use crate::audit::keeper::Keeper;
use crate::audit::readable::{READABLE, readable};
use crate::audit::segment::SegmentReader;
use crate::audit::verify::VerifyError;
use crate::resource;
use crate::store::Store;
use crate::store::audit::proof;
use crate::store::audit::query::{EventFilter, names, pseudonyms};
use crate::store::row::time;

/// Rows in memory at once.
const BATCH: u64 = 1_000;

/// What is told of a session, as far as it has it; its secrets are not among it.
const OF_SESSIONS: [&str; 12] = [
    "id",
    "user_id",
    "tenant_id",
    "created_at",
    "last_seen_at",
    "expires_at",
    "address",
    "user_agent",
    "methods",
    "stepped_up_at",
    "revoked_at",
    "revoked_by",
];

/// Why there is no evidence.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
    /// The record or its checkpoints cannot be read.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A file cannot be written.
    #[error("the evidence cannot be written: {0}")]
    File(#[from] io::Error),
}

/// The bundle of everything from this time on, in microseconds since 1970, as an open file.
pub async fn gather(store: &Store, keeper: &Keeper, since: i64, until: Option<i64>) -> Result<File, EvidenceError> {
    let report = keeper.verify().await?;
    let mut bundle = Bundle::begin(&keeper.settings.folder)?;
    let mut db = store.readers().acquire().await?;
    bundle.text("verification.json", &serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?;
    rows(store, keeper, &mut db, &mut bundle, since, until).await?;
    history(&mut db, &mut bundle, since, until).await?;
    sessions(&mut db, &mut bundle).await?;
    tokens(&mut db, &mut bundle).await?;
    let checkpoints = keeper.settings.checkpoints.read().await?;
    bundle.text("checkpoints.jsonl", &checkpoints)?;
    let head = proof::head(&mut db).await?;
    drop(db);
    let about = json!({
        "since": time(since),
        "until": until.map(time),
        "record_is_intact": report.intact,
        "end": head.map(|(head, seal)| json!({"sequence": head.sequence, "hash": head.hash, "seal": seal})),
    });
    let signer = store.keys.audit.signer();
    let packed = tokio::task::spawn_blocking(move || bundle.finish(&about, &signer)).await;
    Ok(packed.map_err(io::Error::other)??)
}

/// The rows, those in segment files too, and who is meant by their pseudonyms.
async fn rows(
    store: &Store,
    keeper: &Keeper,
    db: &mut SqliteConnection,
    bundle: &mut Bundle,
    since: i64,
    until: Option<i64>,
) -> Result<(), EvidenceError> {
    let mut out = bundle.lines("audit.jsonl")?;
    let mut segments = bundle.lines("segments.jsonl")?;
    let mut people = BTreeSet::new();
    let wanted = |row: &ChainRow| row.at >= since && until.is_none_or(|until| row.at < until);
    for (segment, seal) in proof::segments(db).await? {
        let sums = json!({"first": segment.first_sequence, "last": segment.last_sequence, "file": segment.file,
            "sha256": segment.file_sha256, "previous_hash": segment.previous_hash, "last_hash": segment.last_hash,
            "sealed_at": time(segment.sealed_at), "seal": seal});
        segments.add(&sums)?;
        // One that cannot be read is told of in the verification.
        let Ok(mut reader) = SegmentReader::open(segment.path(&keeper.settings.folder)) else { continue };
        let mut batch = Vec::new();
        while let Ok(Some(row)) = reader.next_row() {
            if wanted(&row) {
                batch.push(row);
            }
            if batch.len() as u64 == BATCH {
                write(db, &mut out, &std::mem::take(&mut batch), &mut people).await?;
            }
        }
        write(db, &mut out, &batch, &mut people).await?;
    }
    bundle.end(segments)?;
    let filter = EventFilter { since: Some(since), until, ..EventFilter::default() };
    let mut after = 0;
    loop {
        let batch = store.events_after(&filter, after, BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = last.sequence;
        write(db, &mut out, &batch, &mut people).await?;
    }
    bundle.end(out)?;
    let mut out = bundle.lines("people.jsonl")?;
    let people: Vec<String> = people.into_iter().collect();
    for batch in people.chunks(BATCH as usize) {
        for person in proof::people(db, &batch.iter().map(String::as_str).collect()).await? {
            out.add(&json!({"pseudonym": person.pseudonym, "salt": person.salt, "value": person.value}))?;
        }
    }
    bundle.end(out)?;
    Ok(())
}

async fn write(
    db: &mut SqliteConnection,
    out: &mut Lines,
    rows: &[ChainRow],
    people: &mut BTreeSet<String>,
) -> Result<(), EvidenceError> {
    let names = names(db, rows).await?;
    for row in rows {
        people.extend(pseudonyms(row).map(str::to_owned));
        let mut line = serde_json::to_value(row).map_err(io::Error::from)?;
        for (field, text) in READABLE.into_iter().zip(readable(row, &names)) {
            line[field] = text.into();
        }
        out.add(&line)?;
    }
    Ok(())
}

/// Every change of the configuration. Hidden fields are left out, and secrets are marks.
async fn history(
    db: &mut SqliteConnection,
    bundle: &mut Bundle,
    since: i64,
    until: Option<i64>,
) -> Result<(), EvidenceError> {
    let mut out = bundle.lines("history.jsonl")?;
    let mut offset = 0;
    loop {
        let rows = sqlx::query(
            "SELECT id, revision, store_revision, kind, tenant_id, name, action, actor, changed_at, spec FROM history \
             WHERE changed_at >= $1 AND changed_at < $2 ORDER BY store_revision, id LIMIT $3 OFFSET $4",
        )
        .bind(since)
        .bind(until.unwrap_or(i64::MAX))
        .bind(BATCH as i64)
        .bind(offset)
        .fetch_all(&mut *db)
        .await?;
        for row in &rows {
            let kind: &str = row.try_get("kind")?;
            let spec: &str = row.try_get("spec")?;
            let spec: Value = serde_json::from_str(spec).map_err(|error| sqlx::Error::Decode(error.into()))?;
            // Of a kind that this version does not know, it cannot tell what is hidden.
            let fields = resource::by_kind(kind).map(|kind| kind.show(&spec));
            out.add(&json!({
                "kind": kind,
                "id": row.try_get::<&str, _>("id")?,
                "tenant_id": row.try_get::<&str, _>("tenant_id")?,
                "name": row.try_get::<&str, _>("name")?,
                "revision": row.try_get::<i64, _>("revision")?,
                "store_revision": row.try_get::<i64, _>("store_revision")?,
                "action": row.try_get::<&str, _>("action")?,
                "actor": row.try_get::<&str, _>("actor")?,
                "changed_at": time(row.try_get("changed_at")?),
                "resource": fields,
            }))?;
        }
        if (rows.len() as u64) < BATCH {
            break;
        }
        offset += BATCH as i64;
    }
    Ok(bundle.end(out)?)
}

async fn sessions(db: &mut SqliteConnection, bundle: &mut Bundle) -> Result<(), EvidenceError> {
    let mut out = bundle.lines("sessions.jsonl")?;
    for row in sqlx::query("SELECT * FROM session ORDER BY created_at").fetch_all(&mut *db).await? {
        let mut fields = Map::new();
        for column in row.columns().iter().filter(|column| OF_SESSIONS.contains(&column.name())) {
            let name = column.name();
            let value = match row.try_get_raw(name)?.is_null() {
                true => Value::Null,
                false if name.ends_with("_at") => time(row.try_get(name)?).into(),
                false => match row.try_get::<i64, _>(name) {
                    Ok(number) => number.into(),
                    Err(_) => row.try_get::<String, _>(name)?.into(),
                },
            };
            fields.insert(name.to_owned(), value);
        }
        out.add(&fields)?;
    }
    Ok(bundle.end(out)?)
}

async fn tokens(db: &mut SqliteConnection, bundle: &mut Bundle) -> Result<(), EvidenceError> {
    let mut out = bundle.lines("api-tokens.jsonl")?;
    if let Some(kind) = resource::by_kind("ApiToken") {
        let rows = sqlx::query("SELECT id, tenant_id, name, revision, spec, created_at FROM resource WHERE kind = $1")
            .bind(kind.kind)
            .fetch_all(&mut *db)
            .await?;
        for row in rows {
            let spec: &str = row.try_get("spec")?;
            let spec: Value = serde_json::from_str(spec).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let mut fields = kind.show(&spec);
            for name in ["id", "tenant_id", "name"] {
                fields.insert(name.to_owned(), row.try_get::<String, _>(name)?.into());
            }
            fields.insert("revision".to_owned(), row.try_get::<i64, _>("revision")?.into());
            fields.insert("created_at".to_owned(), time(row.try_get("created_at")?).into());
            out.add(&fields)?;
        }
    }
    Ok(bundle.end(out)?)
}
