//! How often a person's second factor may be guessed. Counted by person and kept in the store, so that neither another
//! login nor a restart begins a new count, and a right factor in between does not either.

use portunus_gateway::kind::Id;
use sqlx::SqliteConnection;

/// Wrong factors within [`WINDOW`] after which none is looked at any more.
pub const MOST: i64 = 5;

/// In microseconds: five minutes.
pub const WINDOW: i64 = 5 * 60 * 1_000_000;

/// The seconds until the next factor is looked at, if there were too many wrong ones.
pub async fn wait(db: &mut SqliteConnection, user: Id, now: i64) -> sqlx::Result<Option<u64>> {
    let (count, oldest): (i64, Option<i64>) =
        sqlx::query_as("SELECT COUNT(*), MIN(at) FROM mfa_failure WHERE user_id = $1 AND at > $2")
            .bind(user.to_string())
            .bind(now - WINDOW)
            .fetch_one(db)
            .await?;
    Ok(oldest.filter(|_| count >= MOST).map(|oldest| ((oldest + WINDOW - now) / 1_000_000) as u64 + 1))
}

/// Notes a wrong factor; whether it was the last one that is looked at.
pub async fn failed(db: &mut SqliteConnection, user: Id, now: i64) -> sqlx::Result<bool> {
    let id = user.to_string();
    sqlx::query("DELETE FROM mfa_failure WHERE user_id = $1 AND at <= $2")
        .bind(&id)
        .bind(now - WINDOW)
        .execute(&mut *db)
        .await?;
    sqlx::query("INSERT INTO mfa_failure (user_id, at) VALUES ($1, $2)").bind(&id).bind(now).execute(&mut *db).await?;
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM mfa_failure WHERE user_id = $1").bind(&id).fetch_one(db).await?;
    Ok(count >= MOST)
}
