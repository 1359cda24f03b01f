//! The store's own keys: data keys for secrets and the key of the audit seals. They lie in the database, sealed under
//! the operator's key, which does not.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portunus_gateway::api_key;
use portunus_gateway::clock;
use portunus_gateway::secret::reference::References;
use portunus_gateway::secret::{Key, Keyring, derive, random_key};
use sqlx::{Row as _, SqliteConnection};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::audit::chain::SealKey;

/// What data keys are for.
const SECRETS: &str = "secrets";
/// What the key of the seals is for.
const AUDIT: &str = "audit";

/// The operator's key: the current one, and earlier ones that still open what they sealed.
#[derive(Clone)]
pub struct MasterKeys(Arc<Vec<(String, Key)>>);

impl MasterKeys {
    /// The keys of these secrets, the current one first.
    pub fn new(current: &[u8], previous: &[&[u8]]) -> Self {
        let all = std::iter::once(current).chain(previous.iter().copied());
        let keys = all.map(|secret| (fingerprint(secret), Key::derived(secret, "portunus key encryption v1")));
        Self(Arc::new(keys.collect()))
    }

    fn current(&self) -> &(String, Key) {
        &self.0[0]
    }
}

/// Recognises a secret without telling anything of it.
fn fingerprint(secret: &[u8]) -> String {
    api_key::to_hex(&derive(secret, "portunus key fingerprint v1")[..6])
}

/// The keys of an open store.
#[derive(Clone)]
pub struct StoreKeys {
    /// Seals and opens secrets.
    pub secrets: Arc<Keyring>,
    /// Seals the audit chain.
    pub audit: SealKey,
    /// What the keys themselves are sealed under.
    masters: MasterKeys,
    /// Held while the keys for secrets change.
    pub(super) rotating: Arc<Mutex<()>>,
}

impl StoreKeys {
    /// Makes a data key that seals from now on, and retires the others; the ids of those. Only the store knows of it until
    /// [`Self::reread`].
    pub(super) async fn succeed(&self, db: &mut SqliteConnection, now: i64) -> sqlx::Result<(String, Vec<String>)> {
        sqlx::query("UPDATE data_key SET retired_at = $1 WHERE purpose = $2 AND retired_at IS NULL")
            .bind(now)
            .bind(SECRETS)
            .execute(&mut *db)
            .await?;
        let retired = sqlx::query_scalar("SELECT id FROM data_key WHERE purpose = $1").bind(SECRETS);
        let retired = retired.fetch_all(&mut *db).await?;
        let (id, _) = add(db, &self.masters, SECRETS).await?;
        Ok((id, retired))
    }

    /// Seals with the key that is current in the store by now.
    pub(super) async fn reread(&self, db: &mut SqliteConnection) -> Result<(), KeyError> {
        let loaded = read(db, &self.masters, false).await?;
        let current = loaded.current.ok_or(KeyError::OtherMaster)?;
        self.secrets.replace(loaded.secrets, &current);
        Ok(())
    }
}

/// What lies in the store.
struct Loaded {
    secrets: Vec<(String, Key)>,
    current: Option<String>,
    audit: Option<SealKey>,
}

/// Why the keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// They are sealed under another operator's key.
    #[error("its keys are sealed under another secret key")]
    OtherMaster,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The unsealed keys of a store. What is missing is made; what an earlier operator's key sealed is sealed anew under the
/// current one, unless the store may not be written.
pub async fn load(
    db: &mut SqliteConnection,
    masters: &MasterKeys,
    references: References,
    may_write: bool,
) -> Result<StoreKeys, KeyError> {
    let Loaded { mut secrets, current, audit } = read(db, masters, may_write).await?;
    let current = match current {
        Some(id) => id,
        None => {
            let (id, bytes) = add(db, masters, SECRETS).await?;
            secrets.push((id.clone(), Key::new(&bytes)));
            id
        }
    };
    let audit = match audit {
        Some(key) => key,
        None => {
            let (id, bytes) = add(db, masters, AUDIT).await?;
            SealKey::new(&id, &bytes)
        }
    };
    let secrets = Keyring::new(secrets, &current, references);
    Ok(StoreKeys { secrets, audit, masters: masters.clone(), rotating: Arc::default() })
}

async fn read(db: &mut SqliteConnection, masters: &MasterKeys, may_write: bool) -> Result<Loaded, KeyError> {
    let mut secrets = Vec::new();
    let mut current = None;
    let mut audit = None;
    for row in sqlx::query("SELECT id, purpose, wrapped, wrapped_by, retired_at FROM data_key ORDER BY created_at, id")
        .fetch_all(&mut *db)
        .await?
    {
        let (id, purpose): (String, String) = (row.try_get("id")?, row.try_get("purpose")?);
        let by: String = row.try_get("wrapped_by")?;
        let bytes = masters.0.iter().find(|(known, _)| *known == by).and_then(|(_, master)| {
            let wrapped = URL_SAFE_NO_PAD.decode(row.try_get::<&str, _>("wrapped").ok()?).ok()?;
            <[u8; 32]>::try_from(master.open(&wrapped, &wrapping(&purpose, &id)).ok()?).ok()
        });
        let bytes = bytes.ok_or(KeyError::OtherMaster)?;
        if by != masters.current().0 && may_write {
            wrap(db, masters, &id, &purpose, &bytes).await?;
        }
        match purpose.as_str() {
            AUDIT => audit = Some(SealKey::new(&id, &bytes)),
            _ => {
                if row.try_get::<Option<i64>, _>("retired_at")?.is_none() {
                    current = Some(id.clone());
                }
                secrets.push((id, Key::new(&bytes)));
            }
        }
    }
    Ok(Loaded { secrets, current, audit })
}

fn wrapping(purpose: &str, id: &str) -> String {
    format!("data key {purpose} {id}")
}

async fn add(db: &mut SqliteConnection, masters: &MasterKeys, purpose: &str) -> sqlx::Result<(String, [u8; 32])> {
    let (id, bytes) = (api_key::random_text(8), random_key());
    sqlx::query("INSERT INTO data_key (id, purpose, wrapped, wrapped_by, created_at) VALUES ($1, $2, '', '', $3)")
        .bind(&id)
        .bind(purpose)
        .bind(clock::now().as_microsecond())
        .execute(&mut *db)
        .await?;
    wrap(db, masters, &id, purpose, &bytes).await?;
    Ok((id, bytes))
}

async fn wrap(
    db: &mut SqliteConnection,
    masters: &MasterKeys,
    id: &str,
    purpose: &str,
    bytes: &[u8; 32],
) -> sqlx::Result<()> {
    let (by, master) = masters.current();
    sqlx::query("UPDATE data_key SET wrapped = $1, wrapped_by = $2 WHERE id = $3")
        .bind(URL_SAFE_NO_PAD.encode(master.seal(bytes, &wrapping(purpose, id))))
        .bind(by)
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}
