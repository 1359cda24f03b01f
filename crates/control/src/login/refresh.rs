//! Refresh tokens: each is good for one use, and using one again ends the session, because then two have it.

use std::sync::Arc;

use portunus_gateway::api_key;
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use super::session::{self, Session};
use super::{Arrival, SECOND, Started, actor, started};
use crate::access::Account;
use crate::api::error::ApiError;
use crate::audit::event::NewEvent;
use crate::control::Control;

/// A refresh token in clear.
pub(super) struct RefreshToken(pub(super) String);

impl RefreshToken {
    pub(super) fn random() -> Self {
        Self(format!("ptn_refresh_{}", api_key::random_text(43)))
    }

    pub(super) fn sha256(&self) -> String {
        session::sha256(&self.0)
    }
}

/// Why a refresh token is not taken. Its sender is not told more than that it is not.
#[derive(Debug)]
pub enum NotRefreshed {
    /// It is unknown, over, used, or its session has ended.
    Invalid,
    /// The store failed.
    Failed(Box<ApiError>),
}

impl<E: Into<ApiError>> From<E> for NotRefreshed {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// What the store says of a token.
struct Kept {
    session_id: Id,
    expires_at: i64,
    is_used: bool,
}

/// What became of a token.
enum Turn {
    Rotated,
    Reused,
    Gone,
}

/// Keeps a refresh token of a session, which it does not outlive.
pub(super) async fn insert(
    db: &mut SqliteConnection,
    session: &Session,
    sha256: &str,
    lifetime: u64,
    now: i64,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO refresh_token (sha256, session_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(sha256)
        .bind(session.id.to_string())
        .bind(now)
        .bind(session.expires_at.min(now + lifetime as i64 * SECOND))
        .execute(db)
        .await?;
    Ok(())
}

async fn kept(control: &Control, sha256: &str) -> sqlx::Result<Option<Kept>> {
    let row = sqlx::query("SELECT session_id, expires_at, used_at FROM refresh_token WHERE sha256 = $1")
        .bind(sha256)
        .fetch_optional(control.store.readers())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let session_id: &str = row.try_get("session_id")?;
    Ok(Some(Kept {
        session_id: session_id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
        expires_at: row.try_get("expires_at")?,
        is_used: row.try_get::<Option<i64>, _>("used_at")?.is_some(),
    }))
}

/// Exchanges a refresh token for a new one and an access token.
pub async fn rotate(
    control: &Control,
    token: &str,
    arrival: &Arrival,
) -> Result<(Arc<Account>, Started), NotRefreshed> {
    let sha256 = session::sha256(token);
    let now = clock::now().as_microsecond();
    let kept = kept(control, &sha256).await?.ok_or(NotRefreshed::Invalid)?;
    let mut session = session::by_id(&control.store, kept.session_id).await?.ok_or(NotRefreshed::Invalid)?;
    let account = control.store.access.load().account(session.user_id).cloned();
    let Some(account) = account.filter(|account| session.is_live(now) && !account.must_reset_password) else {
        return Err(NotRefreshed::Invalid);
    };
    if now >= kept.expires_at && !kept.is_used {
        return Err(NotRefreshed::Invalid);
    }
    let next = RefreshToken::random();
    let lifetime = control.settings.refresh_token_seconds;
    let reused = NewEvent::new(actor(&account, &arrival.origin, Some(session.id)), "session.refresh_reused")
        .of(account.tenant_id)
        .about("User", account.id, &account.name)
        .denied("refresh_reused")
        .with(json!({ "session_id": session.id }));
    let (of, next_sha256) = (session.clone(), next.sha256());
    let turn = control
        .store
        .transact(move |write| {
            Box::pin(async move {
                // Of two that come at once only one finds it unused, and only while its session lives.
                let taken = sqlx::query(
                    "UPDATE refresh_token SET used_at = $1 WHERE sha256 = $2 AND used_at IS NULL \
                     AND EXISTS (SELECT 1 FROM session WHERE id = $3 AND revoked_at IS NULL)",
                )
                .bind(write.now)
                .bind(&sha256)
                .bind(of.id.to_string())
                .execute(&mut *write.db)
                .await?;
                if taken.rows_affected() == 0 {
                    let ended = session::end_in(write.db, of.id, "refresh token used twice", write.now).await?;
                    if !ended {
                        return Ok(Turn::Gone);
                    }
                    write.events.push(reused);
                    return Ok(Turn::Reused);
                }
                insert(write.db, &of, &next_sha256, lifetime, write.now).await?;
                sqlx::query("UPDATE session SET last_seen_at = $1 WHERE id = $2")
                    .bind(write.now)
                    .bind(of.id.to_string())
                    .execute(&mut *write.db)
                    .await?;
                Ok(Turn::Rotated)
            })
        })
        .await?;
    match turn {
        Turn::Rotated => {
            session.last_seen_at = now;
            let started = started(control, &account, session, None, next, arrival).await?;
            Ok((account, started))
        }
        Turn::Reused => {
            tracing::warn!(target: "control", session_id = %session.id, "refresh_token_reused");
            Err(NotRefreshed::Invalid)
        }
        Turn::Gone => Err(NotRefreshed::Invalid),
    }
}
