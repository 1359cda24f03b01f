//! When accounts and API tokens were last used. A call only notes it in memory; the table is written every few seconds,
//! all of it in one transaction.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portunus_gateway::kind::Id;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use tokio::sync::watch;

use crate::control::Control;
use crate::store::{Store, StoreError};

/// How long a use may be known to this process only.
const EVERY: Duration = Duration::from_secs(3);

/// The most ids that wait to be written. What comes on top is noted at its next call.
const MOST: usize = 10_000;

/// Rows per statement.
const BATCH: usize = 500;

/// The last time that something was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// From where.
    pub address: Option<IpAddr>,
}

/// Uses that are not written yet.
#[derive(Debug, Default)]
pub struct LastUse {
    waiting: Mutex<HashMap<Id, Use>>,
}

impl LastUse {
    /// Notes that these were used.
    pub fn note<const N: usize>(&self, ids: [Id; N], at: i64, address: Option<IpAddr>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if waiting.len() < MOST || waiting.contains_key(&id) {
                waiting.insert(id, Use { at, address });
            }
        }
    }

    /// The last uses of these, those not yet written included.
    pub async fn of(&self, store: &Store, ids: &[Id]) -> sqlx::Result<HashMap<Id, Use>> {
        let mut known = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT id, at, address FROM last_use WHERE id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.to_string());
            }
            query.push(")");
            for row in query.build().fetch_all(store.readers()).await? {
                let id = row
                    .try_get::<&str, _>("id")?
                    .parse()
                    .map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
                let address = row.try_get::<Option<&str>, _>("address")?.and_then(|text| text.parse().ok());
                known.insert(id, Use { at: row.try_get("at")?, address });
            }
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(ids.iter().filter_map(|id| Some((*id, *waiting.get(id)?))));
        Ok(known)
    }

    /// Writes what waits. What cannot be written waits on.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return Ok(());
        }
        let uses: Vec<(Id, Use)> = taken.iter().map(|(id, last)| (*id, *last)).collect();
        let written = store
            .transact(|write| {
                Box::pin(async move {
                    for (id, last) in uses {
                        // An account that was deleted in the meantime has no last use.
                        sqlx::query(
                            "INSERT INTO last_use (id, at, address) SELECT $1, $2, $3 \
                             WHERE EXISTS (SELECT 1 FROM resource WHERE id = $1) \
                             ON CONFLICT (id) DO UPDATE SET at = excluded.at, address = excluded.address",
                        )
                        .bind(id.to_string())
                        .bind(last.at)
                        .bind(last.address.map(|address| address.to_string()))
                        .execute(&mut *write.db)
                        .await?;
                    }
                    Ok(())
                })
            })
            .await;
        if written.is_err() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, last) in taken {
                waiting.entry(id).or_insert(last);
            }
        }
        written
    }
}

/// Writes every few seconds until the process stops, and once more then.
pub async fn keep(control: Arc<Control>, mut draining: watch::Receiver<bool>) {
    loop {
        let stop = tokio::time::timeout(EVERY, draining.wait_for(|draining| *draining)).await.is_ok();
        if let Err(error) = control.last_use.write(&control.store).await {
            tracing::warn!(target: "control", error = %error, "the last uses of tokens cannot be written; they are kept");
        }
        if stop {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded() {
        let last_use = LastUse::default();
        let ids: Vec<Id> = (0..MOST as u128 + 10).map(Id::from_u128).collect();
        for id in &ids {
            last_use.note([*id], 1, None);
        }
        last_use.note([ids[0]], 2, None);
        let waiting = last_use.waiting.lock().unwrap();
        assert_eq!(waiting.len(), MOST);
        assert_eq!(waiting[&ids[0]].at, 2);
    }
}
