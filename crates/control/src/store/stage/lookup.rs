//! What the store holds, with the steps of the change laid over it.

use std::collections::HashMap;

use portunus_gateway::kind::{Id, KindInfo, OnDelete};
use serde_json::{Map, Value};
use sqlx::{QueryBuilder, Row as _};

use super::Stage;
use crate::resource;
use crate::store::read::{self, COLUMNS};
use crate::store::row::Row;
use crate::store::{Action, CommitError, Op};

impl Stage<'_> {
    pub(super) async fn tenant_quietly(&mut self, text: &str) -> Result<Option<Id>, CommitError> {
        match (resource::by_kind("Tenant"), self.access.platform) {
            (Some(kind), Some(platform)) => self.referred(kind, platform, false, text).await,
            _ => Ok(None),
        }
    }

    /// What refers to a resource by now, and what its deletion means for it.
    pub(super) async fn referrers(&mut self, row: &Row) -> Result<Vec<(Row, OnDelete)>, CommitError> {
        let mut query = QueryBuilder::new(COLUMNS);
        query
            .push(" WHERE id IN (SELECT from_id FROM reference WHERE to_id = ")
            .push_bind(row.id.to_string())
            .push(")");
        if row.kind.kind == "Tenant" {
            query.push(" OR (tenant_id = ").push_bind(row.id.to_string()).push(" AND id <> tenant_id)");
        }
        let stored = read::all(&mut *self.db, query).await?;
        let mut found = Vec::new();
        let staged = self.rows.values().flatten().filter(|known| stored.iter().all(|row| row.id != known.id));
        for candidate in stored.iter().chain(staged) {
            let Some(current) = self.rows.get(&candidate.id).map_or(Some(candidate), Option::as_ref) else { continue };
            if row.kind.kind == "Tenant" && current.tenant_id == row.id && current.id != row.id {
                found.push((current.clone(), OnDelete::Refuse));
                continue;
            }
            let field = current.references().into_iter().find(|(_, to)| *to == row.id).map(|(field, _)| field);
            let reference = current.kind.references.iter().find(|reference| Some(reference.field) == field);
            if let Some(reference) = reference {
                found.push((current.clone(), reference.on_delete));
            }
        }
        Ok(found)
    }

    pub(super) async fn existing(
        &mut self,
        kind: &'static KindInfo,
        id: Id,
        if_match: Option<u64>,
    ) -> Result<Row, CommitError> {
        let row =
            self.row(id).await?.filter(|row| row.kind.kind == kind.kind).ok_or(CommitError::NotFound(kind.kind))?;
        match if_match {
            Some(revision) if revision != row.revision => Err(CommitError::Stale(row.revision)),
            _ => Ok(row),
        }
    }

    pub(super) async fn past(&mut self, row: &Row, revision: u64) -> Result<Value, CommitError> {
        let found = sqlx::query("SELECT spec FROM history WHERE id = $1 AND revision = $2")
            .bind(row.id.to_string())
            .bind(revision as i64)
            .fetch_optional(&mut *self.db)
            .await?;
        let Some(found) = found else { return Err(CommitError::NotFound("revision")) };
        let mut fields: Map<String, Value> =
            serde_json::from_str(found.try_get("spec")?).map_err(|error| CommitError::Store(error.to_string()))?;
        for hidden in row.kind.hidden {
            fields.remove(*hidden);
        }
        Ok(Value::Object(fields))
    }

    pub(super) async fn row(&mut self, id: Id) -> Result<Option<Row>, CommitError> {
        if let Some(known) = self.rows.get(&id) {
            return Ok(known.clone());
        }
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE id = ").push_bind(id.to_string());
        let row = read::all(&mut *self.db, query).await?.pop();
        self.rows.insert(id, row.clone());
        Ok(row)
    }

    pub(super) async fn by_name(
        &mut self,
        kind: &'static KindInfo,
        tenant_id: Id,
        name: &str,
    ) -> Result<Option<Row>, CommitError> {
        let key = (kind.kind, tenant_id, name.to_owned());
        if let Some(known) = self.names.get(&key) {
            return match *known {
                Some(id) => self.row(id).await,
                None => Ok(None),
            };
        }
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE kind = ").push_bind(kind.kind).push(" AND tenant_id = ").push_bind(tenant_id.to_string());
        query.push(" AND name = ").push_bind(name.to_owned());
        let row = read::all(&mut *self.db, query).await?.pop();
        // The row may have been renamed or deleted by an earlier step of this change.
        let row = row
            .and_then(|row| self.rows.get(&row.id).map_or(Some(row.clone()), Clone::clone))
            .filter(|row| row.name == name);
        self.names.insert(key, row.as_ref().map(|row| row.id));
        if let Some(row) = &row {
            self.rows.insert(row.id, Some(row.clone()));
        }
        Ok(row)
    }

    /// Reads at once what a bulk change is about; row by row would cost a round trip each.
    pub(super) async fn prefetch(&mut self, ops: &[Op]) -> Result<(), CommitError> {
        const ENOUGH: usize = 16;
        if ops.len() < ENOUGH {
            return Ok(());
        }
        let mut wanted: HashMap<(&'static str, Id), Vec<String>> = HashMap::new();
        for op in ops {
            let (tenant, name, spec) = match &op.action {
                Action::Apply { tenant, name, spec } => (self.tenant_quietly(tenant).await?, Some(name), spec),
                Action::Create { tenant_id, name, spec } => (Some(*tenant_id), name.as_ref(), spec),
                Action::Update { .. } | Action::Import(_) | Action::Delete { .. } => continue,
            };
            let Some(tenant) = tenant else { continue };
            wanted.entry((op.kind.kind, tenant)).or_default().extend(name.cloned());
            for reference in op.kind.references.iter().filter(|reference| !reference.many) {
                let text = spec.get(reference.field).and_then(Value::as_str);
                wanted.entry((reference.kind, tenant)).or_default().extend(text.map(str::to_owned));
            }
        }
        for ((kind, tenant), mut names) in wanted {
            names.sort_unstable();
            names.dedup();
            for names in names.chunks(500) {
                let mut query = QueryBuilder::new(COLUMNS);
                query.push(" WHERE kind = ").push_bind(kind).push(" AND tenant_id = ").push_bind(tenant.to_string());
                query.push(" AND name IN (");
                let mut list = query.separated(", ");
                for name in names {
                    list.push_bind(name.clone());
                }
                query.push(")");
                for name in names {
                    self.names.insert((kind, tenant, name.clone()), None);
                }
                for row in read::all(&mut *self.db, query).await? {
                    self.names.insert((kind, tenant, row.name.clone()), Some(row.id));
                    self.rows.insert(row.id, Some(row));
                }
            }
        }
        Ok(())
    }
}
