//! Lists of events, filtered, the newest first.

use std::collections::{HashMap, HashSet};

use portunus_gateway::kind::Id;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::proof::{COLUMNS, Read, people, row};
use crate::audit::chain::ChainRow;
use crate::audit::person::PERSONAL_KINDS;
use crate::store::Store;

/// Which events to read.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only those of this tenant.
    pub tenant_id: Option<Id>,
    /// Only those by an actor with this name or id.
    pub user: Option<String>,
    /// Only those with this action; with `*` at the end, those whose action begins so.
    pub action: Option<String>,
    /// Only those about a resource with this kind, id or name, or `kind name`.
    pub resource: Option<String>,
    /// Only those that ended so.
    pub outcome: Option<String>,
    /// Only those at this time or later, in microseconds since 1970.
    pub since: Option<i64>,
    /// Only those before this time.
    pub until: Option<i64>,
}

/// How many events there are, by rows and by what they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// The sum of their counts.
    pub events: u64,
}

/// A row as it can be shown, with `unreadable` in place of what no row can hold.
fn shown(read: Read) -> ChainRow {
    read.unwrap_or_else(|(sequence, error)| ChainRow {
        sequence,
        action: "unreadable".to_owned(),
        details: serde_json::json!({ "error": error }).to_string(),
        ..ChainRow::default()
    })
}

impl Store {
    /// A page of events, the newest first: those before the row `before`, after passing over some.
    pub async fn events(
        &self,
        filter: &EventFilter,
        before: Option<u64>,
        offset: u64,
        limit: u64,
    ) -> sqlx::Result<Vec<ChainRow>> {
        let mut query = QueryBuilder::new(COLUMNS);
        restrict(&mut query, filter);
        if let Some(before) = before {
            query.push(" AND sequence < ").push_bind(before as i64);
        }
        query.push(" ORDER BY sequence DESC LIMIT ").push_bind(limit as i64);
        query.push(" OFFSET ").push_bind(offset as i64);
        let rows = query.build().fetch_all(self.readers()).await?;
        rows.iter().map(|found| row(found).map(shown)).collect()
    }

    /// The events after the row `after`, the oldest first.
    pub async fn events_after(&self, filter: &EventFilter, after: u64, limit: u64) -> sqlx::Result<Vec<ChainRow>> {
        let mut query = QueryBuilder::new(COLUMNS);
        restrict(&mut query, filter);
        query.push(" AND sequence > ").push_bind(after as i64);
        query.push(" ORDER BY sequence LIMIT ").push_bind(limit as i64);
        let rows = query.build().fetch_all(self.readers()).await?;
        rows.iter().map(|found| row(found).map(shown)).collect()
    }

    /// How many events match.
    pub async fn event_totals(&self, filter: &EventFilter) -> sqlx::Result<Totals> {
        let mut query = QueryBuilder::new("SELECT COUNT(*), COALESCE(SUM(count), 0) FROM event");
        restrict(&mut query, filter);
        let row = query.build().fetch_one(self.readers()).await?;
        Ok(Totals { rows: row.try_get::<i64, _>(0)? as u64, events: row.try_get::<i64, _>(1)? as u64 })
    }

    /// What the pseudonyms of these rows stand for; `None` for what was erased.
    pub async fn names(&self, rows: &[ChainRow]) -> sqlx::Result<HashMap<String, Option<String>>> {
        let mut db = self.readers().acquire().await?;
        names(&mut db, rows).await
    }
}

/// What the pseudonyms of these rows stand for; `None` for what was erased.
pub async fn names(db: &mut SqliteConnection, rows: &[ChainRow]) -> sqlx::Result<HashMap<String, Option<String>>> {
    let wanted: HashSet<&str> = rows.iter().flat_map(pseudonyms).collect();
    let found = people(db, &wanted).await?;
    Ok(found.into_iter().map(|person| (person.pseudonym, person.value)).collect())
}

/// The pseudonyms in a row.
pub fn pseudonyms(row: &ChainRow) -> impl Iterator<Item = &str> {
    let actor = matches!(row.actor_kind.as_str(), "user" | "consumer").then_some(row.actor.as_str());
    let resource = PERSONAL_KINDS.contains(&row.kind.as_str()).then_some(row.resource_name.as_str());
    [actor, Some(row.client.as_str()), resource].into_iter().flatten().filter(|text| !text.is_empty())
}

const PSEUDONYM_OF: &str = "(SELECT pseudonym FROM audit_person WHERE value = ";

fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    query.push(" WHERE 1 = 1");
    if let Some(tenant) = filter.tenant_id {
        query.push(" AND tenant_id = ").push_bind(tenant.to_string());
    }
    if let Some(user) = &filter.user {
        query.push(" AND (actor = ").push_bind(user.clone()).push(" OR actor_id = ").push_bind(user.clone());
        query.push(" OR actor = ").push(PSEUDONYM_OF).push_bind(user.clone()).push("))");
    }
    match filter.action.as_deref().map(|action| (action, action.strip_suffix('*'))) {
        Some((_, Some(start))) => {
            query.push(" AND substr(action, 1, length(").push_bind(start.to_owned());
            query.push(")) = ").push_bind(start.to_owned());
        }
        Some((action, None)) => {
            query.push(" AND action = ").push_bind(action.to_owned());
        }
        None => {}
    }
    if let Some(resource) = &filter.resource {
        query.push(" AND (");
        for (before, column) in [("", "kind"), (" OR ", "resource_id"), (" OR ", "resource_name")] {
            query.push(before).push(column).push(" = ").push_bind(resource.clone());
        }
        query.push(" OR resource_name = ").push(PSEUDONYM_OF).push_bind(resource.clone()).push(")");
        if let Some((kind, name)) = resource.split_once([' ', '/']) {
            query.push(" OR (kind = ").push_bind(kind.to_owned()).push(" AND (resource_name = ");
            query.push_bind(name.to_owned()).push(" OR resource_name = ").push(PSEUDONYM_OF);
            query.push_bind(name.to_owned()).push(")))");
        }
        query.push(")");
    }
    if let Some(outcome) = &filter.outcome {
        query.push(" AND outcome = ").push_bind(outcome.clone());
    }
    if let Some(since) = filter.since {
        query.push(" AND at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" AND at < ").push_bind(until);
    }
}
