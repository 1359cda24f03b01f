//! Names of people and their addresses stand in the chain as pseudonyms. What a pseudonym stands for is kept beside the
//! chain and can be erased (GDPR article 17) without breaking it. A pseudonym is a salted hash of the value, so the value
//! beside it cannot be exchanged unseen.

use std::collections::HashMap;

use portunus_gateway::api_key;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

/// Kinds whose names are those of people.
pub const PERSONAL_KINDS: [&str; 2] = ["User", "Consumer"];

/// Values per statement.
const BATCH: usize = 500;

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
    /// Finds or makes the pseudonyms of these values; [`Self::pseudonym`] then has them.
    pub async fn meet(&mut self, db: &mut SqliteConnection, values: &[&str]) -> sqlx::Result<()> {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let mut strangers: Vec<&str> =
            values.iter().copied().filter(|value| !value.is_empty() && !self.known.contains_key(*value)).collect();
        strangers.sort_unstable();
        strangers.dedup();
        for batch in strangers.chunks(BATCH) {
            self.recall(db, batch).await?;
            let new: Vec<(&str, String, String)> = batch
                .iter()
                .filter(|value| !self.known.contains_key(**value))
                .map(|value| {
                    let salt = api_key::random_text(22);
                    (*value, pseudonym(&salt, value), salt)
                })
                .collect();
            if new.is_empty() {
                continue;
            }
            let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO audit_person (pseudonym, salt, value) ");
            query.push_values(&new, |mut row, (value, pseudonym, salt)| {
                row.push_bind(pseudonym.as_str()).push_bind(salt.as_str()).push_bind(*value);
            });
            query.build().execute(&mut *db).await?;
            for (value, pseudonym, _) in new {
                self.fresh.push(value.to_owned());
                self.known.insert(value.to_owned(), pseudonym);
            }
        }
        Ok(())
    }

    /// Reads the pseudonyms that there are.
    async fn recall(&mut self, db: &mut SqliteConnection, values: &[&str]) -> sqlx::Result<()> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT value, pseudonym FROM audit_person WHERE value IN (");
        let mut list = query.separated(", ");
        for value in values {
            list.push_bind(*value);
        }
        query.push(")");
        for row in query.build().fetch_all(db).await? {
            self.known.insert(row.try_get("value")?, row.try_get("pseudonym")?);
        }
        Ok(())
    }

    /// The pseudonym of a value that was met; the empty text stays empty.
    ///
    /// # Panics
    /// When the value was not met.
    pub fn pseudonym(&self, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        self.known.get(value).expect("its caller meets every value first").clone()
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
