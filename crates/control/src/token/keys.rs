//! The keys that tokens are signed with: kept in the store, held in memory, changed from time to time.
//!
//! A new key signs at once. The one before it stays in the key set until the last token that it signed is over.

use std::sync::Arc;

use jsonwebtoken::{DecodingKey, EncodingKey};
use portunus_gateway::api_key;
use portunus_gateway::clock;
use portunus_gateway::secret::{Keyring, derive};
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::Mutex;

use super::key::{ALGORITHM, StoredKey};
use super::revoked::Revoked;
use super::{TokenSettings, Tokens};
use crate::audit::event::{Actor, NewEvent};
use crate::store::{Store, StoreError};

const MICROSECONDS: i64 = 1_000_000;

/// How long a retired key is kept beyond the last token's end, in seconds: clocks differ, and readers cache key sets.
const MARGIN: i64 = 300;

/// The keys in memory.
pub struct Keys {
    /// The one that signs.
    pub current: Signer,
    verify: Vec<(String, DecodingKey)>,
    /// The public keys as a document.
    pub jwks: Arc<str>,
}

/// The key that signs.
pub struct Signer {
    /// Its id.
    pub kid: String,
    /// The key.
    pub signs: EncodingKey,
    created_at: i64,
}

impl Keys {
    /// The key that checks what was signed with this one.
    pub fn verifies(&self, kid: &str) -> Option<&DecodingKey> {
        self.verify.iter().find(|(known, _)| known == kid).map(|(_, key)| key)
    }

    pub(super) fn new(stored: &[StoredKey], secrets: &Keyring) -> Option<Self> {
        let current = stored.iter().filter(|key| key.retired_at.is_none()).max_by_key(|key| key.created_at)?;
        let signs = current.signs(secrets)?;
        let verify = stored.iter().filter_map(|key| Some((key.kid.clone(), key.verifies()?))).collect();
        let public: Vec<_> = stored.iter().rev().map(|key| &key.public_jwk).collect();
        let current = Signer { kid: current.kid.clone(), signs, created_at: current.created_at };
        Some(Self { current, verify, jwks: json!({ "keys": public }).to_string().into() })
    }
}

impl Tokens {
    /// Reads the keys, and makes the first one. When the operator's secret is another one than that of the keys, they and
    /// all that was proved with them are gone.
    pub async fn open(store: &Store, settings: TokenSettings) -> Result<Self, StoreError> {
        let epoch = epoch(settings.epoch_secret.as_deref());
        let keep = keep(settings.longest);
        let secrets = store.keys.secrets.clone();
        let stored = store
            .transact(move |write| {
                Box::pin(async move {
                    let others: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM signing_key WHERE epoch <> $1")
                        .bind(&epoch)
                        .fetch_one(&mut *write.db)
                        .await?;
                    if others > 0 {
                        end_everything(write.db).await?;
                        write.events.push(NewEvent::new(Actor::system("tokens"), "signing_key.reset"));
                        *write.accounts_changed = true;
                    }
                    prune(write.db, write.now - keep).await?;
                    if !read(write.db).await?.iter().any(|key| key.retired_at.is_none()) {
                        insert(write.db, &StoredKey::generate(&secrets, write.now), &epoch).await?;
                    }
                    read(write.db).await
                })
            })
            .await?;
        let keys = Keys::new(&stored, &store.keys.secrets)
            .ok_or_else(|| StoreError("the key that signs tokens cannot be opened".to_owned()))?;
        let revoked = Revoked::load(store).await?;
        let lifetime = settings.lifetime;
        Ok(Self { keys: arc_swap::ArcSwap::from_pointee(keys), rotating: Mutex::new(()), settings, lifetime, revoked })
    }

    /// Signs with a new key from here on; gives its id.
    pub async fn rotate(&self, store: &Store, actor: Actor) -> Result<String, StoreError> {
        let _turn = self.rotating.lock().await;
        let new = StoredKey::generate(&store.keys.secrets, clock::now().as_microsecond());
        let (kid, before) = (new.kid.clone(), self.keys.load().current.kid.clone());
        let (epoch, keep) = (self.epoch(), keep(self.settings.longest));
        let stored = store
            .transact(move |write| {
                Box::pin(async move {
                    retire(write.db, write.now).await?;
                    insert(write.db, &new, &epoch).await?;
                    prune(write.db, write.now - keep).await?;
                    let details = json!({ "kid": new.kid, "before": before });
                    write.events.push(NewEvent::new(actor, "signing_key.rotated").with(details));
                    read(write.db).await
                })
            })
            .await?;
        self.keep(&stored, store)?;
        Ok(kid)
    }

