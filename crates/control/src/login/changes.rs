//! What follows for logins when an account is changed, by whatever door: in the same transaction.

use portunus_gateway::kind::Id;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::session;
use crate::audit::event::NewEvent;
use crate::store::row::Row;
use crate::store::{Change, Done, Outcome};

/// Ends the sessions of accounts that were locked, deleted or got another password; gives the events that tell of it.
pub async fn follow(
    db: &mut SqliteConnection,
    outcomes: &[Outcome],
    change: &Change,
    now: i64,
) -> sqlx::Result<Vec<NewEvent>> {
    let mut events = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| matches!(outcome.row.kind.kind, "User" | "ServiceAccount")) {
        match (&outcome.before, outcome.done) {
            (Some(before), Done::Updated) => updated(db, before, &outcome.row, change, now, &mut events).await?,
            (_, Done::Deleted) => forget(db, outcome.row.id).await?,
            _ => {}
        }
    }
    Ok(events)
}

async fn updated(
    db: &mut SqliteConnection,
    before: &Row,
    after: &Row,
    change: &Change,
    now: i64,
    events: &mut Vec<NewEvent>,
) -> sqlx::Result<()> {
    let changed = |field: &str| before.spec.get(field) != after.spec.get(field);
    let mut tell = |word: &str, details: Value| {
        let event = NewEvent::new(change.actor.clone(), format!("{}.{word}", after.kind.noun))
            .of(after.tenant_id)
            .about(after.kind.kind, after.id, &after.name)
            .with(details);
        events.push(event);
    };
    if changed("status") {
        if after.spec.get("status").and_then(Value::as_str) == Some("locked") {
            let ended = session::end_all_in(db, after.id, None, "locked", now).await?;
            session::raise_generation_in(db, after.id).await?;
            tell("locked", json!({ "sessions": ended }));
        } else {
            tell("unlocked", json!({}));
        }
    }
    if changed("password_hash") || changed("secret_hash") {
        let is_own = change.actor.id == Some(after.id);
        let spared = change.principal.as_ref().filter(|_| is_own).and_then(|principal| principal.proof.session());
        let ended = session::end_all_in(db, after.id, spared, "password changed", now).await?;
        if is_own {
            sqlx::query("UPDATE account_state SET must_reset_password = 0 WHERE account_id = $1")
                .bind(after.id.to_string())
                .execute(&mut *db)
                .await?;
        }
        sqlx::query("DELETE FROM one_time_token WHERE user_id = $1").bind(after.id.to_string()).execute(db).await?;
        let what = if changed("password_hash") { "password_changed" } else { "secret_changed" };
        tell(what, json!({ "sessions": ended }));
    }
    Ok(())
}

async fn forget(db: &mut SqliteConnection, account: Id) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM session WHERE user_id = $1",
        "DELETE FROM one_time_token WHERE user_id = $1",
        "DELETE FROM account_state WHERE account_id = $1",
    ] {
        sqlx::query(sql).bind(account.to_string()).execute(&mut *db).await?;
    }
    Ok(())
}
