//! A request for approval as it is kept, with what was decided about it: rows of two tables.

use portunus_gateway::kind::Id;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::life::{Life, Status};
use super::requests::Terms;
use crate::audit::event::{Actor, NewEvent};
use crate::store::row::time;

/// A decision about a request.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Who decided.
    pub account_id: Id,
    /// The account's name at that time.
    pub account: String,
    /// Whether they said yes.
    pub approves: bool,
    /// What they said with it.
    pub comment: String,
    /// When.
    pub at: i64,
}

/// A request as it is kept. Times are microseconds since 1970.
#[derive(Debug, Clone)]
pub struct Approval {
    /// Its id.
    pub id: Id,
    /// The tenant in which it is approved.
    pub tenant_id: Id,
    /// Who asked, such as `user:ada`.
    pub requester: String,
    /// What proved it.
    pub via: String,
    /// `control` or `gateway`.
    pub door: String,
    /// The permissions that the call uses.
    pub permission: String,
    /// The API's name on a proxied route.
    pub api: String,
    /// The call's method.
    pub method: String,
    /// The call's path.
    pub path: String,
    /// The call's query.
    pub query: String,
    /// SHA-256 of the call's body.
    pub body_sha256: String,
    /// Why it was asked for.
    pub reason: String,
    /// The rules that it satisfies.
    pub rules: Vec<Id>,
    /// An approver has a role of each of these lists.
    pub approver_roles: Vec<Vec<Id>>,
    /// When it was asked for.
    pub created_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Where it stands.
    pub life: Life,
    /// What was decided.
    pub decisions: Vec<Decision>,
}

/// The request with this id.
pub async fn find(db: &mut SqliteConnection, id: Id) -> sqlx::Result<Option<Approval>> {
    let row = sqlx::query("SELECT * FROM approval WHERE id = $1").bind(id.to_string()).fetch_optional(&mut *db).await?;
    match row {
        Some(row) => Ok(Some(complete(db, &row).await?)),
        None => Ok(None),
    }
}

/// The open request for a call.
pub(super) async fn of_call(db: &mut SqliteConnection, requester: Id, digest: &str) -> sqlx::Result<Option<Approval>> {
    let row = sqlx::query(
        "SELECT * FROM approval WHERE requester_id = $1 AND digest = $2 AND status IN ('pending', 'approved')",
    )
    .bind(requester.to_string())
    .bind(digest)
    .fetch_optional(&mut *db)
    .await?;
    match row {
        Some(row) => Ok(Some(complete(db, &row).await?)),
        None => Ok(None),
    }
}

/// A request with what was decided about it.
pub async fn complete(db: &mut SqliteConnection, row: &SqliteRow) -> sqlx::Result<Approval> {
    let mut approval = Approval::from_row(row)?;
    let rows = sqlx::query("SELECT * FROM approval_decision WHERE approval_id = $1 ORDER BY at, account_id")
        .bind(approval.id.to_string())
        .fetch_all(db)
        .await?;
    for row in &rows {
        let decision = Decision {
            account_id: id(row, "account_id")?,
            account: row.try_get("account")?,
            approves: row.try_get::<&str, _>("decision")? == "approve",
            comment: row.try_get("comment")?,
            at: row.try_get("at")?,
        };
        approval.life.decided.push(decision.account_id);
        approval.decisions.push(decision);
    }
    Ok(approval)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn id(row: &SqliteRow, column: &str) -> sqlx::Result<Id> {
    row.try_get::<&str, _>(column)?.parse().map_err(decode)
}

impl Decision {
    pub(super) async fn insert(&self, db: &mut SqliteConnection, approval: Id) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO approval_decision (approval_id, account_id, account, decision, comment, at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(approval.to_string())
        .bind(self.account_id.to_string())
        .bind(&self.account)
        .bind(self.word())
        .bind(&self.comment)
        .bind(self.at)
        .execute(db)
        .await?;
        Ok(())
    }

    const fn word(&self) -> &'static str {
        if self.approves { "approve" } else { "reject" }
    }
}

