//! What is written beside the chain: notes of checkpoints, sealed segments, erased persons. Each runs in the writer's
//! transaction.

use sqlx::{Row as _, SqliteConnection};

use super::proof::checkpoint_text;
use crate::audit::chain::{CHECKPOINT, SEGMENT, SealKey};
use crate::audit::checkpoint::Last;
use crate::audit::person::PERSONAL_KINDS;
use crate::audit::segment::Segment;

/// Notes the last checkpoint, and where it is.
pub async fn note_checkpoint(
    db: &mut SqliteConnection,
    key: &SealKey,
    last: &Last,
    location: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit_checkpoint (only_row, number, line_hash, sequence, at, location, seal) \
         VALUES (1, $1, $2, $3, $4, $5, $6) ON CONFLICT (only_row) DO UPDATE SET number = excluded.number, \
         line_hash = excluded.line_hash, sequence = excluded.sequence, at = excluded.at, location = excluded.location, \
         seal = excluded.seal",
    )
    .bind(last.number as i64)
    .bind(&last.line_hash)
    .bind(last.sequence as i64)
    .bind(&last.at)
    .bind(location)
    .bind(key.seal(CHECKPOINT, &checkpoint_text(last, location)))
    .execute(db)
    .await?;
    Ok(())
}

/// Notes a segment whose file is on disk, and takes its rows out of the table.
pub async fn seal(db: &mut SqliteConnection, key: &SealKey, segment: &Segment) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit_segment (first_sequence, last_sequence, previous_hash, last_hash, file, file_sha256, \
         sealed_at, seal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(segment.first_sequence as i64)
    .bind(segment.last_sequence as i64)
    .bind(&segment.previous_hash)
    .bind(&segment.last_hash)
    .bind(&segment.file)
    .bind(&segment.file_sha256)
    .bind(segment.sealed_at)
    .bind(key.seal(SEGMENT, &segment.text()))
    .execute(&mut *db)
    .await?;
    sqlx::query("DELETE FROM event WHERE sequence BETWEEN $1 AND $2")
        .bind(segment.first_sequence as i64)
        .bind(segment.last_sequence as i64)
        .execute(db)
        .await?;
    Ok(())
}

/// What the erasure of a person found.
#[derive(Debug, Clone, Default)]
pub struct Erased {
    /// The pseudonym that stays in the chain, if the chain knew the name.
    pub pseudonym: Option<String>,
    /// How many lines of resources' histories named it.
    pub history: u64,
}

/// Whether an account or a consumer has this name or mail address, so that it would be recorded again.
pub async fn is_in_use(db: &mut SqliteConnection, person: &str) -> sqlx::Result<bool> {
    let found: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM resource WHERE kind IN ('User', 'Consumer') AND (name = $1 OR json_extract(spec, '$.email') = $1)",
    )
    .bind(person)
    .fetch_one(db)
    .await?;
    Ok(found > 0)
}

/// Takes away what a name or address stands for, and the name where histories hold it.
pub async fn erase(db: &mut SqliteConnection, person: &str) -> sqlx::Result<Erased> {
    // What is erased is overwritten in the file, not only let go of.
    sqlx::query("PRAGMA secure_delete = ON").execute(&mut *db).await?;
    let erased = erase_all(db, person).await;
    sqlx::query("PRAGMA secure_delete = OFF").execute(&mut *db).await?;
    erased
}

async fn erase_all(db: &mut SqliteConnection, person: &str) -> sqlx::Result<Erased> {
    let found = sqlx::query("SELECT pseudonym FROM audit_person WHERE value = $1")
        .bind(person)
        .fetch_optional(&mut *db)
        .await?;
    let pseudonym: Option<String> = found.map(|row| row.try_get(0)).transpose()?;
    if let Some(pseudonym) = &pseudonym {
        sqlx::query("UPDATE audit_person SET salt = NULL, value = NULL WHERE pseudonym = $1")
            .bind(pseudonym)
            .execute(&mut *db)
            .await?;
    }
    let substitute = pseudonym.as_deref().unwrap_or("erased");
    let mut history = 0;
    for label in ["user", "consumer"] {
        history += sqlx::query("UPDATE history SET actor = $1 WHERE actor = $2")
            .bind(format!("{label}:{substitute}"))
            .bind(format!("{label}:{person}"))
            .execute(&mut *db)
            .await?
            .rows_affected();
    }
    for kind in PERSONAL_KINDS {
        // A resource that once had this name is this person under every name that it had.
        history += sqlx::query(
            "UPDATE history SET name = $1, spec = json_remove(spec, '$.email', '$.display_name', '$.name') \
             WHERE kind = $2 AND id IN (SELECT id FROM history WHERE kind = $2 AND (name = $3 OR json_extract(spec, '$.email') = $3))",
        )
        .bind(substitute)
        .bind(kind)
        .bind(person)
        .execute(&mut *db)
        .await?
        .rows_affected();
    }
    Ok(Erased { pseudonym, history })
}
