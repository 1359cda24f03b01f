//! Changes the key that secrets are sealed with, while everything goes on: a new key seals from now on, what the old ones
//! have sealed is sealed anew piece by piece, and what is no longer needed is deleted.
//!
//! It can be broken off at any point: each key opens what it has sealed, and the next rotation finishes the work.

use std::time::Duration;

use portunus_gateway::kind::KindInfo;
use portunus_gateway::secret::{Keyring, field};
use serde_json::{Value, json};
#[expect(
    clippy::disallowed_types,
    reason = "names of tables and columns come from the schema of the database itself"
)]
use sqlx::AssertSqlSafe;
use sqlx::{QueryBuilder, Row as _, SqliteConnection};
use thiserror::Error;

use super::read::{self, COLUMNS};
use super::{Store, StoreError};
use crate::audit::event::{Actor, NewEvent};
use crate::mfa::{challenge, totp};
use crate::resource;
use crate::token::key as signing_key;

/// A column of the store that holds what is sealed.
struct Column {
    last: &'static str,
    select: &'static str,
    update: &'static str,
    /// Whether its rows are resources, which the compiler knows.
    is_resource: bool,
    holds: Holds,
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Holds {
    /// Documents with the secrets of their kinds.
    Documents,
    /// A value that is sealed for this purpose.
    Value(&'static str),
}

/// Whether a table is that of the resources.
const fn is_resource(table: &str) -> bool {
    matches!(table.as_bytes(), b"resource")
}

macro_rules! column {
    ($table:literal, $column:literal, $kind:literal, $holds:expr) => {
        Column {
            last: concat!("SELECT COALESCE(MAX(rowid), 0) FROM ", $table),
            select: concat!(
                "SELECT rowid, ",
                $column,
                " AS value, ",
                $kind,
                " AS kind FROM ",
                $table,
                " WHERE rowid > $1 AND rowid <= $2 AND ",
                $column,
                " LIKE '%enc:1:%'"
            ),
            update: concat!("UPDATE ", $table, " SET ", $column, " = $1 WHERE rowid = $2 AND ", $column, " = $3"),
            is_resource: is_resource($table),
            holds: $holds,
        }
    };
    ($table:literal, $column:literal, $purpose:expr) => {
        column!($table, $column, "''", Holds::Value($purpose))
    };
}

/// Every such column. One that is missing here keeps its key from being deleted. Resources come first: once none is left
/// there, no line of history with an old key can be added.
static COLUMNS_WITH_SECRETS: [Column; 5] = [
    column!("resource", "spec", "kind", Holds::Documents),
    column!("history", "spec", "kind", Holds::Documents),
    column!("signing_key", "private_key", signing_key::PURPOSE),
    column!("mfa_method", "data", totp::PURPOSE),
    column!("mfa_challenge", "state", challenge::PURPOSE),
];

/// Tables that hold no secrets and can be large.
const OTHERS: [&str; 3] = ["event", "audit_", "reference"];

/// How many rows are looked at in one go.
const STRIDE: i64 = 2_000;

/// How long a value may be on its way from being sealed to being stored, outside of the writer.
const ON_THEIR_WAY: Duration = Duration::from_secs(2);

/// How often it is looked for what was changed while it was sealed anew.
const MOST_ROUNDS: u32 = 10;

/// What a rotation did.
#[derive(Debug)]
pub struct Rotated {
    /// The id of the key that seals now.
    pub key: String,
    /// How many values were sealed anew.
    pub resealed: u64,
    /// The ids of the keys that were deleted.
    pub deleted: Vec<String>,
    /// Where old keys are still needed; they are kept for that.
    pub left: Vec<String>,
}

/// Why a rotation did not come to its end.
#[derive(Debug, Error)]
pub enum RotationError {
    /// Another one is under way.
    #[error("the keys are being changed already")]
    Busy,
    /// The store failed, or its keys could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RotationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A row with something to seal anew.
struct Found {
    rowid: i64,
    before: String,
    after: String,
}

impl Store {
    /// Makes a new key for secrets, seals everything anew with it, and deletes the keys that nothing needs any more.
    pub async fn rotate_secrets(&self, actor: Actor) -> Result<Rotated, RotationError> {
        let _turn = self.keys.rotating.try_lock().map_err(|_| RotationError::Busy)?;
        let (keys, by) = (self.keys.clone(), actor.clone());
        let (key, retired) = self
            .transact(move |write| {
                Box::pin(async move {
                    let (key, retired) = keys.succeed(write.db, write.now).await?;
                    let details = json!({ "key": key, "retired": retired });
                    write.events.push(NewEvent::new(by, "secret.rotated").with(details));
                    Ok((key, retired))
                })
            })
            .await?;
        let mut db = self.readers.acquire().await?;
        self.keys.reread(&mut db).await.map_err(|error| StoreError(error.to_string()))?;
        let mut resealed = self.reseal_all(&mut db).await?;
        tokio::time::sleep(ON_THEIR_WAY).await;
        for _ in 0..MOST_ROUNDS {
            match self.reseal_all(&mut db).await? {
                0 => break,
                more => resealed += more,
            }
        }
        let (mut deleted, mut left) = (Vec::new(), Vec::new());
        for id in retired {
            let places = needed_by(&mut db, &id).await?;
            if places.is_empty() {
                deleted.push(id);
            } else {
                tracing::error!(target: "control", key = id, places = places.join(", "), "an old key is still needed");
                left.extend(places);
            }
        }
        drop(db);
        // This process still opens what they sealed, for those who have read it before; none will after it.
        let gone = deleted.clone();
        self.transact(move |write| {
            Box::pin(async move {
                for id in &gone {
                    sqlx::query("DELETE FROM data_key WHERE id = $1").bind(id).execute(&mut *write.db).await?;
                }
                write.after.empty_log = true;
                let details = json!({ "deleted": gone, "resealed": resealed });
                write.events.push(NewEvent::new(actor, "secret.resealed").with(details));
                Ok(())
            })
        })
        .await?;
        Ok(Rotated { key, resealed, deleted, left })
    }

    async fn reseal_all(&self, db: &mut SqliteConnection) -> Result<u64, RotationError> {
        let mut count = 0;
        for column in &COLUMNS_WITH_SECRETS {
            count += self.reseal(db, column).await?;
        }
        Ok(count)
    }

    /// Seals the values of one column anew. They are read beside the traffic, and written only if they are still as they
    /// were read.
    async fn reseal(&self, db: &mut SqliteConnection, column: &'static Column) -> Result<u64, RotationError> {
        let keys = &*self.keys.secrets;
        let (mut from, mut count) = (0, 0);
        loop {
            let last: i64 = sqlx::query_scalar(column.last).fetch_one(&mut *db).await?;
            if from >= last {
                return Ok(count);
            }
            let rows = sqlx::query(column.select).bind(from).bind(from + STRIDE).fetch_all(&mut *db).await?;
            let mut found = Vec::new();
            for row in &rows {
                let before: String = row.try_get("value")?;
                let after = match column.holds {
                    Holds::Documents => document(&before, row.try_get("kind")?, keys),
                    Holds::Value(purpose) => keys.reseal(&before, purpose).ok().flatten(),
                };
                if let Some(after) = after {
                    found.push(Found { rowid: row.try_get("rowid")?, before, after });
                }
            }
            count += self.write_resealed(column, found).await?;
            from += STRIDE;
        }
    }

    /// What was changed in between is left to the next round.
    async fn write_resealed(&self, column: &'static Column, found: Vec<Found>) -> Result<u64, RotationError> {
        if found.is_empty() {
            return Ok(0);
        }
        let work = self.transact(move |write| {
            Box::pin(async move {
                let mut count = 0;
                for row in &found {
                    let update = sqlx::query(column.update).bind(&row.after).bind(row.rowid).bind(&row.before);
                    count += update.execute(&mut *write.db).await?.rows_affected();
                    if column.is_resource {
                        let mut query = QueryBuilder::new(COLUMNS);
                        query.push(" WHERE rowid = ").push_bind(row.rowid);
                        let rows = read::all(&mut *write.db, query).await?;
                        write.after.resealed.extend(rows.iter().filter_map(|row| row.entry().ok().flatten()));
                    }
                }
                Ok(count)
            })
        });
        Ok(work.await?)
    }
}

/// A document of a kind with its secrets sealed anew; `None` when nothing is to be done.
fn document(text: &str, kind: &str, keys: &Keyring) -> Option<String> {
    let kind: &KindInfo = resource::by_kind(kind)?;
    let mut spec: Value = serde_json::from_str(text).ok()?;
    field::reseal(kind.secrets, &mut spec, keys).then(|| spec.to_string())
}

/// The columns in which something is sealed with this key.
async fn needed_by(db: &mut SqliteConnection, id: &str) -> sqlx::Result<Vec<String>> {
    let columns = sqlx::query(
        "SELECT t.name AS tbl, c.name AS col FROM sqlite_master t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND c.type = 'TEXT' ORDER BY 1, 2",
    )
    .fetch_all(&mut *db)
    .await?;
    let mut places = Vec::new();
    for row in columns {
        let (table, column): (String, String) = (row.try_get("tbl")?, row.try_get("col")?);
        if OTHERS.iter().any(|other| table.starts_with(other)) {
            continue;
        }
        let select = format!("SELECT EXISTS (SELECT 1 FROM \"{table}\" WHERE \"{column}\" LIKE $1)");
        let pattern = format!("%enc:1:{id}:%");
        if sqlx::query_scalar::<_, bool>(AssertSqlSafe(select)).bind(pattern).fetch_one(&mut *db).await? {
            places.push(format!("{table}.{column}"));
        }
    }
    Ok(places)
}
