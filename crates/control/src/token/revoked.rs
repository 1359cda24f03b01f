//! Access tokens that were taken back (RFC 7009) while their time was not over. They are kept in the store, and in memory
//! for the calls.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use portunus_gateway::clock;
use sqlx::Row as _;

use super::Claims;
use crate::audit::event::{Actor, NewEvent};
use crate::store::{Store, StoreError};

/// The most tokens that can be revoked at once. Forgetting one would make it valid again, so more are refused.
const MOST: usize = 100_000;

/// The revoked tokens by their ids, with the second in which their time is over.
#[derive(Default)]
pub struct Revoked(RwLock<HashMap<String, i64>>);

/// What came of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The token is dead.
    Done,
    /// Too many others are revoked; nothing was done.
    Full,
}

impl Revoked {
    pub(super) async fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = sqlx::query("SELECT jti, expires_at FROM revoked_token WHERE expires_at >= $1")
            .bind(clock::now().as_second())
            .fetch_all(store.readers())
            .await?;
        let known = rows.iter().map(|row| Ok((row.try_get("jti")?, row.try_get("expires_at")?)));
        Ok(Self(RwLock::new(known.collect::<sqlx::Result<_>>()?)))
    }

    /// Whether this token was taken back.
    pub fn contains(&self, jti: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(jti)
    }

    /// Takes a token back. When this returns, no call gets through with it.
    pub async fn revoke(&self, store: &Store, claims: &Claims, actor: Actor) -> Result<Revocation, StoreError> {
        let now = clock::now().as_second();
        {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.retain(|_, expires_at| *expires_at >= now);
            }
            if known.len() >= MOST {
                return Ok(Revocation::Full);
            }
            known.insert(claims.jti.clone(), claims.exp);
        }
        let (jti, expires_at) = (claims.jti.clone(), claims.exp);
        let event = NewEvent::new(actor, "token.revoked").with(serde_json::json!({ "token": claims.jti }));
        store
            .transact(move |write| {
                Box::pin(async move {
                    sqlx::query("DELETE FROM revoked_token WHERE expires_at < $1")
                        .bind(now)
                        .execute(&mut *write.db)
                        .await?;
                    sqlx::query("INSERT INTO revoked_token (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                        .bind(jti)
                        .bind(expires_at)
                        .execute(&mut *write.db)
                        .await?;
                    write.events.push(event);
                    Ok(())
                })
            })
            .await?;
        Ok(Revocation::Done)
    }
}
