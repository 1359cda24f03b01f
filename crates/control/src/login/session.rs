//! The table of sessions.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time;
use portunus_gateway::api_key;
use portunus_gateway::clock;
use portunus_gateway::kind::Id;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::{Arrival, SECOND};
use crate::access::Account;
use crate::audit::event::{Actor, NewEvent};
use crate::resource::login_policy::LoginPolicy;
use crate::store::row::time;
use crate::store::{Store, StoreError};

/// The most sessions that one user has at once; the one that was quiet the longest makes room.
const MOST: i64 = 200;

/// How often a session notes that it was used: at least twice in the shortest time that it may rest.
const TOUCH_EVERY: i64 = 30 * SECOND;

/// How long ended sessions stay listed.
const KEPT: i64 = 30 * 24 * 3600 * SECOND;

/// The most ended sessions that are cleared away with one login.
const SWEPT: i64 = 500;

const COLUMNS: &str = "SELECT id, user_id, tenant_id, created_at, last_seen_at, expires_at, address, \
    user_agent, methods, stepped_up_at, revoked_at, revoked_by FROM session";

/// Somebody who is, or was, logged in. Times are in microseconds since 1970.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: Id,
    /// The user.
    pub user_id: Id,
    /// The user's tenant.
    pub tenant_id: Id,
    /// When it began.
    pub created_at: i64,
    /// When it was last used, to half a minute.
    pub last_seen_at: i64,
    /// When it ends, whatever happens.
    pub expires_at: i64,
    /// Where it began.
    pub address: String,
    /// What the client said it was.
    pub user_agent: String,
    /// How the user showed who they are.
    pub methods: Vec<String>,
    /// When they last showed a second factor.
    pub stepped_up_at: Option<i64>,
    /// When it was ended.
    pub revoked_at: Option<i64>,
    /// Why it was ended.
    pub revoked_by: Option<String>,
}

impl Session {
    /// How many seconds it lives in all.
    pub fn seconds(&self) -> i64 {
        (self.expires_at - self.created_at) / SECOND
    }

    /// Whether it has not ended.
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Whether its cookie has rested for too long.
    pub fn is_idle(&self, policy: &LoginPolicy, now: i64) -> bool {
        now - self.last_seen_at >= i64::from(policy.session_idle_minutes) * 60 * SECOND
    }

    /// How it is shown; it holds no secret.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "user_id": self.user_id,
            "tenant_id": self.tenant_id,
            "created_at": time(self.created_at),
            "last_seen_at": time(self.last_seen_at),
            "expires_at": time(self.expires_at),
            "address": self.address,
            "user_agent": self.user_agent,
            "methods": self.methods,
            "stepped_up_at": self.stepped_up_at.map(time),
        })
    }
}

/// A session that is to be made.
pub(super) struct New {
    pub(super) id: Id,
    pub(super) account: Arc<Account>,
    pub(super) token_sha256: String,
    pub(super) methods: Vec<String>,
    pub(super) seconds: i64,
    /// Whether a second factor was shown.
    pub(super) is_stepped_up: bool,
    pub(super) arrival: Arrival,
}

/// What is kept of a secret of ours.
pub fn sha256(secret: &str) -> String {
    api_key::to_hex(&api_key::hash(secret.as_bytes()))
}

/// The value that a browser must send back in `X-CSRF-Token`. It follows from the session's cookie, so another session's
/// value is of no use; nobody can reckon the cookie from it.
pub fn csrf(cookie: &str) -> String {
    sha256(&format!("portunus csrf v1\n{cookie}"))
}

/// Whether this is the value that belongs to the cookie.
pub fn is_csrf(cookie: &str, given: &str) -> bool {
    constant_time::verify_slices_are_equal(csrf(cookie).as_bytes(), given.as_bytes()).is_ok()
}

