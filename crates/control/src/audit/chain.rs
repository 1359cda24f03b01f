//! The chain: the canonical form of an event, its hash over every field and the hash before it, and its seal.
//!
//! The hash binds a row to all rows before it, and anybody can check it. The seal is an HMAC-SHA256 of the hash under a
//! key that is not in the database in the clear: who can write the database can make hashes, but no seals.

use aws_lc_rs::{constant_time, hmac};
use portunus_gateway::api_key;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::sign::Signer;

/// The hash before the first row.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A row of the chain. People are named by pseudonyms; see [`super::person`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainRow {
    /// Counts the rows from 1, without gaps.
    pub sequence: u64,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The tenant's id.
    pub tenant_id: String,
    /// What the actor is.
    pub actor_kind: String,
    /// The actor's name or pseudonym.
    pub actor: String,
    /// The account's id.
    pub actor_id: String,
    /// What proved it.
    pub via: String,
    /// The pseudonym of the address that it came from.
    pub client: String,
    /// The id of the call.
    pub request_id: String,
    /// What was done.
    pub action: String,
    /// The kind of resource.
    pub kind: String,
    /// The resource's id.
    pub resource_id: String,
    /// The resource's name or pseudonym.
    pub resource_name: String,
    /// How it ended.
    pub outcome: String,
    /// Why not.
    pub reason: String,
    /// How often.
    pub count: u64,
    /// More, as the JSON text that is kept.
    pub details: String,
    /// The store's revision after it; 0 when it changed no resource.
    pub store_revision: u64,
    /// The hash of the row before.
    pub previous_hash: String,
    /// The hash of this row.
    pub hash: String,
    /// `<key id>:<hex>`.
    pub seal: String,
}

impl ChainRow {
    /// What is hashed: a JSON array of every field but hash and seal, in the order of the struct. Two rows that differ in
    /// any field differ here.
    pub fn canonical(&self) -> String {
        serde_json::to_string(&Canonical(self)).expect("numbers and texts serialise")
    }

    /// The hash that this row should have.
    pub fn expected_hash(&self) -> String {
        api_key::to_hex(&api_key::hash(self.canonical().as_bytes()))
    }
}

struct Canonical<'a>(&'a ChainRow);

impl Serialize for Canonical<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        let mut list = serializer.serialize_seq(Some(19))?;
        list.serialize_element(&row.sequence)?;
        list.serialize_element(&row.at)?;
        for text in [
            &row.tenant_id,
            &row.actor_kind,
            &row.actor,
            &row.actor_id,
            &row.via,
            &row.client,
            &row.request_id,
            &row.action,
            &row.kind,
            &row.resource_id,
            &row.resource_name,
            &row.outcome,
            &row.reason,
        ] {
            list.serialize_element(text)?;
        }
        list.serialize_element(&row.count)?;
        list.serialize_element(&row.details)?;
        list.serialize_element(&row.store_revision)?;
        list.serialize_element(&row.previous_hash)?;
        list.end()
    }
}

/// The key of the seals, with its id.
#[derive(Debug, Clone)]
pub struct SealKey {
    id: String,
    key: hmac::Key,
}

impl SealKey {
    /// The key with these bytes.
    pub fn new(id: &str, bytes: &[u8]) -> Self {
        Self { id: id.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, bytes) }
    }

    /// The key pair that signs what leaves the database. It follows from this key, so it is kept nowhere.
    pub fn signer(&self) -> Signer {
        let seed = hmac::sign(&self.key, b"portunus audit signatures v1");
        Signer::from_seed(&self.id, seed.as_ref())
    }

    /// The seal of a text. `purpose` keeps the seal of a row from passing for that of anything else.
    pub fn seal(&self, purpose: &str, text: &str) -> String {
        let tag = hmac::sign(&self.key, format!("{purpose}\n{text}").as_bytes());
        format!("{}:{}", self.id, api_key::to_hex(tag.as_ref()))
    }

    /// Whether a seal is this key's for that text.
    pub fn is_right(&self, purpose: &str, text: &str, seal: &str) -> bool {
        constant_time::verify_slices_are_equal(self.seal(purpose, text).as_bytes(), seal.as_bytes()).is_ok()
    }
}

/// The purpose of a row's seal.
pub const ROW: &str = "row";

/// The purpose of the head's seal.
pub const HEAD: &str = "head";

/// The purpose of a segment's seal.
pub const SEGMENT: &str = "segment";

/// The purpose of the seal of what is noted of the last checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The sequence of the last row; 0 when there is none.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { sequence: 0, hash: GENESIS.to_owned() }
    }
}

impl Head {
    /// What is sealed of it.
    pub fn text(&self) -> String {
        format!("{}:{}", self.sequence, self.hash)
    }

    /// Links a row to the end and makes it the new end.
    pub fn link(&mut self, row: &mut ChainRow, key: &SealKey) {
        row.sequence = self.sequence + 1;
        row.previous_hash.clone_from(&self.hash);
        row.hash = row.expected_hash();
        row.seal = key.seal(ROW, &row.hash);
        self.sequence = row.sequence;
        self.hash.clone_from(&row.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_in_the_hash() {
        let key = SealKey::new("k", &[7; 32]);
        let mut head = Head::default();
        let mut row = ChainRow { action: "api.created".into(), count: 1, details: "{}".into(), ..ChainRow::default() };
        head.link(&mut row, &key);
        assert_eq!((head.sequence, &head.hash), (1, &row.hash));
        assert!(key.is_right(ROW, &row.hash, &row.seal) && !key.is_right(HEAD, &row.hash, &row.seal));
        type Edit = fn(&mut ChainRow);
        let edits: [Edit; 19] = [
            |row| row.sequence += 1,
            |row| row.at += 1,
            |row| row.tenant_id.push('x'),
            |row| row.actor_kind.push('x'),
            |row| row.actor.push('x'),
            |row| row.actor_id.push('x'),
            |row| row.via.push('x'),
            |row| row.client.push('x'),
            |row| row.request_id.push('x'),
            |row| row.action.push('x'),
            |row| row.kind.push('x'),
            |row| row.resource_id.push('x'),
            |row| row.resource_name.push('x'),
            |row| row.outcome.push('x'),
            |row| row.reason.push('x'),
            |row| row.count += 1,
            |row| row.details.push('x'),
            |row| row.store_revision += 1,
            |row| row.previous_hash.push('x'),
        ];
        for edit in edits {
            let mut other = row.clone();
            edit(&mut other);
            assert_ne!(other.expected_hash(), row.hash, "{other:?}");
        }
    }

    #[test]
    fn no_field_can_be_moved_into_its_neighbour() {
        let a = ChainRow { actor: "ab".into(), actor_id: "c".into(), ..ChainRow::default() };
        let b = ChainRow { actor: "a".into(), actor_id: "bc".into(), ..ChainRow::default() };
        assert_ne!(a.expected_hash(), b.expected_hash());
    }
}
