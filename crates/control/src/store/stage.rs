//! Works out what a change would do, against the store as it stands: finds what is meant, resolves references, checks
//! every field, follows cascades. Nothing is written here.

mod check;
mod import;
mod lookup;
mod merge;
mod provider;
mod token;

use std::collections::HashMap;

use portunus_gateway::kind::{Id, OnDelete, PLATFORM_TENANT};
use portunus_gateway::problem::Problem;
use serde_json::Value;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::keys::StoreKeys;
use super::row::Row;
use super::{Action, Change, CommitError, Done, Edit, Op, Outcome};
use crate::access::AccessTable;
use crate::principal::Principal;

type Name = (&'static str, Id, String);

/// The part of the store that a change is about, with the change's own steps laid over it.
pub(super) struct Stage<'a> {
    db: &'a mut SqliteConnection,
    access: &'a AccessTable,
    keys: &'a StoreKeys,
    principal: Option<&'a Principal>,
    now: i64,
    rows: HashMap<Id, Option<Row>>,
    names: HashMap<Name, Option<Id>>,
    outcomes: Vec<Outcome>,
    invalid: Vec<Problem>,
    conflicts: Vec<Problem>,
}

impl From<sqlx::Error> for CommitError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.to_string())
    }
}

/// What a change would do, or everything that is wrong with it.
pub(super) async fn stage(
    db: &mut SqliteConnection,
    access: &AccessTable,
    keys: &StoreKeys,
    change: &Change,
    now: i64,
) -> Result<Vec<Outcome>, CommitError> {
    let mut stage = Stage {
        db,
        access,
        keys,
        principal: change.principal.as_deref(),
        now,
        rows: HashMap::new(),
        names: HashMap::new(),
        outcomes: Vec::with_capacity(change.ops.len()),
        invalid: Vec::new(),
        conflicts: Vec::new(),
    };
    stage.prefetch(&change.ops).await?;
    for op in &change.ops {
        stage.step(op).await?;
    }
    if !stage.invalid.is_empty() {
        stage.invalid.extend(stage.conflicts);
        return Err(CommitError::Invalid(stage.invalid));
    }
    if !stage.conflicts.is_empty() {
        return Err(CommitError::Conflict(stage.conflicts));
    }
    Ok(stage.outcomes)
}

