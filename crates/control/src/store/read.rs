//! What is read from the store: one resource, pages of them, histories.

use portunus_gateway::kind::{Id, KindInfo};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteExecutor};

use super::Store;
use super::row::Row;
use crate::resource;

/// The columns that [`from_row`] reads.
pub(super) const COLUMNS: &str =
    "SELECT id, kind, tenant_id, name, revision, spec, created_at, updated_at FROM resource";

/// A resource from its columns; `None` for a kind that this version does not know.
pub(super) fn from_row(row: &SqliteRow) -> sqlx::Result<Option<Row>> {
    let Some(kind) = resource::by_kind(row.try_get("kind")?) else { return Ok(None) };
    let id = |column| parse_id(row.try_get(column)?);
    let spec: &str = row.try_get("spec")?;
    Ok(Some(Row {
        id: id("id")?,
        kind,
        tenant_id: id("tenant_id")?,
        name: row.try_get("name")?,
        revision: row.try_get::<i64, _>("revision")? as u64,
        spec: serde_json::from_str(spec).map_err(|error| sqlx::Error::Decode(error.into()))?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    }))
}

fn parse_id(text: &str) -> sqlx::Result<Id> {
    text.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))
}

pub(super) async fn all(db: impl SqliteExecutor<'_>, mut query: QueryBuilder<Sqlite>) -> sqlx::Result<Vec<Row>> {
    let rows = query.build().fetch_all(db).await?;
    rows.iter().filter_map(|row| from_row(row).transpose()).collect()
}

/// Which resources to list.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those of these tenants; all when `None`.
    pub tenants: Option<Vec<Id>>,
    /// Only those with this text in their name or fields.
    pub search: Option<String>,
    /// Only those with these values in their fields.
    pub fields: Vec<(String, String)>,
    /// Only those after this id, the oldest first.
    pub after: Option<Id>,
    /// How many to pass over.
    pub offset: u64,
    /// How many to list.
    pub limit: u64,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    /// The resources, the oldest first.
    pub rows: Vec<Row>,
    /// How many there are in all.
    pub total: u64,
}

/// One line of a resource's history.
#[derive(Debug)]
pub struct Past {
    /// The resource's revision.
    pub revision: u64,
    /// The store's revision of that commit.
    pub store_revision: u64,
    /// What was done: `created`, `updated` or `deleted`.
    pub action: String,
    /// By whom.
    pub actor: String,
    /// When, in microseconds since 1970.
    pub changed_at: i64,
    /// The name it had.
    pub name: String,
    /// The fields it had.
    pub spec: Value,
}

impl Store {
    /// The resource with this id.
    pub async fn get(&self, kind: &'static KindInfo, id: Id) -> sqlx::Result<Option<Row>> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE id = ").push_bind(id.to_string()).push(" AND kind = ").push_bind(kind.kind);
        Ok(all(&self.readers, query).await?.into_iter().next())
    }