    /// Rotates when the current key is old enough, and drops retired keys whose last token is over.
    pub async fn maintain(&self, store: &Store) -> Result<(), StoreError> {
        let now = clock::now().as_microsecond();
        let days = self.settings.key_days as i64 * 86_400 * MICROSECONDS;
        if self.keys.load().current.created_at + days <= now {
            self.rotate(store, Actor::system("tokens")).await?;
            return Ok(());
        }
        let keep = keep(self.settings.longest);
        let _turn = self.rotating.lock().await;
        let stored = store
            .transact(move |write| {
                Box::pin(async move {
                    prune(write.db, write.now - keep).await?;
                    read(write.db).await
                })
            })
            .await?;
        self.keep(&stored, store)
    }

    /// Reads the keys again, after they were put into the store by other means.
    pub async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.rotating.lock().await;
        let mut db = store.readers().acquire().await?;
        let stored = read(&mut db).await?;
        self.keep(&stored, store)
    }

    /// Recognises the operator's secret that keys are made under.
    pub fn epoch(&self) -> String {
        epoch(self.settings.epoch_secret.as_deref())
    }

    fn keep(&self, stored: &[StoredKey], store: &Store) -> Result<(), StoreError> {
        let keys = Keys::new(stored, &store.keys.secrets)
            .ok_or_else(|| StoreError("the key that signs tokens cannot be opened".to_owned()))?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }
}

/// How long a retired key is kept, in microseconds.
const fn keep(lifetime: u64) -> i64 {
    (lifetime as i64 + MARGIN) * MICROSECONDS
}

/// Recognises the operator's secret without telling anything of it.
fn epoch(secret: Option<&str>) -> String {
    let secret = secret.map(|secret| api_key::to_hex(&derive(secret.as_bytes(), "portunus token epoch v1")[..8]));
    secret.unwrap_or_default()
}

/// Every key in the store, the oldest first.
pub async fn read(db: &mut SqliteConnection) -> sqlx::Result<Vec<StoredKey>> {
    let rows = sqlx::query(
        "SELECT kid, private_key, public_jwk, created_at, retired_at FROM signing_key ORDER BY created_at, kid",
    )
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            let public: &str = row.try_get("public_jwk")?;
            Ok(StoredKey {
                kid: row.try_get("kid")?,
                private_key: row.try_get("private_key")?,
                public_jwk: serde_json::from_str(public).map_err(|error| sqlx::Error::Decode(error.into()))?,
                created_at: row.try_get("created_at")?,
                retired_at: row.try_get("retired_at")?,
            })
        })
        .collect()
}

/// Puts a key into the store, if it is not there.
pub async fn insert(db: &mut SqliteConnection, key: &StoredKey, epoch: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO signing_key (kid, algorithm, private_key, public_jwk, epoch, created_at, retired_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kid) DO NOTHING",
    )
    .bind(&key.kid)
    .bind(ALGORITHM)
    .bind(&key.private_key)
    .bind(key.public_jwk.to_string())
    .bind(epoch)
    .bind(key.created_at)
    .bind(key.retired_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Takes a key out of the store.
pub async fn remove(db: &mut SqliteConnection, kid: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM signing_key WHERE kid = $1").bind(kid).execute(db).await?;
    Ok(())
}

/// Lets the current key sign no more.
pub async fn retire(db: &mut SqliteConnection, now: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE signing_key SET retired_at = $1 WHERE retired_at IS NULL").bind(now).execute(db).await?;
    Ok(())
}

async fn prune(db: &mut SqliteConnection, before: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM signing_key WHERE retired_at < $1").bind(before).execute(db).await?;
    Ok(())
}

/// D23: no token and no session outlives the secret that it was made under.
async fn end_everything(db: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM signing_key").execute(&mut *db).await?;
    sqlx::query("DELETE FROM oidc_login").execute(&mut *db).await?;
    sqlx::query("DELETE FROM session").execute(&mut *db).await?;
    sqlx::query("DELETE FROM one_time_token").execute(db).await?;
    Ok(())
}