fn read(row: &SqliteRow) -> sqlx::Result<Session> {
    let id = |column| {
        row.try_get::<&str, _>(column)?.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))
    };
    let methods: &str = row.try_get("methods")?;
    Ok(Session {
        id: id("id")?,
        user_id: id("user_id")?,
        tenant_id: id("tenant_id")?,
        created_at: row.try_get("created_at")?,
        last_seen_at: row.try_get("last_seen_at")?,
        expires_at: row.try_get("expires_at")?,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        methods: serde_json::from_str(methods).map_err(|error| sqlx::Error::Decode(error.into()))?,
        stepped_up_at: row.try_get("stepped_up_at")?,
        revoked_at: row.try_get("revoked_at")?,
        revoked_by: row.try_get("revoked_by")?,
    })
}

/// Makes a session, notes the login, and clears away what ended long ago.
pub(super) async fn insert(db: &mut SqliteConnection, new: New, now: i64) -> sqlx::Result<Session> {
    let address = new.arrival.origin.address.map(|address| address.to_string()).unwrap_or_default();
    let session = Session {
        id: new.id,
        user_id: new.account.id,
        tenant_id: new.account.tenant_id,
        created_at: now,
        last_seen_at: now,
        expires_at: now + new.seconds * SECOND,
        address,
        user_agent: new.arrival.user_agent,
        methods: new.methods,
        stepped_up_at: new.is_stepped_up.then_some(now),
        revoked_at: None,
        revoked_by: None,
    };
    sqlx::query(
        "INSERT INTO session (id, user_id, tenant_id, token_sha256, created_at, last_seen_at, expires_at, \
         address, user_agent, methods, stepped_up_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(session.id.to_string())
    .bind(session.user_id.to_string())
    .bind(session.tenant_id.to_string())
    .bind(&new.token_sha256)
    .bind(session.created_at)
    .bind(session.last_seen_at)
    .bind(session.expires_at)
    .bind(&session.address)
    .bind(&session.user_agent)
    .bind(serde_json::to_string(&session.methods).expect("texts serialise to JSON"))
    .bind(session.stepped_up_at)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO account_state (account_id, last_login_at, last_login_address) VALUES ($1, $2, $3) \
         ON CONFLICT (account_id) DO UPDATE SET last_login_at = excluded.last_login_at, \
         last_login_address = excluded.last_login_address",
    )
    .bind(session.user_id.to_string())
    .bind(now)
    .bind(&session.address)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE user_id = $1 ORDER BY last_seen_at DESC, id DESC \
         LIMIT -1 OFFSET $2)",
    )
    .bind(session.user_id.to_string())
    .bind(MOST)
    .execute(&mut *db)
    .await?;
    sqlx::query("DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires_at < $1 LIMIT $2)")
        .bind(now - KEPT)
        .bind(SWEPT)
        .execute(&mut *db)
        .await?;
    Ok(session)
}

/// The session that this cookie is of, ended or not.
pub async fn by_cookie(store: &Store, cookie: &str) -> sqlx::Result<Option<Session>> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" WHERE token_sha256 = ").push_bind(sha256(cookie));
    query.build().fetch_optional(store.readers()).await?.as_ref().map(read).transpose()
}

/// The session with this id, ended or not.
pub async fn by_id(store: &Store, id: Id) -> sqlx::Result<Option<Session>> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" WHERE id = ").push_bind(id.to_string());
    query.build().fetch_optional(store.readers()).await?.as_ref().map(read).transpose()
}

/// Whether a user has had a session from this address.
pub(super) async fn has_come_from(store: &Store, user: Id, address: IpAddr) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM session WHERE user_id = $1 AND address = $2 LIMIT 1")
        .bind(user.to_string())
        .bind(address.to_string())
        .fetch_optional(store.readers())
        .await?;
    Ok(found.is_some())
}

/// Which sessions to list.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those of this user.
    pub user_id: Option<Id>,
    /// Only those of users of these tenants; all when `None`.
    pub tenants: Option<Vec<Id>>,
    /// How many to list, the latest used first.
    pub limit: u32,
}

