//! The compiled configuration: immutable, shared by all workers, swapped by one pointer.
//!
//! A request keeps the snapshot that it began with. Copying a snapshot shares everything; see [`crate::sharded`].

pub mod api;
pub mod compiler;
pub mod consumer;
pub mod policy;

use std::sync::Arc;

use api::CompiledApi;
use consumer::{CompiledConsumer, CompiledKey, CompiledPlan};
use policy::CompiledPolicy;

use crate::kind::Id;
use crate::router::Router;
use crate::sharded::ShardedMap;
use crate::upstream::balance::CompiledUpstream;

/// Everything that the request path reads.
#[derive(Clone)]
pub struct Snapshot {
    /// The store's revision that it was compiled from.
    pub revision: u64,
    /// Host and path → API.
    pub router: Router,
    /// SHA-256 of a key → whose key it is.
    pub keys: ShardedMap<[u8; 32], Arc<CompiledKey>>,
    /// Plans by id.
    pub plans: ShardedMap<Id, Arc<CompiledPlan>>,
    /// APIs by id.
    pub apis: ShardedMap<Id, Arc<CompiledApi>>,
    /// Shared upstreams by id.
    pub upstreams: ShardedMap<Id, Arc<CompiledUpstream>>,
    /// Policies by id.
    pub policies: ShardedMap<Id, Arc<CompiledPolicy>>,
    /// Consumers by id.
    pub consumers: ShardedMap<Id, Arc<CompiledConsumer>>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            revision: 0,
            router: Router::default(),
            keys: ShardedMap::new(1024),
            plans: ShardedMap::new(64),
            apis: ShardedMap::new(64),
            upstreams: ShardedMap::new(64),
            policies: ShardedMap::new(64),
            consumers: ShardedMap::new(1024),
        }
    }
}
