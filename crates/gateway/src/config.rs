//! What can be configured about traffic: one file per kind, listed once below.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use smallvec::SmallVec;

use crate::kind::{Entry, Id, Kind, KindInfo, Meta};

/// All entries of one kind by id.
pub type Table<T> = HashMap<Id, Arc<Entry<T>>, foldhash::fast::RandomState>;

/// A kind of which the data plane keeps every entry in memory.
pub trait Traffic: Kind {
    /// The ids that this entry refers to.
    fn refers_to(&self) -> SmallVec<[Id; 3]> {
        SmallVec::new()
    }
}

macro_rules! kinds {
    ($($module:ident :: $kind:ident => $table:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The kinds that shape traffic.
        pub static KINDS: &[KindInfo] = &[$(KindInfo::of::<$module::$kind>()),*];

        /// The whole traffic configuration, by kind and id.
        #[derive(Default)]
        pub struct Tables {
            $(
                #[doc = concat!("Every stored `", stringify!($kind), "`.")]
                pub $table: Table<$module::$kind>,
            )*
            referrers: HashMap<Id, HashSet<Id, foldhash::fast::RandomState>, foldhash::fast::RandomState>,
        }

        /// An entry of any kind that shapes traffic.
        #[derive(Clone)]
        pub enum AnyEntry {
            $(
                #[doc = concat!("A `", stringify!($kind), "`.")]
                $kind(Arc<Entry<$module::$kind>>),
            )*
        }

        impl AnyEntry {
            /// Reads a stored document; `None` when the kind does not shape traffic.
            pub fn read(kind: &str, meta: Meta, spec: &Value) -> Result<Option<Self>, serde_json::Error> {
                Ok(Some(match kind {
                    $(<$module::$kind>::KIND => Self::$kind(Arc::new(Entry { meta, spec: <$module::$kind>::deserialize(spec)? })),)*
                    _ => return Ok(None),
                }))
            }

            /// The same from JSON text.
            pub fn read_text(kind: &str, meta: Meta, spec: &str) -> Result<Option<Self>, serde_json::Error> {
                Ok(Some(match kind {
                    $(<$module::$kind>::KIND => Self::$kind(Arc::new(Entry { meta, spec: serde_json::from_str(spec)? })),)*
                    _ => return Ok(None),
                }))
            }

            /// Identity and owner.
            pub fn meta(&self) -> &Meta {
                match self { $(Self::$kind(entry) => &entry.meta,)* }
            }

            fn refers_to(&self) -> SmallVec<[Id; 3]> {
                match self { $(Self::$kind(entry) => entry.spec.refers_to(),)* }
            }
        }

        impl Tables {
            fn swap_in(&mut self, entry: AnyEntry) -> Option<AnyEntry> {
                match entry {
                    $(AnyEntry::$kind(entry) => self.$table.insert(entry.meta.id, entry).map(AnyEntry::$kind),)*
                }
            }

            fn take_out(&mut self, id: Id) -> Option<AnyEntry> {
                $(if let Some(entry) = self.$table.remove(&id) { return Some(AnyEntry::$kind(entry)); })*
                None
            }

            /// The entry with this id, of whatever kind.
            pub fn get(&self, id: Id) -> Option<AnyEntry> {
                $(if let Some(entry) = self.$table.get(&id) { return Some(AnyEntry::$kind(entry.clone())); })*
                None
            }
        }
    };
}

kinds! {
    tenant::Tenant => tenants,
    api::Api => apis,
    upstream::Upstream => upstreams,
    policy::Policy => policies,
    binding::Binding => bindings,
    plan::Plan => plans,
    consumer::Consumer => consumers,
    subscription::Subscription => subscriptions,
    credential::Credential => credentials,
}

impl Tables {
    /// Stores an entry, answering the one it replaces.
    pub fn put(&mut self, entry: AnyEntry) -> Option<AnyEntry> {
        let id = entry.meta().id;
        let kept = entry.refers_to();
        for to in &kept {
            self.referrers.entry(*to).or_default().insert(id);
        }
        let before = self.swap_in(entry);
        if let Some(before) = &before {
            self.forget(id, before.refers_to().into_iter().filter(|to| !kept.contains(to)));
        }
        before
    }

    /// Removes an entry, answering it.
    pub fn remove(&mut self, id: Id) -> Option<AnyEntry> {
        let before = self.take_out(id)?;
        self.forget(id, before.refers_to().into_iter());
        Some(before)
    }

    fn forget(&mut self, from: Id, to: impl Iterator<Item = Id>) {
        for to in to {
            if let Some(set) = self.referrers.get_mut(&to) {
                set.remove(&from);
                if set.is_empty() {
                    self.referrers.remove(&to);
                }
            }
        }
    }

    /// The ids of the entries that refer to `id`.
    pub fn referrers(&self, id: Id) -> impl Iterator<Item = Id> {
        self.referrers.get(&id).into_iter().flatten().copied()
    }
}
