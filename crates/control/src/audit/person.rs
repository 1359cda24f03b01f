//! Names of people and their addresses stand in the chain as pseudonyms. What a pseudonym stands for is kept beside the
//! chain and can be erased (GDPR article 17) without breaking it. A pseudonym is a salted hash of the value, so the value
//! beside it cannot be exchanged unseen.

use std::collections::HashMap;

use portunus_gateway::api_key;
use sqlx::{Row as _, SqliteConnection};

/// The most pseudonyms that are kept in memory.
const MOST_KNOWN: usize = 10_000;

/// Looks pseudonyms up and makes new ones.
#[derive(Debug, Default)]
pub struct People {
    known: HashMap<String, String>,
    /// What this transaction made, to be forgotten when it is taken back.
    fresh: Vec<String>,
}

impl People {
    /// The pseudonym of a value; the empty text stays empty.
    pub async fn pseudonym(&mut self, db: &mut SqliteConnection, value: &str) -> sqlx::Result<String> {
        if value.is_empty() {
            return Ok(String::new());
        }
        if let Some(known) = self.known.get(value) {
            return Ok(known.clone());
        }
        let found = sqlx::query("SELECT pseudonym FROM audit_person WHERE value = $1")
            .bind(value)
            .fetch_optional(&mut *db)
            .await?;
        let pseudonym = match found {
            Some(row) => row.try_get("pseudonym")?,
            None => {
                let salt = api_key::random_text(22);
                let pseudonym = pseudonym(&salt, value);
                sqlx::query("INSERT INTO audit_person (pseudonym, salt, value) VALUES ($1, $2, $3)")
                    .bind(&pseudonym)
                    .bind(&salt)
                    .bind(value)
                    .execute(&mut *db)
                    .await?;
                pseudonym
            }
        };
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(value.to_owned(), pseudonym.clone());
        self.fresh.push(value.to_owned());
        Ok(pseudonym)
    }

    /// The transaction is on disk.
    pub fn keep(&mut self) {
        self.fresh.clear();
    }

    /// The transaction, or a part of it, was taken back.
    pub fn forget(&mut self) {
        for value in self.fresh.drain(..) {
            self.known.remove(&value);
        }
    }

    /// Forgets a value that was erased.
    pub fn erase(&mut self, value: &str) {
        self.known.remove(value);
    }
}

/// `p-` and 32 hexadecimal digits of SHA-256 over salt and value.
pub fn pseudonym(salt: &str, value: &str) -> String {
    let hash = api_key::hash(format!("{salt}\n{value}").as_bytes());
    format!("p-{}", &api_key::to_hex(&hash)[..32])
}