    /// The resource with this id or name in a tenant. An id comes before a name.
    pub async fn find(
        &self,
        kind: &'static KindInfo,
        tenant_id: Option<Id>,
        id_or_name: &str,
    ) -> sqlx::Result<Option<Row>> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE kind = ").push_bind(kind.kind);
        query.push(" AND (name = ").push_bind(id_or_name.to_owned());
        if let Ok(id) = id_or_name.parse::<Id>() {
            query.push(" OR id = ").push_bind(id.to_string());
        }
        query.push(")");
        if let Some(tenant) = tenant_id {
            query.push(" AND tenant_id = ").push_bind(tenant.to_string());
        }
        let found = all(&self.readers, query).await?;
        let by_id = found.iter().position(|row| row.id.to_string() == id_or_name);
        Ok(match by_id {
            Some(index) => found.into_iter().nth(index),
            None => found.into_iter().next(),
        })
    }

    /// The resources of a kind that are owned by a tenant or by the platform, with these ids.
    pub async fn many(&self, ids: &[Id]) -> sqlx::Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(ids.len());
        for ids in ids.chunks(500) {
            let mut query = QueryBuilder::new(COLUMNS);
            query.push(" WHERE id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind(id.to_string());
            }
            query.push(")");
            rows.extend(all(&self.readers, query).await?);
        }
        Ok(rows)
    }

    /// A page of the resources of a kind.
    pub async fn list(&self, kind: &'static KindInfo, filter: &Filter) -> sqlx::Result<Page> {
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM resource");
        restrict(&mut count, kind, filter);
        let total: i64 = count.build_query_scalar().fetch_one(&self.readers).await?;
        let mut query = QueryBuilder::new(COLUMNS);
        restrict(&mut query, kind, filter);
        if let Some(after) = filter.after {
            query.push(" AND id > ").push_bind(after.to_string());
        }
        query.push(" ORDER BY id LIMIT ").push_bind(filter.limit as i64);
        query.push(" OFFSET ").push_bind(filter.offset as i64);
        Ok(Page { rows: all(&self.readers, query).await?, total: total as u64 })
    }

    /// What refers to a resource.
    pub async fn referrers(&self, id: Id) -> sqlx::Result<Vec<Row>> {
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE id IN (SELECT from_id FROM reference WHERE to_id = ").push_bind(id.to_string());
        query.push(") ORDER BY kind, id LIMIT 1000");
        all(&self.readers, query).await
    }

    /// The past of a resource, the latest first, also after it was deleted.
    pub async fn history(
        &self,
        kind: &'static KindInfo,
        tenant_id: Id,
        id_or_name: &str,
        limit: u64,
    ) -> sqlx::Result<Vec<Past>> {
        let rows = sqlx::query(
            "SELECT revision, store_revision, action, actor, changed_at, name, spec FROM history \
             WHERE kind = $1 AND tenant_id = $2 AND id = $3 ORDER BY revision DESC LIMIT $4",
        )
        .bind(kind.kind)
        .bind(tenant_id.to_string())
        .bind(id_or_name)
        .bind(limit as i64)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let spec: &str = row.try_get("spec")?;
                Ok(Past {
                    revision: row.try_get::<i64, _>("revision")? as u64,
                    store_revision: row.try_get::<i64, _>("store_revision")? as u64,
                    action: row.try_get("action")?,
                    actor: row.try_get("actor")?,
                    changed_at: row.try_get("changed_at")?,
                    name: row.try_get("name")?,
                    spec: serde_json::from_str(spec).map_err(|error| sqlx::Error::Decode(error.into()))?,
                })
            })
            .collect()
    }
}

fn restrict(query: &mut QueryBuilder<Sqlite>, kind: &'static KindInfo, filter: &Filter) {
    query.push(" WHERE kind = ").push_bind(kind.kind);
    if let Some(tenants) = &filter.tenants {
        query.push(" AND tenant_id IN (");
        let mut list = query.separated(", ");
        for tenant in tenants {
            list.push_bind(tenant.to_string());
        }
        query.push(")");
    }
    if let Some(text) = &filter.search {
        let pattern = format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        query.push(" AND (name LIKE ").push_bind(pattern.clone()).push(" ESCAPE '\\' OR ");
        // A search in what is not shown would tell it letter by letter.
        let unseen: Vec<String> = kind
            .hidden
            .iter()
            .map(|field| format!("$.\"{field}\""))
            .chain(kind.secrets.iter().map(|field| format!("${}", field.path.replace('/', "."))))
            .collect();
        query.push(if unseen.is_empty() { "spec" } else { "json_remove(spec" });
        for path in &unseen {
            query.push(", ").push_bind(path.clone());
        }
        query.push(if unseen.is_empty() { " LIKE " } else { ") LIKE " });
        query.push_bind(pattern).push(" ESCAPE '\\')");
    }
    for (field, value) in &filter.fields {
        match field.as_str() {
            "name" => query.push(" AND name = ").push_bind(value.clone()),
            "id" => query.push(" AND id = ").push_bind(value.clone()),
            field => {
                // The field's name is one of the kind's own; see `api/page.rs`.
                query.push(" AND CAST(json_extract(spec, ").push_bind(format!("$.\"{field}\""));
                // JSON's true and false come out of SQLite as 1 and 0.
                let value = match value.as_str() {
                    "true" => "1",
                    "false" => "0",
                    other => other,
                };
                query.push(") AS TEXT) = ").push_bind(value.to_owned())
            }
        };
    }
}
