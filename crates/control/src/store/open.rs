//! Opens the store: makes it, migrates it, loads what the data plane needs, and starts the writer.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::TryStreamExt;
use portunus_gateway::config::{AnyEntry, KINDS};
use portunus_gateway::kind::Meta;
use portunus_gateway::secret::reference::References;
use portunus_gateway::snapshot::compiler::{Change, Compiler};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row as _, SqlStr, SqliteConnection};
use thiserror::Error;
use tokio::sync::mpsc;

use super::Store;
use super::audit::proof::check_end;
use super::events::Chain;
use super::keys::{self, KeyError, MasterKeys, StoreKeys};
use super::writer::{Writer, access_table};
use crate::audit::fault::Fault;

/// Why the store cannot be opened, in one plain sentence each.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder of the store cannot be used.
    #[error("the data directory {0} cannot be written: {1}")]
    Directory(PathBuf, std::io::Error),
    /// The file cannot be opened.
    #[error("the store {0} cannot be opened: {1}")]
    Open(PathBuf, String),
    /// A later version wrote it.
    #[error(
        "the store {0} was written by a newer version of Portunus (schema {1}); start that version, or restore a backup made before the upgrade"
    )]
    Newer(PathBuf, i64),
    /// Its keys are sealed under another secret key.
    #[error("the secret key does not open the store {0}: it was made with another one")]
    OtherMaster(PathBuf),
    /// What it holds cannot be used.
    #[error("the store {0} holds a configuration that does not compile: {1}")]
    Content(PathBuf, String),
}

/// What was opened.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Whether it has no account yet, so that nobody could use it.
    pub is_empty: bool,
    /// What is wrong with the end of its audit chain.
    pub audit_fault: Option<Fault>,
}

fn migrator() -> Migrator {
    let migrations = [
        (1, "store", include_str!("../../migrations/sqlite/0001_store.sql")),
        (2, "audit", include_str!("../../migrations/sqlite/0002_audit.sql")),
        (3, "login", include_str!("../../migrations/sqlite/0003_login.sql")),
        (5, "oidc", include_str!("../../migrations/sqlite/0005_oidc.sql")),
        (4, "mfa", include_str!("../../migrations/sqlite/0004_mfa.sql")),
        (6, "last_use", include_str!("../../migrations/sqlite/0006_last_use.sql")),
        (7, "approvals", include_str!("../../migrations/sqlite/0007_approvals.sql")),
        (9, "audit_proofs", include_str!("../../migrations/sqlite/0009_audit_proofs.sql")),
    ];
    Migrator::with_migrations(
        migrations
            .into_iter()
            .map(|(version, name, sql)| {
                Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, SqlStr::from_static(sql), false)
            })
            .collect(),
    )
}

/// Opens the store in this file, making it if it is not there. Its secrets are sealed under the master keys.
pub async fn open(path: &Path, masters: &MasterKeys, references: References) -> Result<Opened, OpenError> {
    let failed = |error: sqlx::Error| OpenError::Open(path.to_owned(), error.to_string());
    if let Some(folder) = path.parent() {
        check_writable(folder).map_err(|error| OpenError::Directory(folder.to_owned(), error))?;
    }
    make_private(path).map_err(|error| OpenError::Open(path.to_owned(), error.to_string()))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What was acknowledged survives a power cut; group commit pays for it.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // What was deleted or changed is not left in the file: it may have been a secret.
        .pragma("secure_delete", "ON")
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(256);
    let mut db = options.connect().await.map_err(failed)?;
    migrate(&mut db, path).await?;
    let keys = keys::load(&mut db, masters, references, true).await.map_err(|error| match error {
        KeyError::OtherMaster => OpenError::OtherMaster(path.to_owned()),
        KeyError::Database(error) => failed(error),
    })?;
    let audit_fault = check_end(&mut db, &keys.audit).await.map_err(failed)?.err();
    let chain = Chain::open(&mut db, keys.audit.clone()).await.map_err(failed)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options.read_only(true).create_if_missing(false))
        .await
        .map_err(failed)?;
    let (compiler, revision) = load(&mut db, path, &keys).await?;
    let accounts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM resource WHERE kind IN ('User', 'ServiceAccount')")
        .fetch_one(&mut db)
        .await
        .map_err(failed)?;
    let access = access_table(&mut db).await.map_err(failed)?;
    let snapshot = Arc::new(ArcSwap::from_pointee(compiler.snapshot(revision)));
    let access = Arc::new(ArcSwap::from_pointee(access));
    let (jobs, queue) = mpsc::channel(1024);
    let writer = Writer {
        db,
        compiler,
        chain,
        keys: keys.clone(),
        revision,
        snapshot: snapshot.clone(),
        access: access.clone(),
    };
    tokio::spawn(writer.run(queue));
    Ok(Opened { store: Store { readers, jobs, snapshot, access, keys }, is_empty: accounts == 0, audit_fault })
}

/// Opens the store of a process that may be stopped, for reading only.
pub async fn open_to_read(path: &Path, masters: &MasterKeys) -> Result<(SqliteConnection, StoreKeys), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Open(path.to_owned(), error.to_string());
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
    let mut db = options.connect().await.map_err(failed)?;
    let keys = keys::load(&mut db, masters, References::default(), false).await.map_err(|error| match error {
        KeyError::OtherMaster => OpenError::OtherMaster(path.to_owned()),
        KeyError::Database(error) => failed(error),
    })?;
    Ok((db, keys))
}

/// SQLite would say "unable to open database file", which tells nobody what to do.
fn check_writable(folder: &Path) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(format!(".portunus-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

/// Only the process's user may read the store. SQLite gives its other files the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn migrate(db: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    match migrator().run_direct(None, db, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _)) => {
            Err(OpenError::Newer(path.to_owned(), version))
        }
        Err(error) => Err(OpenError::Open(path.to_owned(), error.to_string())),
    }
}

/// Streams every resource that shapes traffic into the compiler.
async fn load(db: &mut SqliteConnection, path: &Path, keys: &StoreKeys) -> Result<(Compiler, u64), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Open(path.to_owned(), error.to_string());
    let broken = |what: &str, error: String| OpenError::Content(path.to_owned(), format!("{what}: {error}"));
    let revision: i64 =
        sqlx::query_scalar("SELECT revision FROM store_revision").fetch_one(&mut *db).await.map_err(failed)?;
    let mut changes = Vec::new();
    for kind in KINDS {
        let mut rows = sqlx::query("SELECT id, tenant_id, name, spec FROM resource WHERE kind = $1")
            .bind(kind.kind)
            .fetch(&mut *db);
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let text = |column| row.try_get::<&str, _>(column).map_err(failed);
            let name = text("name")?;
            let id = |column| -> Result<_, OpenError> {
                text(column)?.parse().map_err(|error: uuid::Error| broken(name, error.to_string()))
            };
            let meta = Meta { id: id("id")?, tenant_id: id("tenant_id")?, name: name.into() };
            let entry =
                AnyEntry::read_text(kind.kind, meta, text("spec")?).map_err(|error| broken(name, error.to_string()))?;
            changes.extend(entry.map(Change::Put));
        }
    }
    let mut compiler = Compiler::new(keys.secrets.clone());
    match compiler.apply(changes) {
        Ok(_) => Ok((compiler, revision as u64)),
        Err(faults) => {
            let first = faults.first().map(|fault| format!("{} {}", fault.id, fault.problem)).unwrap_or_default();
            Err(OpenError::Content(path.to_owned(), first))
        }
    }
}
