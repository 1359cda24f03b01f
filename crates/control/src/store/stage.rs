//! Works out what a change would do, against the store as it stands: finds what is meant, resolves references, checks
//! every field, follows cascades. Nothing is written here.

use std::collections::HashMap;

use portunus_gateway::kind::{Id, KindInfo, OnDelete, OneTimeSecret, PLATFORM_TENANT, check_name};
use portunus_gateway::problem::Problem;
use serde_json::{Map, Value};
use sqlx::{QueryBuilder, Row as _, SqliteConnection};
use uuid::Uuid;

use super::read::{self, COLUMNS};
use super::row::Row;
use super::{Action, Change, CommitError, Done, Edit, Op, Outcome};
use crate::access::{AccessTable, Account};
use crate::lifecycle;
use crate::resource;

type Name = (&'static str, Id, String);

/// The part of the store that a change is about, with the change's own steps laid over it.
pub(super) struct Stage<'a> {
    db: &'a mut SqliteConnection,
    access: &'a AccessTable,
    account: Option<&'a Account>,
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
    change: &Change,
    now: i64,
) -> Result<Vec<Outcome>, CommitError> {
    let mut stage = Stage {
        db,
        access,
        account: change.account.as_deref(),
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
                        merge(&mut spec, patch);
                        spec
                    }
                    Edit::Rollback(revision) => self.past(&before, *revision).await?,
                };
                let name = name.clone().unwrap_or_else(|| before.name.clone());
                self.update(op, before, name, &spec).await
            }
            Action::Apply { tenant, name, spec } => {
                let Some(tenant_id) = self.tenant(op, tenant).await? else { return Ok(()) };
                match self.by_name(op.kind, tenant_id, name).await? {
                    Some(before) => self.update(op, before, name.clone(), spec).await,
                    None => self.create(op, tenant_id, Some(name.clone()), spec).await,
                }
            }
            Action::Delete { id, if_match, cascade } => {
                let row = self.existing(op.kind, *id, *if_match).await?;
                self.delete(row, *cascade).await
            }
        }
    }

    async fn create(&mut self, op: &Op, tenant_id: Id, name: Option<String>, spec: &Value) -> Result<(), CommitError> {
        let id = Uuid::now_v7();
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

    /// The fields as they will be kept, or nothing when a fault was noted.
    async fn checked(
        &mut self,
        op: &Op,
        tenant_id: Id,
        name: &str,
        spec: &Value,
        before: Option<&Row>,
    ) -> Result<Option<(Value, Option<OneTimeSecret>)>, CommitError> {
        if let Some(problem) = check_name(name) {
            self.invalid.push(Problem { path: op.meta_path("name"), ..problem });
        }
        let mut problems = Vec::new();
        let mut spec = spec.clone();
        self.resolve(op.kind, tenant_id, &mut spec, &mut problems).await?;
        if op.kind.kind == "Subscription" && spec.get("status").is_none() {
            let status = match before {
                Some(before) => before.spec.get("status").cloned(),
                None => self.initial_status(&spec).await?,
            };
            if let (Some(status), Some(fields)) = (status, spec.as_object_mut()) {
                fields.insert("status".into(), status);
            }
        }
        // A value that could not be resolved is reported already; the other fields are still checked.
        let prepared = tokio::task::block_in_place(|| (op.kind.prepare)(&spec, before.map(|before| &before.spec)));
        let prepared = match prepared {
            Ok(prepared) => Some(prepared),
            Err(faults) => {
                problems.extend(faults);
                None
            }
        };
        match prepared {
            Some(prepared) if problems.is_empty() => {
                self.check_grants(op.kind, tenant_id, &prepared.spec).await?;
                Ok(Some((prepared.spec, prepared.secret)))
            }
            _ => {
                self.invalid.extend(problems.into_iter().map(|problem| problem.under(&op.path)));
                Ok(None)
            }
        }
    }

    async fn initial_status(&mut self, spec: &Value) -> Result<Option<Value>, CommitError> {
        let plan = match spec.get("plan_id").and_then(Value::as_str).and_then(|id| id.parse().ok()) {
            Some(id) => self.row(id).await?,
            None => None,
        };
        Ok(Some(lifecycle::initial_status(plan.as_ref())))
    }

    /// Nobody hands out more than they have.
    async fn check_grants(&mut self, kind: &'static KindInfo, tenant_id: Id, spec: &Value) -> Result<(), CommitError> {
        let Some(account) = self.account else { return Ok(()) };
        let mut permissions: Vec<String> = Vec::new();
        let listed = |value: Option<&Value>| -> Vec<String> {
            value
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect()
        };
        match kind.kind {
            "Role" => permissions.extend(listed(spec.get("permissions"))),
            "User" | "ServiceAccount" => {
                for role in listed(spec.get("roles")) {
                    let Ok(id) = role.parse() else { continue };
                    if let Some(role) = self.row(id).await? {
                        permissions.extend(listed(role.spec.get("permissions")));
                    }
                }
            }
            _ => return Ok(()),
        }
        let within = if Some(tenant_id) == self.access.platform { None } else { Some(tenant_id) };
        if account.covers(&permissions, within) {
            return Ok(());
        }
        Err(CommitError::Forbidden("nobody can hand out more rights than they have".to_owned()))
    }

    /// Turns names into ids. What is not found is noted and replaced, so that the other fields can be checked.
    async fn resolve(
        &mut self,
        kind: &'static KindInfo,
        tenant_id: Id,
        spec: &mut Value,
        problems: &mut Vec<Problem>,
    ) -> Result<(), CommitError> {
        for reference in kind.references {
            let Some(to) = resource::by_kind(reference.kind) else { continue };
            let Some(value) = spec.get_mut(reference.field) else { continue };
            let (items, many): (&mut [Value], bool) = match value {
                Value::Array(items) if reference.many => (items, true),
                single => (std::slice::from_mut(single), false),
            };
            for (index, item) in items.iter_mut().enumerate() {
                let Some(text) = item.as_str().map(str::to_owned) else { continue };
                let id = match self.referred(to, tenant_id, reference.platform, &text).await? {
                    Some(id) => id,
                    None => {
                        let path = if many {
                            format!("/{}/{index}", reference.field)
                        } else {
                            format!("/{}", reference.field)
                        };
                        let message = format!("there is no {} with this id or name", reference.kind);
                        problems.push(
                            Problem::new(
                                path,
                                message,
                                format!("the id or name of a {} of the same tenant", reference.kind),
                            )
                            .found(text),
                        );
                        Uuid::nil()
                    }
                };
                *item = Value::String(id.to_string());
            }
        }
        Ok(())
    }

    async fn referred(
        &mut self,
        kind: &'static KindInfo,
        tenant_id: Id,
        platform: bool,
        text: &str,
    ) -> Result<Option<Id>, CommitError> {
        let shared = if platform { self.access.platform } else { None };
        if let Ok(id) = text.parse::<Id>() {
            let fits =
                |row: &Row| row.kind.kind == kind.kind && (row.tenant_id == tenant_id || Some(row.tenant_id) == shared);
            if self.row(id).await?.as_ref().is_some_and(fits) {
                return Ok(Some(id));
            }
        }
        if let Some(row) = self.by_name(kind, tenant_id, text).await? {
            return Ok(Some(row.id));
        }
        match shared {
            Some(platform) => Ok(self.by_name(kind, platform, text).await?.map(|row| row.id)),
            None => Ok(None),
        }
    }

    async fn tenant(&mut self, op: &Op, text: &str) -> Result<Option<Id>, CommitError> {
        let (Some(kind), Some(platform)) = (resource::by_kind("Tenant"), self.access.platform) else { return Ok(None) };
        let found = self.referred(kind, platform, false, text).await?;
        if found.is_none() {
            let path = op.meta_path("tenant");
            self.invalid.push(Problem::new(path, "there is no such tenant", "the id or name of a tenant").found(text));
        }
        Ok(found)
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

    /// What refers to a resource by now, and what its deletion means for it.
    async fn referrers(&mut self, row: &Row) -> Result<Vec<(Row, OnDelete)>, CommitError> {
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

    async fn existing(&mut self, kind: &'static KindInfo, id: Id, if_match: Option<u64>) -> Result<Row, CommitError> {
        let row =
            self.row(id).await?.filter(|row| row.kind.kind == kind.kind).ok_or(CommitError::NotFound(kind.kind))?;
        match if_match {
            Some(revision) if revision != row.revision => Err(CommitError::Stale(row.revision)),
            _ => Ok(row),
        }
    }

    async fn past(&mut self, row: &Row, revision: u64) -> Result<Value, CommitError> {
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

    async fn row(&mut self, id: Id) -> Result<Option<Row>, CommitError> {
        if let Some(known) = self.rows.get(&id) {
            return Ok(known.clone());
        }
        let mut query = QueryBuilder::new(COLUMNS);
        query.push(" WHERE id = ").push_bind(id.to_string());
        let row = read::all(&mut *self.db, query).await?.pop();
        self.rows.insert(id, row.clone());
        Ok(row)
    }

    async fn by_name(
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
    async fn prefetch(&mut self, ops: &[Op]) -> Result<(), CommitError> {
        const ENOUGH: usize = 16;
        if ops.len() < ENOUGH {
            return Ok(());
        }
        let mut wanted: HashMap<(&'static str, Id), Vec<String>> = HashMap::new();
        for op in ops {
            let (tenant, name, spec) = match &op.action {
                Action::Apply { tenant, name, spec } => (self.tenant_quietly(tenant).await?, Some(name), spec),
                Action::Create { tenant_id, name, spec } => (Some(*tenant_id), name.as_ref(), spec),
                Action::Update { .. } | Action::Delete { .. } => continue,
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

    async fn tenant_quietly(&mut self, text: &str) -> Result<Option<Id>, CommitError> {
        match (resource::by_kind("Tenant"), self.access.platform) {
            (Some(kind), Some(platform)) => self.referred(kind, platform, false, text).await,
            _ => Ok(None),
        }
    }
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch_as_in_rfc_7396() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut value = target;
            merge(&mut value, &patch);
            assert_eq!(value, expected);
        }
    }
}
