//! Ends requests whose time has run out, so that the record tells it, and forgets those that ended long ago.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use tokio::sync::watch;

use super::row::find;
use crate::audit::event::Actor;
use crate::control::Control;
use crate::store::state::StateWrite;
use crate::store::{Store, StoreError};

/// How often is looked. Whether a request still holds is judged by the clock, not by this.
const PAUSE: Duration = Duration::from_secs(30);

/// How long requests are kept after their end; the record of events keeps them longer.
const KEPT: i64 = 90 * 24 * 3600 * 1_000_000;

/// The most requests that are ended in one transaction.
const BATCH: i64 = 200;

/// Does it for as long as the process serves.
pub async fn run(control: Arc<Control>, mut draining: watch::Receiver<bool>) {
    loop {
        if let Err(error) = expire(&control.store).await {
            tracing::warn!(target: "control", error = %error, "approvals_not_expired");
        }
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn expire(store: &Store) -> Result<(), StoreError> {
    let now = portunus_gateway::clock::now().as_microsecond();
    let is_due: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM approval WHERE (status = 'pending' AND expires_at <= $1) \
         OR (status = 'approved' AND approved_until <= $1) OR ended_at < $2)",
    )
    .bind(now)
    .bind(now - KEPT)
    .fetch_one(store.readers())
    .await?;
    if !is_due {
        return Ok(());
    }
    store
        .transact(|write| {
            Box::pin(async move {
                let StateWrite { db, events, now, .. } = write;
                sqlx::query("DELETE FROM approval WHERE ended_at < $1").bind(now - KEPT).execute(&mut *db).await?;
                let due = sqlx::query(
                    "SELECT id FROM approval WHERE (status = 'pending' AND expires_at <= $1) \
                     OR (status = 'approved' AND approved_until <= $1) LIMIT $2",
                )
                .bind(now)
                .bind(BATCH)
                .fetch_all(&mut *db)
                .await?;
                for row in due {
                    let Ok(id) = row.try_get::<&str, _>("id")?.parse() else { continue };
                    let Some(mut approval) = find(db, id).await? else { continue };
                    if approval.life.age(now) {
                        approval.end(db, events, Actor::system("approvals"), now).await?;
                    }
                }
                Ok(())
            })
        })
        .await
}
