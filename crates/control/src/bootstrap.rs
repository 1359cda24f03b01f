//! The first start on an empty store: the tenants, roles and accounts that everything else needs.

use portunus_gateway::kind::{Kind as _, PLATFORM_TENANT};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::BUILT_IN_ROLES;
use crate::audit::event::Actor;
use crate::resource;
use crate::resource::login_policy::LoginPolicy;
use crate::store::{Action, Change, CommitError, Committed, Op, Store};

/// The first customer tenant.
pub const DEFAULT_TENANT: &str = "default";

/// The first user.
pub const ADMIN: &str = "admin";

/// The first service account, under the name that STOA's runbook uses.
pub const CONTROL_PLANE_CLIENT: &str = "control-plane-api";

/// Secrets chosen by the operator; what is not chosen is made.
#[derive(Default)]
pub struct Chosen {
    /// The admin's password.
    pub admin_password: Option<String>,
    /// The service account's secret.
    pub client_secret: Option<String>,
}

/// What was made, to be shown once.
pub struct Made {
    /// The admin's password; `None` when the operator chose it.
    pub admin_password: Option<String>,
    /// The service account's secret; `None` when the operator chose it.
    pub client_secret: Option<String>,
}

/// Fills an empty store.
pub async fn bootstrap(store: &Store, chosen: Chosen) -> Result<Made, CommitError> {
    if store.access.load().platform.is_none() {
        let kind = resource::by_kind("Tenant").ok_or(CommitError::NotFound("kind"))?;
        let spec = json!({ "description": "Owns what holds for all tenants." });
        let action = Action::Create { tenant_id: Uuid::nil(), name: Some(PLATFORM_TENANT.to_owned()), spec };
        store.commit(change(vec![Op { kind, path: String::new(), action }])).await?;
    }
    let mut ops = vec![op("Tenant", DEFAULT_TENANT, json!({ "description": "The first tenant." }))?];
    for (name, description, permissions) in BUILT_IN_ROLES {
        ops.push(op("Role", name, json!({ "description": description, "permissions": permissions }))?);
    }
    let mut admin = json!({ "email": "admin@localhost", "display_name": "Administrator", "roles": ["platform-admin"] });
    let mut client = json!({ "description": "The account of the first automation.", "roles": ["platform-admin"] });
    set(&mut admin, "password", chosen.admin_password);
    set(&mut client, "client_secret", chosen.client_secret);
    ops.push(op("User", ADMIN, admin)?);
    ops.push(op("ServiceAccount", CONTROL_PLANE_CLIENT, client)?);
    let committed = store.commit(change(ops)).await?;
    Ok(Made { admin_password: secret(&committed, "password"), client_secret: secret(&committed, "client_secret") })
}

/// Makes what a store of an earlier version does not have yet.
pub async fn complete(store: &Store) -> Result<(), CommitError> {
    let kind = resource::by_kind(LoginPolicy::KIND).ok_or(CommitError::NotFound("kind"))?;
    if store.find(kind, None, LoginPolicy::NAME).await.map_err(CommitError::from)?.is_none() {
        store.commit(change(vec![op(LoginPolicy::KIND, LoginPolicy::NAME, json!({}))?])).await?;
    }
    Ok(())
}

fn change(ops: Vec<Op>) -> Change {
    Change { actor: Actor::system("bootstrap"), principal: None, call: None, ops, dry_run: false }
}

fn op(kind: &str, name: &str, spec: Value) -> Result<Op, CommitError> {
    let kind = resource::by_kind(kind).ok_or(CommitError::NotFound("kind"))?;
    let action = Action::Apply { tenant: PLATFORM_TENANT.to_owned(), name: name.to_owned(), spec };
    Ok(Op { kind, path: String::new(), action })
}

fn set(spec: &mut Value, field: &str, value: Option<String>) {
    if let Some(value) = value {
        spec[field] = value.into();
    }
}

fn secret(committed: &Committed, field: &str) -> Option<String> {
    let mut secrets = committed.outcomes.iter().filter_map(|outcome| outcome.secret.as_ref());
    secrets.find(|secret| secret.field == field).map(|secret| secret.value.clone())
}
