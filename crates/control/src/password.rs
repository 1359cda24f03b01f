//! Hashes of passwords and client secrets.
//!
//! What a person chose is hashed with argon2id, slowly on purpose; what we made from random bytes needs no more than
//! SHA-256. Both are kept as text that says which it is.

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::constant_time;
use portunus_gateway::api_key;
use tokio::sync::Semaphore;

const RANDOM: &str = "sha256:";

/// At most this many passwords are hashed at once: each takes 19 MiB and a core.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The hash of a chosen secret: argon2id with the parameters that OWASP recommends.
pub fn hash(secret: &str) -> String {
    Argon2::default().hash_password(secret.as_bytes()).expect("the default parameters are valid").to_string()
}

/// The hash of a secret of our own making, which has 200 random bits and more.
pub fn hash_random(secret: &str) -> String {
    format!("{RANDOM}{}", api_key::to_hex(&api_key::hash(secret.as_bytes())))
}

/// Whether `given` is the secret with this hash. Without a hash the work is done all the same, so that the time taken
/// does not tell whether an account exists.
pub async fn verify(stored: Option<String>, given: String) -> bool {
    if let Some(expected) = stored.as_deref().and_then(|stored| stored.strip_prefix(RANDOM)) {
        let actual = api_key::to_hex(&api_key::hash(given.as_bytes()));
        return constant_time::verify_slices_are_equal(actual.as_bytes(), expected.as_bytes()).is_ok();
    }
    let Ok(_turn) = TURNS.acquire().await else { return false };
    let is_known = stored.is_some();
    let checked = tokio::task::spawn_blocking(move || {
        let stored = stored.unwrap_or_else(|| nobody().to_owned());
        argon2::PasswordHash::new(&stored)
            .is_ok_and(|hash| Argon2::default().verify_password(given.as_bytes(), &hash).is_ok())
    });
    checked.await.unwrap_or(false) && is_known
}

fn nobody() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash("nobody has this password"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_secret_passes() {
        for stored in [hash("correct horse"), hash_random("correct horse")] {
            assert!(verify(Some(stored.clone()), "correct horse".into()).await);
            assert!(!verify(Some(stored), "battery staple".into()).await);
        }
        assert!(!verify(None, "nobody has this password".into()).await);
    }
}
