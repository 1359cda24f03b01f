//! Hashes of passwords and client secrets.
//!
//! What a person chose is hashed with argon2id, slowly on purpose; what we made from random bytes needs no more than
//! SHA-256. Both are kept as text that says which it is.

use std::sync::OnceLock;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::constant_time;
use portunus_gateway::api_key;
use tokio::sync::oneshot;

const RANDOM: &str = "sha256:";

/// The most passwords that wait to be checked: about two seconds of work.
const LONGEST_QUEUE: usize = 64;

const LOWEST_PRIORITY: i32 = 19;

/// The hash of a chosen secret: argon2id with the parameters that OWASP recommends.
pub fn hash(secret: &str) -> String {
    Argon2::default().hash_password(secret.as_bytes()).expect("the default parameters are valid").to_string()
}

/// The hash of a secret of our own making, which has 200 random bits and more.
pub fn hash_random(secret: &str) -> String {
    format!("{RANDOM}{}", api_key::to_hex(&api_key::hash(secret.as_bytes())))
}

/// Too many secrets wait to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Whether `given` is the secret with this hash. Without a hash the work is done all the same, so that the time taken
/// does not tell whether an account exists.
pub async fn verify(stored: Option<String>, given: String) -> Result<bool, Busy> {
    if let Some(expected) = stored.as_deref().and_then(|stored| stored.strip_prefix(RANDOM)) {
        let actual = api_key::to_hex(&api_key::hash(given.as_bytes()));
        return Ok(constant_time::verify_slices_are_equal(actual.as_bytes(), expected.as_bytes()).is_ok());
    }
    let (answer, answered) = oneshot::channel();
    queue().try_send(Check { stored, given, answer }).map_err(|_| Busy)?;
    answered.await.map_err(|_| Busy)
}

/// A password that waits to be checked.
struct Check {
    stored: Option<String>,
    given: String,
    answer: oneshot::Sender<bool>,
}

impl Check {
    fn is_right(&self) -> bool {
        let stored = self.stored.as_deref().unwrap_or_else(|| nobody());
        let hash = argon2::PasswordHash::new(stored);
        let matches = hash.is_ok_and(|hash| Argon2::default().verify_password(self.given.as_bytes(), &hash).is_ok());
        matches && self.stored.is_some()
    }
}

/// The thread that checks passwords, one at a time: each takes 19 MiB and a core, and a storm of wrong ones must not take
/// them from the traffic. It has the lowest priority, and its queue is short.
fn queue() -> &'static SyncSender<Check> {
    static QUEUE: OnceLock<SyncSender<Check>> = OnceLock::new();
    QUEUE.get_or_init(|| {
        let (queue, checks) = mpsc::sync_channel::<Check>(LONGEST_QUEUE);
        let checks_all = move || {
            // Linux counts the priority of each thread by itself.
            let _ = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
            for check in checks {
                // Whoever hung up needs no answer.
                if !check.answer.is_closed() {
                    let is_right = check.is_right();
                    let _ = check.answer.send(is_right);
                }
            }
        };
        let thread = thread::Builder::new().name("passwords".to_owned()).spawn(checks_all);
        drop(thread.expect("a thread can be started"));
        queue
    })
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
            assert_eq!(verify(Some(stored.clone()), "correct horse".into()).await, Ok(true));
            assert_eq!(verify(Some(stored), "battery staple".into()).await, Ok(false));
        }
        assert_eq!(verify(None, "nobody has this password".into()).await, Ok(false));
    }
}
