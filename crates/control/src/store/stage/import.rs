//! Resources that come from another store as they are, hashes included. Nothing that a caller sends becomes one: only the
//! process itself makes such a step, of a document that proved to be whole.

use portunus_gateway::kind::check_name;
use portunus_gateway::problem::Problem;
use serde_json::Value;

use super::Stage;
use crate::store::row::Row;
use crate::store::{CommitError, Done, Import, Op, Outcome};

impl Stage<'_> {
    pub(super) async fn import(&mut self, op: &Op, import: &Import) -> Result<(), CommitError> {
        if self.principal.is_some() {
            return Err(CommitError::Forbidden("only the process itself imports".to_owned()));
        }
        let mut problems: Vec<Problem> = check_name(&import.name)
            .map(|problem| Problem { path: op.meta_path("name"), ..problem })
            .into_iter()
            .collect();
        let mut spec = import.spec.clone();
        let mut faults = Vec::new();
        self.resolve(op.kind, import.tenant_id, &mut spec, &mut faults).await?;
        // What is hidden is no part of a kind's schema.
        faults.extend((op.kind.check)(&spec));
        problems.extend(faults.into_iter().map(|fault| fault.under(&op.path)));
        if let Some(fields) = spec.as_object_mut() {
            fields.extend(import.hidden.clone());
        }
        let before = self.row(import.id).await?;
        let named = self.by_name(op.kind, import.tenant_id, &import.name).await?;
        let is_other = |row: &Row| row.kind.kind != op.kind.kind || row.tenant_id != import.tenant_id;
        if before.as_ref().is_some_and(is_other) || named.as_ref().is_some_and(|row| row.id != import.id) {
            let message = "its id or its name is that of something else";
            problems.push(Problem::new(op.path.as_str(), message, "an id and a name of its own"));
        }
        if !problems.is_empty() {
            self.invalid.extend(problems);
            return Ok(());
        }
        self.put(op, import, spec, before);
        Ok(())
    }

    fn put(&mut self, op: &Op, import: &Import, spec: Value, before: Option<Row>) {
        let (id, tenant_id, name) = (import.id, import.tenant_id, import.name.clone());
        match before {
            Some(before) if before.spec == spec && before.name == name => {
                let row = before.clone();
                self.outcomes.push(Outcome { done: Done::Unchanged, row, before: Some(before), secret: None });
            }
            Some(before) => {
                let revision = before.revision + 1;
                let row = Row { name, spec, revision, updated_at: self.now, ..before };
                self.keep(Outcome { done: Done::Updated, row, before: Some(before), secret: None });
            }
            None => {
                let (created_at, updated_at) = (self.now, self.now);
                let row = Row { id, kind: op.kind, tenant_id, name, revision: 1, spec, created_at, updated_at };
                self.keep(Outcome { done: Done::Created, row, before: None, secret: None });
            }
        }
    }
}