impl Approval {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let status = text("status")?;
        Ok(Self {
            id: id(row, "id")?,
            tenant_id: id(row, "tenant_id")?,
            requester: text("requester")?,
            via: text("via")?,
            door: text("door")?,
            permission: text("permission")?,
            api: text("api")?,
            method: text("method")?,
            path: text("path")?,
            query: text("query")?,
            body_sha256: text("body_sha256")?,
            reason: text("reason")?,
            rules: serde_json::from_str(row.try_get("rules")?).map_err(decode)?,
            approver_roles: serde_json::from_str(row.try_get("approver_roles")?).map_err(decode)?,
            created_at: row.try_get("created_at")?,
            ended_at: row.try_get("ended_at")?,
            life: Life {
                requester: id(row, "requester_id")?,
                needed: row.try_get::<i64, _>("needed")? as usize,
                status: Status::of(&status)
                    .ok_or_else(|| sqlx::Error::Decode(format!("{status} is no status of an approval").into()))?,
                expires_at: row.try_get("expires_at")?,
                valid_for: row.try_get::<i64, _>("valid_seconds")?.saturating_mul(1_000_000),
                approved_until: row.try_get("approved_until")?,
                decided: Vec::new(),
            },
            decisions: Vec::new(),
        })
    }

    /// Whether its approval is enough for these terms.
    pub(super) fn satisfies(&self, terms: &Terms) -> bool {
        self.life.needed >= terms.needed as usize
            && terms.rules.iter().all(|rule| self.rules.contains(rule))
            && terms.approver_roles.iter().all(|roles| self.approver_roles.contains(roles))
    }

    pub(super) async fn insert(&self, db: &mut SqliteConnection, digest: &str) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO approval (id, tenant_id, requester_id, requester, via, door, permission, api, method, path, \
             query, body_sha256, digest, reason, rules, approver_roles, needed, valid_seconds, status, created_at, \
             expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
             $20, $21)",
        )
        .bind(self.id.to_string())
        .bind(self.tenant_id.to_string())
        .bind(self.life.requester.to_string())
        .bind(&self.requester)
        .bind(&self.via)
        .bind(&self.door)
        .bind(&self.permission)
        .bind(&self.api)
        .bind(&self.method)
        .bind(&self.path)
        .bind(&self.query)
        .bind(&self.body_sha256)
        .bind(digest)
        .bind(&self.reason)
        .bind(json!(self.rules).to_string())
        .bind(json!(self.approver_roles).to_string())
        .bind(self.life.needed as i64)
        .bind(self.life.valid_for / 1_000_000)
        .bind(self.life.status.word())
        .bind(self.created_at)
        .bind(self.life.expires_at)
        .execute(db)
        .await?;
        Ok(())
    }

    pub(super) async fn update(&mut self, db: &mut SqliteConnection, now: i64) -> sqlx::Result<()> {
        self.ended_at = (!self.life.status.is_open()).then_some(now);
        sqlx::query("UPDATE approval SET status = $1, approved_until = $2, ended_at = $3 WHERE id = $4")
            .bind(self.life.status.word())
            .bind(self.life.approved_until)
            .bind(self.ended_at)
            .bind(self.id.to_string())
            .execute(db)
            .await?;
        Ok(())
    }

    /// Writes how it ended, and records it.
    pub(super) async fn end(
        &mut self,
        db: &mut SqliteConnection,
        events: &mut Vec<NewEvent>,
        actor: Actor,
        now: i64,
    ) -> sqlx::Result<()> {
        self.update(db, now).await?;
        events.push(self.event(actor, self.life.status.word()));
        Ok(())
    }

    /// What the record says of a step. Paths to people hold their names, which have no place there.
    pub(super) fn event(&self, actor: Actor, word: &str) -> NewEvent {
        let is_personal =
            self.permission.split(", ").any(|text| text.starts_with("user:") || text.starts_with("consumer:"));
        let mut details = json!({
            "door": self.door,
            "method": self.method,
            "body_sha256": self.body_sha256,
            "requester_id": self.life.requester,
            "status": self.life.status.word(),
            "approvals": self.approvals(),
            "needed": self.life.needed,
        });
        for (field, value) in [("permission", &self.permission), ("api", &self.api)] {
            if !value.is_empty() {
                details[field] = value.as_str().into();
            }
        }
        if !is_personal {
            details["path"] = self.path.as_str().into();
        }
        NewEvent::new(actor, format!("approval.{word}")).of(self.tenant_id).about("Approval", self.id, "").with(details)
    }

    /// How many have approved.
    pub fn approvals(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.approves).count()
    }

    /// The flat JSON of the API, as of now.
    pub fn to_json(&self, now: i64) -> Value {
        let mut life = self.life.clone();
        life.age(now);
        let decisions: Vec<Value> = self
            .decisions
            .iter()
            .map(|decision| {
                json!({
                    "account_id": decision.account_id,
                    "account": decision.account,
                    "decision": decision.word(),
                    "comment": decision.comment,
                    "at": time(decision.at),
                })
            })
            .collect();
        json!({
            "id": self.id,
            "tenant_id": self.tenant_id,
            "status": life.status.word(),
            "requester_id": life.requester,
            "requester": self.requester,
            "via": self.via,
            "door": self.door,
            "permission": self.permission,
            "api": self.api,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "body_sha256": self.body_sha256,
            "reason": self.reason,
            "rules": self.rules,
            "approver_roles": self.approver_roles,
            "needed": life.needed,
            "approvals": self.approvals(),
            "decisions": decisions,
            "created_at": time(self.created_at),
            "expires_at": time(life.expires_at),
            "approved_until": life.approved_until.map(time),
            "ended_at": self.ended_at.map(time),
        })
    }
}
