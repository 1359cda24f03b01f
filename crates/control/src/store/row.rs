//! A resource of any kind as it is stored.

use jiff::Timestamp;
use portunus_gateway::config::AnyEntry;
use portunus_gateway::kind::{Id, KindInfo, Meta};
use serde_json::{Map, Value};

/// A stored resource.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its id.
    pub id: Id,
    /// Its kind.
    pub kind: &'static KindInfo,
    /// Its owner.
    pub tenant_id: Id,
    /// Its name, unique within kind and tenant.
    pub name: String,
    /// Counts its changes from 1.
    pub revision: u64,
    /// Its fields; references are ids.
    pub spec: Value,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
    /// When it was last changed, in microseconds since 1970.
    pub updated_at: i64,
}

impl Row {
    /// The flat JSON of the API: what every resource has, then the kind's own fields; hidden ones stay hidden.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut flat = Map::new();
        flat.insert("id".into(), self.id.to_string().into());
        flat.insert("tenant_id".into(), self.tenant_id.to_string().into());
        flat.insert("name".into(), self.name.as_str().into());
        flat.insert("revision".into(), self.revision.into());
        flat.insert("created_at".into(), time(self.created_at).into());
        flat.insert("updated_at".into(), time(self.updated_at).into());
        flat.extend(self.visible());
        flat
    }

    /// The kind's own fields without the hidden ones; secrets are marks.
    pub fn visible(&self) -> Map<String, Value> {
        self.kind.show(&self.spec)
    }

    /// The ids that it refers to, by field.
    pub fn references(&self) -> Vec<(&'static str, Id)> {
        let mut references = Vec::new();
        for reference in self.kind.references {
            let Some(value) = self.spec.get(reference.field) else { continue };
            let ids = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            references.extend(ids.iter().filter_map(|id| Some((reference.field, id.as_str()?.parse().ok()?))));
        }
        references
    }

    /// The entry that the data plane compiles; `None` when the kind does not shape traffic.
    pub fn entry(&self) -> Result<Option<AnyEntry>, serde_json::Error> {
        AnyEntry::read(self.kind.kind, self.meta(), &self.spec)
    }

    fn meta(&self) -> Meta {
        Meta { id: self.id, tenant_id: self.tenant_id, name: self.name.as_str().into() }
    }
}

/// RFC 3339 from microseconds since 1970.
pub fn time(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).unwrap_or_default().to_string()
}
