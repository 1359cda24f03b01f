//! The second factors that people have.

use jiff::Timestamp;
use portunus_gateway::kind::Id;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

/// The most factors of one person.
pub const MOST: i64 = 20;

/// A factor that nobody confirms within this time is forgotten; in microseconds.
const UNCONFIRMED: i64 = 15 * 60 * 1_000_000;

/// What a factor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodType {
    /// An app that shows codes.
    Totp,
    /// A security key, or what a phone or a computer has in its place.
    Webauthn,
}

impl MethodType {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Webauthn => "webauthn",
        }
    }
}

/// A factor.
pub struct Method {
    /// Its id.
    pub id: Id,
    /// What it is.
    pub method_type: MethodType,
    /// What its owner calls it.
    pub label: String,
    /// A sealed secret, or a public credential as JSON.
    pub data: String,
    /// The sign counter of an authenticator.
    pub counter: u32,
    /// The last time step of which a code was taken.
    pub last_step: u64,
    /// When it was made.
    pub created_at: i64,
    /// When its owner showed that it works.
    pub confirmed_at: Option<i64>,
    /// When it was last used.
    pub last_used_at: Option<i64>,
}

/// A factor as its owner sees it.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    id: Id,
    #[serde(rename = "type")]
    method_type: MethodType,
    label: &'a str,
    confirmed: bool,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl Method {
    /// As its owner sees it.
    pub fn shown(&self) -> Shown<'_> {
        let time = |micros: i64| Timestamp::from_microsecond(micros).unwrap_or_default();
        Shown {
            id: self.id,
            method_type: self.method_type,
            label: &self.label,
            confirmed: self.confirmed_at.is_some(),
            created_at: time(self.created_at),
            last_used_at: self.last_used_at.map(time),
        }
    }

    fn read(row: &SqliteRow) -> sqlx::Result<Self> {
        let broken = |error: uuid::Error| sqlx::Error::Decode(Box::new(error));
        Ok(Self {
            id: row.try_get::<&str, _>("id")?.parse().map_err(broken)?,
            method_type: match row.try_get("method_type")? {
                "webauthn" => MethodType::Webauthn,
                _ => MethodType::Totp,
            },
            label: row.try_get("label")?,
            data: row.try_get("data")?,
            counter: row.try_get::<i64, _>("counter")? as u32,
            last_step: row.try_get::<i64, _>("last_step")? as u64,
            created_at: row.try_get("created_at")?,
            confirmed_at: row.try_get("confirmed_at")?,
            last_used_at: row.try_get("last_used_at")?,
        })
    }
}

/// Every factor of a person, the confirmed and the others, in the order in which they were made.
pub async fn of(db: &mut SqliteConnection, user: Id) -> sqlx::Result<Vec<Method>> {
    let rows = sqlx::query("SELECT * FROM mfa_method WHERE user_id = $1 ORDER BY id")
        .bind(user.to_string())
        .fetch_all(db)
        .await?;
    rows.iter().map(Method::read).collect()
}

/// A new factor.
pub struct NewMethod {
    /// Its owner.
    pub user: Id,
    /// What it is.
    pub method_type: MethodType,
    /// What its owner calls it.
    pub label: String,
    /// A sealed secret, or a public credential as JSON.
    pub data: String,
    /// The id of a WebAuthn credential.
    pub credential_id: Option<String>,
    /// Whether it has been shown to work.
    pub is_confirmed: bool,
}

/// Adds a factor; `None` when its owner has too many, or the credential is registered already.
pub async fn add(db: &mut SqliteConnection, method: NewMethod, now: i64) -> sqlx::Result<Option<Id>> {
    let user = method.user.to_string();
    sqlx::query("DELETE FROM mfa_method WHERE user_id = $1 AND confirmed_at IS NULL AND created_at <= $2")
        .bind(&user)
        .bind(now - UNCONFIRMED)
        .execute(&mut *db)
        .await?;
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM mfa_method WHERE user_id = $1")
        .bind(&user)
        .fetch_one(&mut *db)
        .await?;
    if count >= MOST {
        return Ok(None);
    }
    let id = Id::now_v7();
    let added = sqlx::query(
        "INSERT INTO mfa_method (id, user_id, method_type, label, data, credential_id, created_at, confirmed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential_id) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(user)
    .bind(method.method_type.word())
    .bind(method.label)
    .bind(method.data)
    .bind(method.credential_id)
    .bind(now)
    .bind(method.is_confirmed.then_some(now))
    .execute(db)
    .await?;
    Ok((added.rows_affected() == 1).then_some(id))
}

/// Notes that a code of this time step was taken.
pub async fn used_step(db: &mut SqliteConnection, id: Id, step: u64, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE mfa_method SET last_step = $1, last_used_at = $2, confirmed_at = COALESCE(confirmed_at, $2) WHERE id = $3",
    )
    .bind(step as i64)
    .bind(now)
    .bind(id.to_string())
    .execute(db)
    .await?;
    Ok(())
}

/// Notes what an authenticator's assertion says of its credential.
pub async fn used_credential(
    db: &mut SqliteConnection,
    id: Id,
    data: &str,
    counter: u32,
    now: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE mfa_method SET data = $1, counter = $2, last_used_at = $3 WHERE id = $4")
        .bind(data)
        .bind(i64::from(counter))
        .bind(now)
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// Removes one factor of a person.
pub async fn remove(db: &mut SqliteConnection, user: Id, id: Id) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM mfa_method WHERE user_id = $1 AND id = $2")
        .bind(user.to_string())
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// Removes every factor of a person; how many there were.
pub async fn remove_all(db: &mut SqliteConnection, user: Id) -> sqlx::Result<u64> {
    let gone = sqlx::query("DELETE FROM mfa_method WHERE user_id = $1").bind(user.to_string()).execute(db).await?;
    Ok(gone.rows_affected())
}
