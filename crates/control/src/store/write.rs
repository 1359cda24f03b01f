//! The statements of a commit. Rows are written in batches, so that a bulk change costs its bytes and not its rows.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::Done;
use super::row::Row;

/// Rows per statement; SQLite takes 32,766 parameters.
const BATCH: usize = 500;

/// A resource with what is done to it.
pub struct Write<'a> {
    /// What is done.
    pub done: Done,
    /// The resource after it; for a deletion, before it.
    pub row: &'a Row,
}

/// Writes resources, references, history and the store's revision.
pub async fn write(
    db: &mut SqliteConnection,
    writes: &[Write<'_>],
    actor: &str,
    revision: u64,
    now: i64,
) -> sqlx::Result<()> {
    let kept: Vec<&Row> = writes.iter().filter(|write| write.done != Done::Deleted).map(|write| write.row).collect();
    let changed: Vec<&Row> = writes.iter().filter(|write| write.done == Done::Updated).map(|write| write.row).collect();
    let deleted: Vec<&Row> = writes.iter().filter(|write| write.done == Done::Deleted).map(|write| write.row).collect();
    for rows in deleted.chunks(BATCH) {
        delete(db, "DELETE FROM reference WHERE from_id IN (", rows).await?;
        delete(db, "DELETE FROM resource WHERE id IN (", rows).await?;
    }
    for rows in changed.chunks(BATCH) {
        delete(db, "DELETE FROM reference WHERE from_id IN (", rows).await?;
    }
    for rows in kept.chunks(BATCH) {
        put(db, rows).await?;
    }
    let references: Vec<(&Row, &str, String)> = kept
        .iter()
        .flat_map(|row| row.references().into_iter().map(move |(field, to)| (*row, field, to.to_string())))
        .collect();
    for batch in references.chunks(BATCH) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO reference (from_id, field, to_id) ");
        query.push_values(batch, |mut values, (row, field, to)| {
            values.push_bind(row.id.to_string()).push_bind(*field).push_bind(to.as_str());
        });
        query.build().execute(&mut *db).await?;
    }
    for batch in writes.chunks(BATCH) {
        history(db, batch, actor, revision, now).await?;
    }
    sqlx::query("UPDATE store_revision SET revision = $1").bind(revision as i64).execute(&mut *db).await?;
    Ok(())
}

async fn delete(db: &mut SqliteConnection, start: &'static str, rows: &[&Row]) -> sqlx::Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(start);
    let mut ids = query.separated(", ");
    for row in rows {
        ids.push_bind(row.id.to_string());
    }
    query.push(")");
    query.build().execute(db).await?;
    Ok(())
}

async fn put(db: &mut SqliteConnection, rows: &[&Row]) -> sqlx::Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO resource (id, kind, tenant_id, name, revision, spec, created_at, updated_at) ",
    );
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.id.to_string())
            .push_bind(row.kind.kind)
            .push_bind(row.tenant_id.to_string())
            .push_bind(row.name.as_str())
            .push_bind(row.revision as i64)
            .push_bind(row.spec.to_string())
            .push_bind(row.created_at)
            .push_bind(row.updated_at);
    });
    query.push(
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, revision = excluded.revision, spec = excluded.spec, updated_at = excluded.updated_at",
    );
    query.build().execute(db).await?;
    Ok(())
}

async fn history(
    db: &mut SqliteConnection,
    writes: &[Write<'_>],
    actor: &str,
    revision: u64,
    now: i64,
) -> sqlx::Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO history (id, revision, store_revision, kind, tenant_id, name, action, actor, changed_at, spec) ",
    );
    query.push_values(writes, |mut values, write| {
        let row = write.row;
        // A deletion is a revision of its own.
        let own = row.revision + u64::from(write.done == Done::Deleted);
        values
            .push_bind(row.id.to_string())
            .push_bind(own as i64)
            .push_bind(revision as i64)
            .push_bind(row.kind.kind)
            .push_bind(row.tenant_id.to_string())
            .push_bind(row.name.as_str())
            .push_bind(write.done.word())
            .push_bind(actor)
            .push_bind(now)
            .push_bind(row.spec.to_string());
    });
    query.build().execute(db).await?;
    Ok(())
}
