//! A map that is cheap to copy and cheap to change in one place.
//!
//! The map is cut into shards behind `Arc`s: cloning it shares all of them, and a change copies the one shard that
//! it touches (and the list of shards). That is what makes a publish cost the change and not the configuration.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::FixedState;

type Shard<K, V> = HashMap<K, V, FixedState>;

/// A map from `K` to `V` with structural sharing.
#[derive(Debug, Clone)]
pub struct ShardedMap<K, V> {
    shards: Arc<[Arc<Shard<K, V>>]>,
    hasher: FixedState,
}

impl<K: Hash + Eq + Clone, V: Clone> ShardedMap<K, V> {
    /// An empty map of `shards` parts (a power of two), hashed with a seed of this process.
    pub fn new(shards: usize) -> Self {
        debug_assert!(shards.is_power_of_two());
        let hasher = FixedState::with_seed(seed());
        let empty = Arc::new(Shard::with_hasher(hasher.clone()));
        Self { shards: vec![empty; shards].into(), hasher }
    }

    fn index<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // The shard's own table uses the low bits and the top seven.
        (self.hasher.hash_one(key) >> 32) as usize & (self.shards.len() - 1)
    }

    /// The value of `key`.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.shards[self.index(key)].get(key)
    }

    /// Sets `key`, answering the value it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.index(&key);
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[index]).insert(key, value)
    }

    /// Removes `key`, answering the value it had.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.index(key);
        self.shards[index].get(key)?;
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[index]).remove(key)
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.is_empty())
    }
}

/// Base paths and names come from outside, so the hash is seeded afresh by each process.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    use std::sync::OnceLock;
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one(0_u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut map = ShardedMap::new(4);
        map.insert("a", 1);
        let copy = map.clone();
        map.insert("a", 2);
        map.insert("b", 3);
        assert_eq!((copy.get("a"), copy.get("b"), copy.len()), (Some(&1), None, 1));
        assert_eq!(map.remove("a"), Some(2));
        assert_eq!((map.get("a"), map.get("b"), map.len()), (None, Some(&3), 1));
    }
}
