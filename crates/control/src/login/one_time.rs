//! Secrets that set a password once: of invitations, of password resets, of logins that must set a new one.

use portunus_gateway::api_key;
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use sqlx::{Row as _, SqliteConnection};

use super::{SECOND, session};
use crate::store::{Store, StoreError};

/// The most that is cleared away with one new secret.
const SWEPT: i64 = 500;

/// What a secret was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody new sets their first password.
    Invitation,
    /// Somebody has forgotten theirs.
    Reset,
    /// Somebody has logged in, and must set a new one first.
    Forced,
}

impl Purpose {
    /// Its word in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Invitation => "invitation",
            Self::Reset => "reset",
            Self::Forced => "forced",
        }
    }

    /// How many seconds it is good for.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Invitation => 7 * 24 * 3600,
            Self::Reset => 3600,
            Self::Forced => 15 * 60,
        }
    }
}

/// A secret that was just made.
pub struct OneTime {
    /// The secret, shown this once.
    pub token: String,
    /// When it ends, in microseconds since 1970.
    pub expires_at: i64,
}

/// Makes a secret for a user inside a transaction. The one before for the same purpose ends.
pub async fn make_in(db: &mut SqliteConnection, user: Id, purpose: Purpose, now: i64) -> sqlx::Result<OneTime> {
    let token = format!("ptn_once_{}", api_key::random_text(43));
    let expires_at = now + purpose.seconds() * SECOND;
    sqlx::query("DELETE FROM one_time_token WHERE user_id = $1 AND purpose = $2")
        .bind(user.to_string())
        .bind(purpose.word())
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "DELETE FROM one_time_token WHERE sha256 IN (SELECT sha256 FROM one_time_token WHERE expires_at < $1 LIMIT $2)",
    )
    .bind(now)
    .bind(SWEPT)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO one_time_token (sha256, purpose, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(session::sha256(&token))
    .bind(purpose.word())
    .bind(user.to_string())
    .bind(now)
    .bind(expires_at)
    .execute(db)
    .await?;
    Ok(OneTime { token, expires_at })
}

/// Makes a secret for a user.
pub async fn make(store: &Store, user: Id, purpose: Purpose) -> Result<OneTime, StoreError> {
    store.transact(move |write| Box::pin(async move { make_in(write.db, user, purpose, write.now).await })).await
}

/// Whose this secret is, if it is still good.
pub async fn owner(store: &Store, token: &str) -> sqlx::Result<Option<Id>> {
    let row =
        sqlx::query("SELECT user_id FROM one_time_token WHERE sha256 = $1 AND used_at IS NULL AND expires_at > $2")
            .bind(session::sha256(token))
            .bind(clock::now().as_microsecond())
            .fetch_optional(store.readers())
            .await?;
    let Some(row) = row else { return Ok(None) };
    let id: &str = row.try_get("user_id")?;
    id.parse().map(Some).map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))
}

/// Uses a secret up; says whether it was still good.
pub async fn take(store: &Store, token: &str) -> Result<bool, StoreError> {
    let sha256 = session::sha256(token);
    store
        .transact(move |write| {
            Box::pin(async move {
                let taken = sqlx::query(
                    "UPDATE one_time_token SET used_at = $1 WHERE sha256 = $2 AND used_at IS NULL AND expires_at > $1",
                )
                .bind(write.now)
                .bind(sha256)
                .execute(write.db)
                .await?;
                Ok(taken.rows_affected() > 0)
            })
        })
        .await
}
