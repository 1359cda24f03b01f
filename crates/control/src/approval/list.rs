//! Requests for approval as they are listed: the latest first.

use portunus_gateway::kind::Id;
use sqlx::{QueryBuilder, Sqlite};

use super::life::Status;
use super::row::{Approval, complete, find};
use crate::store::Store;

/// Which requests to list.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those of these tenants.
    pub tenants: Option<Vec<Id>>,
    /// Only those of this requester.
    pub requester: Option<Id>,
    /// Only those that stand there.
    pub status: Option<Status>,
    /// Only those asked for before this one.
    pub before: Option<Id>,
    /// How many.
    pub limit: u64,
}

/// The request with this id.
pub async fn get(store: &Store, id: Id) -> sqlx::Result<Option<Approval>> {
    let mut db = store.readers().acquire().await?;
    find(&mut db, id).await
}

/// The requests that were asked for, the latest first.
pub async fn list(store: &Store, filter: &Filter, now: i64) -> sqlx::Result<Vec<Approval>> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM approval WHERE 1 = 1");
    if let Some(tenants) = &filter.tenants {
        query.push(" AND tenant_id IN (");
        let mut ids = query.separated(", ");
        for tenant in tenants {
            ids.push_bind(tenant.to_string());
        }
        query.push(")");
    }
    if let Some(requester) = filter.requester {
        query.push(" AND requester_id = ").push_bind(requester.to_string());
    }
    match filter.status {
        None => {}
        Some(status @ (Status::Pending | Status::Approved)) => {
            let end = if status == Status::Pending { "expires_at" } else { "approved_until" };
            query.push(" AND status = ").push_bind(status.word()).push(" AND ").push(end).push(" > ").push_bind(now);
        }
        Some(Status::Expired) => {
            query.push(" AND (status = 'expired' OR (status = 'pending' AND expires_at <= ").push_bind(now);
            query.push(") OR (status = 'approved' AND approved_until <= ").push_bind(now).push("))");
        }
        Some(status) => {
            query.push(" AND status = ").push_bind(status.word());
        }
    }
    if let Some(before) = filter.before {
        query.push(" AND id < ").push_bind(before.to_string());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(filter.limit as i64);
    let mut db = store.readers().acquire().await?;
    let rows = query.build().fetch_all(&mut *db).await?;
    let mut approvals = Vec::with_capacity(rows.len());
    for row in &rows {
        approvals.push(complete(&mut db, row).await?);
    }
    Ok(approvals)
}