/// The sessions that have not ended.
pub async fn list(store: &Store, filter: &Filter) -> sqlx::Result<Vec<Session>> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" WHERE revoked_at IS NULL AND expires_at > ").push_bind(clock::now().as_microsecond());
    if let Some(user) = filter.user_id {
        query.push(" AND user_id = ").push_bind(user.to_string());
    }
    if let Some(tenants) = &filter.tenants {
        query.push(" AND tenant_id IN (");
        let mut ids = query.separated(", ");
        for tenant in tenants {
            ids.push_bind(tenant.to_string());
        }
        query.push(")");
    }
    query.push(" ORDER BY last_seen_at DESC, id DESC LIMIT ").push_bind(i64::from(filter.limit));
    query.build().fetch_all(store.readers()).await?.iter().map(read).collect()
}

/// Notes that a session is in use, now and then. Nobody waits for it.
pub fn touch(store: &Store, session: &Session) {
    let now = clock::now().as_microsecond();
    if now - session.last_seen_at < TOUCH_EVERY {
        return;
    }
    let (store, id) = (store.clone(), session.id);
    tokio::spawn(async move {
        let touched = store.transact(move |write| {
            Box::pin(async move {
                sqlx::query("UPDATE session SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $3")
                    .bind(write.now)
                    .bind(id.to_string())
                    .bind(write.now - TOUCH_EVERY)
                    .execute(write.db)
                    .await
            })
        });
        if let Err(error) = touched.await {
            tracing::error!(target: "control", error = %error, "database_connection_failed");
        }
    });
}

/// Ends one session. `event` tells of it, unless it had ended already.
pub async fn end(store: &Store, id: Id, reason: &'static str, event: NewEvent) -> Result<bool, StoreError> {
    store
        .transact(move |write| {
            Box::pin(async move {
                let ended = end_in(write.db, id, reason, write.now).await?;
                if ended {
                    write.events.push(event);
                }
                Ok(ended)
            })
        })
        .await
}

/// Ends one session inside a transaction; says whether it was live.
pub async fn end_in(db: &mut SqliteConnection, id: Id, reason: &str, now: i64) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE session SET revoked_at = $1, revoked_by = $2 WHERE id = $3 AND revoked_at IS NULL")
        .bind(now)
        .bind(reason)
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends all sessions of a user inside a transaction, but for one that is spared; says how many were live.
pub async fn end_all_in(
    db: &mut SqliteConnection,
    user: Id,
    spared: Option<Id>,
    reason: &str,
    now: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "UPDATE session SET revoked_at = $1, revoked_by = $2 \
         WHERE user_id = $3 AND id <> $4 AND revoked_at IS NULL AND expires_at > $1",
    )
    .bind(now)
    .bind(reason)
    .bind(user.to_string())
    .bind(spared.map(|id| id.to_string()).unwrap_or_default())
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Raises the generation of an account inside a transaction, which ends its tokens: those of no session too.
pub async fn raise_generation_in(db: &mut SqliteConnection, account: Id) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO account_state (account_id, generation) VALUES ($1, 1) \
         ON CONFLICT (account_id) DO UPDATE SET generation = generation + 1",
    )
    .bind(account.to_string())
    .execute(db)
    .await?;
    Ok(())
}

/// Ends every session and every token of an account at once; says how many sessions were live.
pub async fn end_everything(
    store: &Store,
    actor: Actor,
    account: &Arc<Account>,
    reason: &'static str,
) -> Result<u64, StoreError> {
    let account = account.clone();
    store
        .transact(move |write| {
            Box::pin(async move {
                let ended = end_all_in(write.db, account.id, None, reason, write.now).await?;
                raise_generation_in(write.db, account.id).await?;
                *write.accounts_changed = true;
                write.events.push(
                    NewEvent::new(actor, "session.revoked_all")
                        .of(account.tenant_id)
                        .about("User", account.id, &account.name)
                        .with(json!({ "sessions": ended, "reason": reason })),
                );
                Ok(ended)
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csrf_value_belongs_to_one_cookie() {
        assert!(is_csrf("cookie", &csrf("cookie")));
        assert!(!is_csrf("cookie", &csrf("another")));
        assert!(!is_csrf("cookie", ""));
        assert_ne!(csrf("cookie"), sha256("cookie"));
    }
}
