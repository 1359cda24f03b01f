//! Appends to the chain of events. Only the writer calls this, inside its transaction.

use portunus_gateway::kind::Id;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::audit::chain::{ChainRow, HEAD, Head, SealKey};
use crate::audit::event::NewEvent;
use crate::audit::person::{PERSONAL_KINDS, People};

/// Rows per statement; SQLite takes 32,766 parameters.
const BATCH: usize = 500;

/// The end of the chain, and what is needed to append to it.
pub(super) struct Chain {
    pub(super) head: Head,
    pub(super) key: SealKey,
    pub(super) people: People,
}

impl Chain {
    /// Goes on where the store's chain ends.
    pub(super) async fn open(db: &mut SqliteConnection, key: SealKey) -> sqlx::Result<Self> {
        Ok(Self { head: head(db).await?, key, people: People::default() })
    }

    /// Links events and writes them. `platform` owns what belongs to no tenant.
    pub(super) async fn append(
        &mut self,
        db: &mut SqliteConnection,
        events: &[NewEvent],
        platform: Option<Id>,
        store_revision: u64,
        now: i64,
    ) -> sqlx::Result<()> {
        for batch in events.chunks(BATCH) {
            let addresses: Vec<String> = batch.iter().map(address).collect();
            let personal = batch.iter().flat_map(|event| [actor_in(event), resource_in(event)]).flatten();
            let values: Vec<&str> = personal.chain(addresses.iter().map(String::as_str)).collect();
            self.people.meet(db, &values).await?;
            let mut rows = Vec::with_capacity(batch.len());
            for (event, address) in batch.iter().zip(&addresses) {
                let mut row = self.row(event, address, platform, store_revision, now);
                self.head.link(&mut row, &self.key);
                rows.push(row);
            }
            insert(db, &rows).await?;
        }
        Ok(())
    }

    /// Notes where the chain ends now.
    pub(super) async fn write_head(&self, db: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO audit_head (only_row, sequence, hash, seal) VALUES (1, $1, $2, $3) \
             ON CONFLICT (only_row) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, seal = excluded.seal",
        )
        .bind(self.head.sequence as i64)
        .bind(&self.head.hash)
        .bind(self.key.seal(HEAD, &self.head.text()))
        .execute(db)
        .await?;
        Ok(())
    }

    /// The row of an event, with pseudonyms in the place of people.
    fn row(&self, event: &NewEvent, address: &str, platform: Option<Id>, store_revision: u64, now: i64) -> ChainRow {
        let actor = match actor_in(event) {
            Some(person) => self.people.pseudonym(person),
            None => event.actor.name.clone(),
        };
        let client = self.people.pseudonym(address);
        let resource_name = match resource_in(event) {
            Some(person) => self.people.pseudonym(person),
            None => event.resource_name.clone(),
        };
        let tenant_id = event.tenant_id.or(platform).unwrap_or_default();
        ChainRow {
            at: now,
            tenant_id: tenant_id.to_string(),
            actor_kind: event.actor.kind.word().to_owned(),
            actor,
            actor_id: event.actor.id.map(|id| id.to_string()).unwrap_or_default(),
            via: event.actor.via.clone(),
            client,
            request_id: event.actor.request_id.clone(),
            action: event.action.clone(),
            kind: event.kind.clone(),
            resource_id: event.resource_id.clone(),
            resource_name,
            outcome: event.outcome.word().to_owned(),
            reason: event.reason.clone(),
            count: event.count,
            details: event.details.to_string(),
            store_revision,
            ..ChainRow::default()
        }
    }
}

/// The address that an event came from; empty when it came from none.
fn address(event: &NewEvent) -> String {
    event.actor.address.map(|address| address.to_string()).unwrap_or_default()
}

/// The name of the person who did it.
fn actor_in(event: &NewEvent) -> Option<&str> {
    event.actor.kind.is_personal().then_some(event.actor.name.as_str())
}

/// The name of the person that it was done to.
fn resource_in(event: &NewEvent) -> Option<&str> {
    PERSONAL_KINDS.contains(&event.kind.as_str()).then_some(event.resource_name.as_str())
}

/// Where the chain ends: at its last row or, when rows are missing at its end, where it is noted to have ended, so that
/// the gap stays to be seen.
async fn head(db: &mut SqliteConnection) -> sqlx::Result<Head> {
    let found = sqlx::query(
        "SELECT sequence, hash FROM (SELECT sequence, hash FROM event ORDER BY sequence DESC LIMIT 1) \
         UNION ALL SELECT sequence, hash FROM audit_head ORDER BY sequence DESC LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    Ok(match found {
        Some(row) => Head { sequence: row.try_get::<i64, _>("sequence")? as u64, hash: row.try_get("hash")? },
        None => Head::default(),
    })
}

async fn insert(db: &mut SqliteConnection, rows: &[ChainRow]) -> sqlx::Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO event (sequence, at, tenant_id, actor_kind, actor, actor_id, via, client, request_id, action, kind, \
         resource_id, resource_name, outcome, reason, count, details, store_revision, previous_hash, hash, seal) ",
    );
    query.push_values(rows, |mut values, row| {
        values
            .push_bind(row.sequence as i64)
            .push_bind(row.at)
            .push_bind(row.tenant_id.as_str())
            .push_bind(row.actor_kind.as_str())
            .push_bind(row.actor.as_str())
            .push_bind(row.actor_id.as_str())
            .push_bind(row.via.as_str())
            .push_bind(row.client.as_str())
            .push_bind(row.request_id.as_str())
            .push_bind(row.action.as_str())
            .push_bind(row.kind.as_str())
            .push_bind(row.resource_id.as_str())
            .push_bind(row.resource_name.as_str())
            .push_bind(row.outcome.as_str())
            .push_bind(row.reason.as_str())
            .push_bind(row.count as i64)
            .push_bind(row.details.as_str())
            .push_bind(row.store_revision as i64)
            .push_bind(row.previous_hash.as_str())
            .push_bind(row.hash.as_str())
            .push_bind(row.seal.as_str());
    });
    query.build().execute(db).await?;
    Ok(())
}