impl Stage<'_> {
    async fn step(&mut self, op: &Op) -> Result<(), CommitError> {
        match &op.action {
            Action::Create { tenant_id, name, spec } => self.create(op, *tenant_id, name.clone(), spec).await,
            Action::Update { id, if_match, name, edit } => {
                let before = self.existing(op.kind, *id, *if_match).await?;
                let spec = match edit {
                    Edit::Replace(spec) => spec.clone(),
                    Edit::Merge(patch) => {
                        let mut spec = Value::Object(before.visible());
                        merge::merge(&mut spec, patch);
                        spec
                    }
                    Edit::Rollback(revision) => self.past(&before, *revision).await?,
                };
                let sent = name.clone().filter(|name| *name != before.name);
                let Some(name) = self.named(op, sent, &spec) else { return Ok(()) };
                let name = name.unwrap_or_else(|| before.name.clone());
                self.update(op, before, name, &spec).await
            }
            Action::Apply { tenant, name, spec } => {
                let Some(tenant_id) = self.tenant(op, tenant).await? else { return Ok(()) };
                if self.named(op, Some(name.clone()), spec).is_none() {
                    return Ok(());
                }
                match self.by_name(op.kind, tenant_id, name).await? {
                    Some(before) => self.update(op, before, name.clone(), spec).await,
                    None => self.create(op, tenant_id, Some(name.clone()), spec).await,
                }
            }
            Action::Import(import) => self.import(op, import).await,
            Action::Delete { id, if_match, cascade } => {
                let row = self.existing(op.kind, *id, *if_match).await?;
                self.delete(row, *cascade).await
            }
        }
    }

    /// The name that was sent, or the one that follows from the fields. Nothing when they contradict each other, which is
    /// noted.
    fn named(&mut self, op: &Op, sent: Option<String>, spec: &Value) -> Option<Option<String>> {
        let Some(own) = op.kind.name_of(spec) else {
            // Which of the fields is missing is told with the other faults.
            return Some(sent.or_else(|| op.kind.named_by.first().map(|_| "unnamed".to_owned())));
        };
        match sent {
            Some(name) if name != own => {
                let message = format!("the name of a {} is {}", op.kind.kind, op.kind.named_by.join(":"));
                self.invalid.push(Problem::new(op.meta_path("name"), message, own).found(name));
                None
            }
            _ => Some(Some(own)),
        }
    }

    async fn create(&mut self, op: &Op, tenant_id: Id, name: Option<String>, spec: &Value) -> Result<(), CommitError> {
        let id = Uuid::now_v7();
        let Some(name) = self.named(op, name, spec) else { return Ok(()) };
        let Some(name) = name.or_else(|| (op.kind.default_name)(id)) else {
            self.invalid.push(Problem::new(
                op.meta_path("name"),
                "`name` is missing",
                "a name, unique among its kind in the tenant",
            ));
            // The other faults are told as well.
            self.checked(op, tenant_id, "unnamed", spec, None).await?;
            return Ok(());
        };
        if let Some(taken) = self.by_name(op.kind, tenant_id, &name).await? {
            let message = format!("there is a {} with this name already", op.kind.kind);
            let problem =
                Problem::new(op.meta_path("name"), message, format!("another name, or a change of {}", taken.id))
                    .found(name);
            self.conflicts.push(problem);
            return Ok(());
        }
        let Some((spec, secret)) = self.checked(op, tenant_id, &name, spec, None).await? else { return Ok(()) };
        // The first tenant belongs to itself.
        let is_first = self.access.platform.is_none() && op.kind.kind == "Tenant" && name == PLATFORM_TENANT;
        let tenant_id = if is_first { id } else { tenant_id };
        let row =
            Row { id, kind: op.kind, tenant_id, name, revision: 1, spec, created_at: self.now, updated_at: self.now };
        self.keep(Outcome { done: Done::Created, row, before: None, secret });
        Ok(())
    }

    async fn update(&mut self, op: &Op, before: Row, name: String, spec: &Value) -> Result<(), CommitError> {
        if name != before.name {
            if before.kind.kind == "Tenant" && before.name == PLATFORM_TENANT {
                self.invalid.push(
                    Problem::new(op.meta_path("name"), "the built-in tenant keeps its name", PLATFORM_TENANT)
                        .found(name),
                );
                return Ok(());
            }
            if self.by_name(op.kind, before.tenant_id, &name).await?.is_some() {
                let message = format!("there is a {} with this name already", op.kind.kind);
                self.conflicts.push(Problem::new(op.meta_path("name"), message, "another name").found(name));
                return Ok(());
            }
        }
        let checked = self.checked(op, before.tenant_id, &name, spec, Some(&before)).await?;
        let Some((spec, secret)) = checked else { return Ok(()) };
        if spec == before.spec && name == before.name {
            self.outcomes.push(Outcome { done: Done::Unchanged, row: before.clone(), before: Some(before), secret });
            return Ok(());
        }
        let row = Row { name, revision: before.revision + 1, spec, updated_at: self.now, ..before.clone() };
        self.keep(Outcome { done: Done::Updated, row, before: Some(before), secret });
        Ok(())
    }

    fn keep(&mut self, outcome: Outcome) {
        if let Some(before) = &outcome.before {
            self.names.insert((before.kind.kind, before.tenant_id, before.name.clone()), None);
        }
        let row = &outcome.row;
        self.names.insert((row.kind.kind, row.tenant_id, row.name.clone()), Some(row.id));
        self.rows.insert(row.id, Some(row.clone()));
        self.outcomes.push(outcome);
    }

    async fn delete(&mut self, row: Row, cascade: bool) -> Result<(), CommitError> {
        if row.kind.kind == "Tenant" && Some(row.id) == self.access.platform {
            self.conflicts.push(Problem::new("", "the built-in tenant cannot be deleted", "another tenant"));
            return Ok(());
        }
        let mut waiting = vec![row];
        let mut gone: Vec<Row> = Vec::new();
        while let Some(row) = waiting.pop() {
            if gone.iter().any(|known| known.id == row.id) {
                continue;
            }
            for (referrer, on_delete) in self.referrers(&row).await? {
                if gone.iter().any(|known| known.id == referrer.id) {
                    continue;
                }
                if on_delete == OnDelete::Follow || cascade {
                    waiting.push(referrer);
                } else {
                    let message =
                        format!("{} {} refers to {} {}", referrer.kind.kind, referrer.name, row.kind.kind, row.name);
                    let expected = "its deletion first, or `cascade=true` to delete what refers to it as well";
                    self.conflicts.push(Problem::new("", message, expected).found(referrer.id.to_string()));
                }
            }
            gone.push(row);
        }
        // What refers goes before what is referred to.
        for row in gone.into_iter().rev() {
            self.names.insert((row.kind.kind, row.tenant_id, row.name.clone()), None);
            self.rows.insert(row.id, None);
            self.outcomes.push(Outcome { done: Done::Deleted, before: Some(row.clone()), row, secret: None });
        }
        Ok(())
    }
}
