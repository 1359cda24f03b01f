//! `POST /v1/apply`: many manifests as one change.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::problem::Problem;
use serde_json::{Map, Value, json};

use super::body::Object;
use super::caller::Caller;
use super::error::ApiError;
use super::resources::flag;
use crate::access::{Permission, Verb};
use crate::control::Control;
use crate::manifest::{self, Manifest};
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;
use crate::store::{Action, Change, CommitError, Committed, Op};

/// Makes what the manifests describe true, all of it or nothing. With `prune`, resources that are not described go, as
/// far as their kind and tenant are.
pub async fn apply(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
    body: Object,
) -> Result<Response, ApiError> {
    let dry_run = flag(&parameters, "dry_run")?;
    let prune = flag(&parameters, "prune")?;
    let Some(values) = body.0.get("manifests").and_then(Value::as_array) else {
        let expected = "an array of manifests with apiVersion, kind, metadata and spec";
        return Err(ApiError::invalid(vec![Problem::new(
            "/manifests",
            "`manifests` is missing or not an array",
            expected,
        )]));
    };
    let (manifests, mut problems) = manifest::parse_all(values);
    permit(&control, &caller, &manifests, prune).await?;
    let mut ops = steps(&manifests);
    if !problems.is_empty() {
        // The faults inside the manifests that could be read are told as well.
        let rehearsal = control.store.commit(Change { dry_run: true, ..caller.changes(ops) }).await;
        if let Err(CommitError::Invalid(faults) | CommitError::Conflict(faults)) = rehearsal {
            problems.extend(faults);
        }
        return Err(ApiError::invalid(problems));
    }
    if prune {
        ops.extend(leftovers(&control, &manifests).await?);
    }
    let committed = control.store.commit(Change { dry_run, ..caller.changes(ops) }).await?;
    Ok(Json(answer(&control, &committed).await?).into_response())
}

/// The steps that make manifests true, in an order in which what is referred to comes first.
pub fn steps(manifests: &[(usize, Manifest)]) -> Vec<Op> {
    let order: HashMap<&str, usize> = resource::all().enumerate().map(|(place, kind)| (kind.kind, place)).collect();
    let mut sorted: Vec<&(usize, Manifest)> = manifests.iter().collect();
    sorted.sort_by_key(|(_, manifest)| rank(manifest.kind, &order));
    sorted
        .into_iter()
        .map(|(index, manifest)| Op {
            kind: manifest.kind,
            path: format!("/manifests/{index}/spec"),
            action: Action::Apply {
                tenant: manifest.tenant.clone(),
                name: manifest.name.clone(),
                spec: manifest.spec.clone(),
            },
        })
        .collect()
}

/// A kind comes after the kinds that it refers to.
fn rank(kind: &KindInfo, order: &HashMap<&str, usize>) -> (usize, usize) {
    fn depth(kind: &KindInfo) -> usize {
        let below = kind.references.iter().filter_map(|reference| resource::by_kind(reference.kind)).map(depth).max();
        below.map_or(0, |below| below + 1)
    }
    let tenants_first = if kind.kind == "Tenant" { 0 } else { 1 + depth(kind) };
    (tenants_first, order.get(kind.kind).copied().unwrap_or_default())
}

async fn permit(
    control: &Control,
    caller: &Caller,
    manifests: &[(usize, Manifest)],
    prune: bool,
) -> Result<(), ApiError> {
    let tenant_kind = resource::by_kind("Tenant").ok_or_else(ApiError::internal)?;
    let wanted: BTreeSet<(&str, &str)> =
        manifests.iter().map(|(_, manifest)| (manifest.tenant.as_str(), manifest.kind.noun)).collect();
    for (tenant, noun) in wanted {
        let found = control.store.find(tenant_kind, None, tenant).await?;
        let verbs: &[Verb] = if prune { &[Verb::Write, Verb::Delete] } else { &[Verb::Write] };
        for verb in verbs {
            let permission = Permission { noun: known_noun(noun), verb: *verb };
            match &found {
                Some(tenant) => caller.needs(permission, tenant.id)?,
                // It may be made by this very change.
                None => caller.needs_everywhere(permission)?,
            }
        }
    }
    Ok(())
}

fn known_noun(noun: &str) -> &'static str {
    resource::all().map(|kind| kind.noun).find(|known| *known == noun).unwrap_or_default()
}

/// What `prune` removes: resources of the manifests' kinds and tenants that no manifest describes.
async fn leftovers(control: &Control, manifests: &[(usize, Manifest)]) -> Result<Vec<Op>, ApiError> {
    let tenant_kind = resource::by_kind("Tenant").ok_or_else(ApiError::internal)?;
    let described: HashSet<(&str, &str, &str)> = manifests
        .iter()
        .map(|(_, manifest)| (manifest.kind.kind, manifest.tenant.as_str(), manifest.name.as_str()))
        .collect();
    let scopes: BTreeSet<(&str, &str)> =
        manifests.iter().map(|(_, manifest)| (manifest.tenant.as_str(), manifest.kind.kind)).collect();
    let mut ops = Vec::new();
    for (tenant, kind) in scopes {
        // The built-in tenants are not described by anybody and stay.
        let Some(kind) = resource::by_kind(kind).filter(|kind| kind.kind != "Tenant") else { continue };
        let Some(owner) = control.store.find(tenant_kind, None, tenant).await? else { continue };
        let filter = Filter { tenants: Some(vec![owner.id]), limit: i64::MAX as u64, ..Filter::default() };
        for row in control.store.list(kind, &filter).await?.rows {
            if !described.contains(&(kind.kind, tenant, row.name.as_str())) {
                ops.push(Op {
                    kind,
                    path: String::new(),
                    action: Action::Delete { id: row.id, if_match: None, cascade: false },
                });
            }
        }
    }
    // What refers goes before what is referred to.
    let order: HashMap<&str, usize> = resource::all().enumerate().map(|(place, kind)| (kind.kind, place)).collect();
    ops.sort_by_key(|op| std::cmp::Reverse(rank(op.kind, &order)));
    Ok(ops)
}

async fn answer(control: &Control, committed: &Committed) -> Result<Value, ApiError> {
    let tenants: BTreeSet<Id> = committed.outcomes.iter().map(|outcome| outcome.row.tenant_id).collect();
    let mut names: HashMap<Id, String> = control
        .store
        .many(&tenants.into_iter().collect::<Vec<_>>())
        .await?
        .into_iter()
        .map(|row| (row.id, row.name))
        .collect();
    // In a dry run a new tenant exists nowhere but here.
    names.extend(
        committed
            .outcomes
            .iter()
            .filter(|outcome| outcome.row.kind.kind == "Tenant")
            .map(|outcome| (outcome.row.id, outcome.row.name.clone())),
    );
    let changes: Vec<Value> = committed
        .outcomes
        .iter()
        .map(|outcome| {
            let after = if outcome.done == crate::store::Done::Deleted { None } else { Some(outcome.row.visible()) };
            let mut change = json!({
                "action": outcome.done.word(),
                "kind": outcome.row.kind.kind,
                "tenant": names.get(&outcome.row.tenant_id),
                "name": outcome.row.name,
                "id": outcome.row.id,
                "before": outcome.before.as_ref().map(Row::visible),
                "after": after,
            });
            if let Some(secret) = &outcome.secret {
                let mut shown = Map::new();
                shown.insert(secret.field.to_owned(), secret.value.as_str().into());
                change["secret"] = Value::Object(shown);
            }
            change
        })
        .collect();
    Ok(json!({ "changes": changes, "revision": committed.revision }))
}
