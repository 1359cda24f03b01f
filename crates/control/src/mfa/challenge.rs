//! What the server remembers between two calls of one person: challenges of WebAuthn, and logins that wait for their
//! second factor. Each is good for one use, for five minutes, for one purpose and for one person.

use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use portunus_gateway::secret::Keyring;
use sqlx::{Row as _, SqliteConnection};

/// In microseconds: five minutes.
const LIFETIME: i64 = 5 * 60 * 1_000_000;

/// The most that one person has open for one purpose; an older one goes when there are more.
const MOST: i64 = 10;

/// What the state is sealed for.
pub const PURPOSE: &str = "mfa_challenge";

/// What a challenge is for. One that is made for one purpose is good for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A login whose password was right.
    Login,
    /// A WebAuthn assertion that completes a login.
    LoginAssertion,
    /// A WebAuthn assertion that steps a session up.
    StepUpAssertion,
    /// The registration of a WebAuthn credential.
    Registration,
}

impl Purpose {
    /// Its word in the store.
    const fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginAssertion => "login_assertion",
            Self::StepUpAssertion => "step_up_assertion",
            Self::Registration => "registration",
        }
    }
}

/// A challenge that was found.
pub struct Found {
    /// Whose it is.
    pub user: Id,
    /// What was remembered.
    pub state: String,
}

/// Remembers `state` and gives what the client brings back.
pub async fn put(
    db: &mut SqliteConnection,
    keys: &Keyring,
    user: Id,
    purpose: Purpose,
    state: &str,
    now: i64,
) -> sqlx::Result<String> {
    sqlx::query(
        "DELETE FROM mfa_challenge WHERE expires_at <= $1 OR id IN (SELECT id FROM mfa_challenge \
         WHERE user_id = $2 AND purpose = $3 ORDER BY created_at DESC, id LIMIT -1 OFFSET $4)",
    )
    .bind(now)
    .bind(user.to_string())
    .bind(purpose.word())
    .bind(MOST - 1)
    .execute(&mut *db)
    .await?;
    let token = format!("ptn_mfa_{}", api_key::random_text(40));
    sqlx::query(
        "INSERT INTO mfa_challenge (id, user_id, purpose, state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id_of(&token))
    .bind(user.to_string())
    .bind(purpose.word())
    .bind(keys.seal(state, PURPOSE))
    .bind(now)
    .bind(now + LIFETIME)
    .execute(db)
    .await?;
    Ok(token)
}

/// The challenge that goes with this token, without using it up.
pub async fn find(
    db: &mut SqliteConnection,
    keys: &Keyring,
    token: &str,
    purpose: Purpose,
    now: i64,
) -> sqlx::Result<Option<Found>> {
    let row =
        sqlx::query("SELECT user_id, state FROM mfa_challenge WHERE id = $1 AND purpose = $2 AND expires_at > $3")
            .bind(id_of(token))
            .bind(purpose.word())
            .bind(now)
            .fetch_optional(db)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let (user, state): (String, String) = (row.try_get("user_id")?, row.try_get("state")?);
    let (user, state) = (user.parse().ok(), keys.open(&state, PURPOSE).ok());
    Ok(user.zip(state).map(|(user, state)| Found { user, state }))
}

/// Uses the challenge up that goes with this token; whether or not what comes with it is right, it is gone.
pub async fn take(
    db: &mut SqliteConnection,
    keys: &Keyring,
    token: &str,
    purpose: Purpose,
    now: i64,
) -> sqlx::Result<Option<Found>> {
    let found = find(db, keys, token, purpose, now).await?;
    sqlx::query("DELETE FROM mfa_challenge WHERE id = $1 AND purpose = $2")
        .bind(id_of(token))
        .bind(purpose.word())
        .execute(db)
        .await?;
    Ok(found)
}

/// Takes all challenges of a person away.
pub async fn forget(db: &mut SqliteConnection, user: Id) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM mfa_challenge WHERE user_id = $1").bind(user.to_string()).execute(db).await?;
    Ok(())
}

fn id_of(token: &str) -> String {
    api_key::to_hex(&api_key::hash(token.as_bytes()))
}
