//! Backup codes: ten at a time, each good for once, for when the other factors are lost.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// How many codes are made at once.
const CODES: usize = 10;

/// Letters of a code: 80 random bits, so that the hash needs no salt and no key.
const LENGTH: usize = 16;

/// 32 letters that nobody confuses.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// New codes for a person; those of before are gone.
pub async fn renew(db: &mut SqliteConnection, user: Id) -> sqlx::Result<Vec<String>> {
    forget(db, user).await?;
    let codes: Vec<String> = (0..CODES).map(|_| random()).collect();
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO backup_code (user_id, sha256) ");
    query.push_values(&codes, |mut values, code| {
        values.push_bind(user.to_string()).push_bind(hash(code));
    });
    query.build().execute(db).await?;
    Ok(codes)
}

/// Uses a code up; whether it was there and unused.
pub async fn spend(db: &mut SqliteConnection, user: Id, code: &str, now: i64) -> sqlx::Result<bool> {
    let spent =
        sqlx::query("UPDATE backup_code SET used_at = $1 WHERE user_id = $2 AND sha256 = $3 AND used_at IS NULL")
            .bind(now)
            .bind(user.to_string())
            .bind(hash(code))
            .execute(db)
            .await?;
    Ok(spent.rows_affected() == 1)
}

/// How many codes are left.
pub async fn left(db: &mut SqliteConnection, user: Id) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM backup_code WHERE user_id = $1 AND used_at IS NULL")
        .bind(user.to_string())
        .fetch_one(db)
        .await
}

/// Takes all codes of a person away.
pub async fn forget(db: &mut SqliteConnection, user: Id) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM backup_code WHERE user_id = $1").bind(user.to_string()).execute(db).await?;
    Ok(())
}

/// `abcd-efgh-ijkm-npqr`.
fn random() -> String {
    let mut bytes = [0_u8; LENGTH];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    let letters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-")
}

/// The hash of a code, however it was typed.
fn hash(code: &str) -> String {
    let typed: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    api_key::to_hex(&api_key::hash(format!("backup code {typed}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_differ_and_can_be_typed_in_any_way() {
        let (one, other) = (random(), random());
        assert_ne!(one, other);
        assert_eq!(one.len(), LENGTH + 3);
        let typed = one.to_uppercase().replace('-', " ");
        assert_eq!(hash(&one), hash(&typed));
        assert_ne!(hash(&one), hash(&other));
    }
}
