//! The fields of one resource: references to ids, what the kind says of them, and who may hand out which rights.

use portunus_gateway::kind::{Id, Kind as _, KindInfo, OneTimeSecret, check_name};
use portunus_gateway::problem::Problem;
use portunus_gateway::secret::field;
use serde_json::Value;
use uuid::Uuid;

use super::Stage;
use crate::access::names;
use crate::lifecycle;
use crate::resource;
use crate::resource::login_policy::LoginPolicy;
use crate::store::row::Row;
use crate::store::{Action, CommitError, Edit, Op};

impl Stage<'_> {
    /// The fields as they will be kept, or nothing when a fault was noted.
    pub(super) async fn checked(
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
        self.check_login(op, tenant_id, name, &spec, &mut problems);
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
        let prepared = tokio::task::block_in_place(|| {
            (op.kind.prepare)(&spec, before.map(|before| &before.spec), &self.keys.secrets)
        });
        let prepared = match prepared {
            Ok(prepared) => Some(prepared),
            Err(faults) => {
                problems.extend(faults);
                None
            }
        };
        if let Some(prepared) = prepared.as_ref().filter(|_| op.kind.kind == "IdentityProvider") {
            problems.extend(self.check_provider(tenant_id, &prepared.spec).await?);
        }
        match prepared {
            Some(prepared) if problems.is_empty() => {
                self.check_grants(op.kind, tenant_id, &prepared.spec).await?;
                self.check_secrets(op, &spec, before)?;
                if op.kind.kind == "ApiToken" {
                    self.check_token(tenant_id, &prepared.spec, before).await?;
                }
                Ok(Some((prepared.spec, prepared.secret)))
            }
            _ => {
                self.invalid.extend(problems.into_iter().map(|problem| problem.under(&op.path)));
                Ok(None)
            }
        }
    }

    /// What the way people log in asks of a resource.
    fn check_login(&mut self, op: &Op, tenant_id: Id, name: &str, spec: &Value, problems: &mut Vec<Problem>) {
        if op.kind.kind == LoginPolicy::KIND
            && (name != LoginPolicy::NAME || self.access.platform.is_some_and(|platform| platform != tenant_id))
        {
            let expected = "the name default in the tenant platform";
            self.invalid
                .push(Problem::new(op.meta_path("name"), "there is one login policy for all", expected).found(name));
        }
        let least = self.access.login_policy.password_min_length;
        if op.kind.kind == "User"
            && spec.get("password").and_then(Value::as_str).is_some_and(|text| text.chars().count() < least as usize)
        {
            problems.push(Problem::new("/password", "too short", format!("at least {least} characters")));
        }
    }

    pub(super) async fn initial_status(&mut self, spec: &Value) -> Result<Option<Value>, CommitError> {
        let plan = match spec.get("plan_id").and_then(Value::as_str).and_then(|id| id.parse().ok()) {
            Some(id) => self.row(id).await?,
            None => None,
        };
        Ok(Some(lifecycle::initial_status(plan.as_ref())))
    }

    /// The files and variables that can be referred to, and sealed values, are the operator's: whoever belongs to one
    /// tenant could have the secret of another sent to themselves.
    fn check_secrets(&self, op: &Op, sent: &Value, before: Option<&Row>) -> Result<(), CommitError> {
        let Some(principal) = self.principal else { return Ok(()) };
        let is_rollback = matches!(op.action, Action::Update { edit: Edit::Rollback(_), .. });
        if is_rollback || Some(principal.account.tenant_id) == self.access.platform {
            return Ok(());
        }
        match field::taken_over(op.kind.secrets, sent, before.map(|before| &before.spec)).next() {
            Some(field) => Err(CommitError::Forbidden(format!(
                "only accounts of the platform can refer to a secret at {}; send the secret itself",
                field.path
            ))),
            None => Ok(()),
        }
    }

    /// Nobody hands out more than they have.
    pub(super) async fn check_grants(
        &mut self,
        kind: &'static KindInfo,
        tenant_id: Id,
        spec: &Value,
    ) -> Result<(), CommitError> {
        let Some(principal) = self.principal else { return Ok(()) };
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
        if principal.covers(&permissions, within) {
            return Ok(());
        }
        Err(CommitError::Forbidden("nobody can hand out more rights than they have".to_owned()))
    }

    /// Turns names into ids. What is not found is noted and replaced, so that the other fields can be checked.
    pub(super) async fn resolve(
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

    pub(super) async fn referred(
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
        if let Some(platform) = shared
            && let Some(row) = self.by_name(kind, platform, text).await?
        {
            return Ok(Some(row.id));
        }
        // The name of another gateway for one of the built-in roles.
        match (shared, names::role_named(text)) {
            (Some(platform), Some(role)) if kind.kind == "Role" => {
                Ok(self.by_name(kind, platform, role).await?.map(|row| row.id))
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn tenant(&mut self, op: &Op, text: &str) -> Result<Option<Id>, CommitError> {
        let (Some(kind), Some(platform)) = (resource::by_kind("Tenant"), self.access.platform) else { return Ok(None) };
        let found = self.referred(kind, platform, false, text).await?;
        if found.is_none() {
            let path = op.meta_path("tenant");
            self.invalid.push(Problem::new(path, "there is no such tenant", "the id or name of a tenant").found(text));
        }
        Ok(found)
    }
}
