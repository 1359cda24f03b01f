//! STOA's control plane: its paths and shapes over the native resources. Translation only.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portunus_gateway::kind::{Id, KindInfo};
use portunus_gateway::problem::Problem;
use serde_json::{Map, Value, json};

use crate::access::{Permission, Verb};
use crate::api::actions;
use crate::api::body::Object;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::page;
use crate::api::resources::first;
use crate::api::routes::{Routes, permission};
use crate::control::Control;
use crate::lifecycle::Step;
use crate::resource;
use crate::store::row::Row;
use crate::store::{Action, Edit, Op};

/// The routes of this dialect.
pub fn routes() -> Routes {
    const POLICY: &str = "policy";
    Routes::default()
        .get("/v1/admin/policies", permission(POLICY, Verb::Read), list_policies)
        .post("/v1/admin/policies", permission(POLICY, Verb::Write), create_policy)
        .post("/v1/admin/policies/bindings", permission(POLICY, Verb::Write), bind)
        .get("/v1/admin/policies/{id}", permission(POLICY, Verb::Read), get_policy)
        .patch("/v1/admin/policies/{id}", permission(POLICY, Verb::Write), patch_policy)
        .put("/v1/admin/policies/{id}", permission(POLICY, Verb::Write), replace_policy)
        .delete("/v1/admin/policies/{id}", permission(POLICY, Verb::Delete), delete_policy)
        .post("/v1/consumers/{tenant}", permission("consumer", Verb::Write), create_consumer)
        .post("/v1/subscriptions", permission("subscription", Verb::Write), create_subscription)
        .post("/v1/subscriptions/{id}/revoke", permission("subscription", Verb::Write), revoke_subscription)
}

fn kind(name: &str) -> Result<&'static KindInfo, ApiError> {
    resource::by_kind(name).ok_or_else(ApiError::internal)
}

/// The tenant that a body names; without one, the platform.
async fn owner(control: &Control, caller: &Caller, body: &mut Object, permission: Permission) -> Result<Id, ApiError> {
    match body.text("tenant_id")? {
        Some(tenant) => caller.tenant(control, &tenant, permission).await,
        None => caller.tenant(control, portunus_gateway::kind::PLATFORM_TENANT, permission).await,
    }
}

/// A resource that is named without its tenant, by id.
async fn by_id(control: &Control, caller: &Caller, name: &str, id: &str, verb: Verb) -> Result<Row, ApiError> {
    let kind = kind(name)?;
    let permission = Permission::new(kind.noun, verb);
    let row = match id.parse::<Id>() {
        Ok(id) => control.store.get(kind, id).await?,
        Err(_) => None,
    };
    // Who may not see it is not told whether it exists.
    row.filter(|row| caller.0.may(permission, row.tenant_id))
        .ok_or_else(|| ApiError::not_found(format!("there is no {name} {id} that this account may use")))
}

/// A policy as STOA shows it.
async fn policy(control: &Control, row: &Row) -> Result<Json<Map<String, Value>>, ApiError> {
    let mut fields = row.to_json();
    let bindings = control.store.referrers(row.id).await?.len();
    fields.insert("binding_count".into(), bindings.into());
    fields.entry("description").or_insert(Value::Null);
    Ok(Json(fields))
}

async fn create_policy(
    State(control): State<Arc<Control>>,
    caller: Caller,
    mut body: Object,
) -> Result<Response, ApiError> {
    let tenant_id = owner(&control, &caller, &mut body, Permission::new("policy", Verb::Write)).await?;
    let name = body.text("name")?;
    let action = Action::Create { tenant_id, name, spec: body.into_spec() };
    let committed = control.store.commit(caller.change(kind("Policy")?, action)).await?;
    let shown = policy(&control, &first(committed.outcomes)?.row).await?;
    Ok((StatusCode::CREATED, shown).into_response())
}

/// Every policy that the caller may see, or those of `tenant_id`.
async fn list_policies(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(mut parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    let kind = kind("Policy")?;
    let permission = Permission::new(kind.noun, Verb::Read);
    let tenants = match parameters.remove("tenant_id") {
        Some(tenant) => Some(vec![caller.tenant(&control, &tenant, permission).await?]),
        None => caller.reach(permission)?,
    };
    let mut query = page::Query::read(kind, parameters)?;
    query.filter.tenants = tenants;
    let page = control.store.list(kind, &query.filter).await?;
    let items: Vec<_> = page.rows.iter().map(Row::to_json).collect();
    Ok(Json(query.answer(&page, &items)).into_response())
}

async fn get_policy(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = by_id(&control, &caller, "Policy", &id, Verb::Read).await?;
    Ok(policy(&control, &row).await?.into_response())
}

/// JSON merge patch, also within `config`.
async fn patch_policy(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Object,
) -> Result<Response, ApiError> {
    let row = by_id(&control, &caller, "Policy", &id, Verb::Write).await?;
    change_policy(&control, &caller, &row, body, Edit::Merge).await
}

/// What is sent replaces what is there field by field; `config` is replaced whole.
async fn replace_policy(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
    mut body: Object,
) -> Result<Response, ApiError> {
    let row = by_id(&control, &caller, "Policy", &id, Verb::Write).await?;
    for (field, value) in row.visible() {
        body.0.entry(field).or_insert(value);
    }
    change_policy(&control, &caller, &row, body, Edit::Replace).await
}

async fn change_policy(
    control: &Control,
    caller: &Caller,
    row: &Row,
    mut body: Object,
    edit: fn(Value) -> Edit,
) -> Result<Response, ApiError> {
    let name = body.text("name")?;
    let action = Action::Update { id: row.id, if_match: None, name, edit: edit(body.into_spec()) };
    let committed = control.store.commit(caller.change(row.kind, action)).await?;
    Ok(policy(control, &first(committed.outcomes)?.row).await?.into_response())
}

async fn delete_policy(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = by_id(&control, &caller, "Policy", &id, Verb::Delete).await?;
    // STOA deletes a policy together with its bindings.
    let action = Action::Delete { id: row.id, if_match: None, cascade: true };
    control.store.commit(caller.change(row.kind, action)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn bind(State(control): State<Arc<Control>>, caller: Caller, mut body: Object) -> Result<Response, ApiError> {
    let tenant_id = owner(&control, &caller, &mut body, Permission::new("policy", Verb::Write)).await?;
    if let Some(instance) = body.0.remove("gateway_instance_id").filter(|value| !value.is_null()) {
        let problem = Problem::new(
            "/gateway_instance_id",
            "a policy cannot be bound to one gateway instance",
            "an API, a consumer or a whole tenant",
        )
        .found(instance);
        return Err(ApiError::invalid(vec![problem]));
    }
    if let Some(api) = body.0.remove("api_catalog_id").filter(|value| !value.is_null()) {
        body.0.insert("api_id".into(), api);
    }
    let action = Action::Create { tenant_id, name: None, spec: body.into_spec() };
    let committed = control
        .store
        .commit(caller.change(kind("Binding")?, action))
        .await
        .map_err(|error| renamed(error.into(), "/api_id", "/api_catalog_id"))?;
    let mut shown = first(committed.outcomes)?.row.to_json();
    let api = shown.get("api_id").cloned().unwrap_or(Value::Null);
    shown.insert("api_catalog_id".into(), api);
    shown.insert("gateway_instance_id".into(), Value::Null);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// A fault is reported under the name that the sender used.
fn renamed(mut error: ApiError, native: &str, sent: &str) -> ApiError {
    for problem in error.errors.iter_mut().filter(|problem| problem.path == native) {
        problem.path = sent.to_owned();
    }
    error
}

async fn create_consumer(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(tenant): Path<String>,
    mut body: Object,
) -> Result<Response, ApiError> {
    let tenant_id = caller.tenant(&control, &tenant, Permission::new("consumer", Verb::Write)).await?;
    let external_id = body.text("external_id")?;
    for (sent, native) in [("name", "display_name"), ("consumer_metadata", "metadata")] {
        if let Some(value) = body.0.remove(sent) {
            body.0.insert(native.into(), value);
        }
    }
    let action = Action::Create { tenant_id, name: external_id, spec: body.into_spec() };
    let committed = control.store.commit(caller.change(kind("Consumer")?, action)).await.map_err(|error| {
        let error = renamed(error.into(), "/name", "/external_id");
        renamed(renamed(error, "/display_name", "/name"), "/metadata", "/consumer_metadata")
    })?;
    let row = first(committed.outcomes)?.row;
    let mut shown = row.to_json();
    let name = shown.get("display_name").cloned().unwrap_or_else(|| row.name.as_str().into());
    let metadata = shown.get("metadata").cloned().unwrap_or_else(|| json!({}));
    shown.insert("external_id".into(), row.name.as_str().into());
    shown.insert("name".into(), name);
    shown.insert("consumer_metadata".into(), metadata);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// Makes a subscription and, as STOA promises, a key for it, in one change.
async fn create_subscription(
    State(control): State<Arc<Control>>,
    caller: Caller,
    mut body: Object,
) -> Result<Response, ApiError> {
    let tenant_id = owner(&control, &caller, &mut body, Permission::new("subscription", Verb::Write)).await?;
    caller.needs(Permission::new("credential", Verb::Write), tenant_id)?;
    let consumer = body.0.get("consumer_id").cloned().unwrap_or(Value::Null);
    let name = body.text("name")?.unwrap_or_else(|| format!("sub-{}", portunus_gateway::api_key::random_text(20)));
    let credential = json!({ "consumer_id": consumer, "subscription_id": name });
    let mut ops = vec![Op {
        kind: kind("Subscription")?,
        path: String::new(),
        action: Action::Create { tenant_id, name: Some(name), spec: body.into_spec() },
    }];
    if !consumer.is_null() {
        let action = Action::Create { tenant_id, name: None, spec: credential };
        ops.push(Op { kind: kind("Credential")?, path: "/api_key".to_owned(), action });
    }
    let committed = control.store.commit(caller.changes(ops)).await.map_err(|error| {
        let mut error = ApiError::from(error);
        // A subscription that cannot be made leaves its key without one; that is not a fault of its own.
        error.errors.retain(|problem| !problem.path.starts_with("/api_key"));
        error
    })?;
    let mut outcomes = committed.outcomes.into_iter();
    let (Some(subscription), Some(key)) = (outcomes.next(), outcomes.next()) else { return Err(ApiError::internal()) };
    let mut shown = subscription.row.to_json();
    shown.insert("api_key_prefix".into(), key.row.spec.get("prefix").cloned().unwrap_or(Value::Null));
    if let Some(secret) = key.secret {
        shown.insert(secret.field.to_owned(), secret.value.into());
    }
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

async fn revoke_subscription(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let row = by_id(&control, &caller, "Subscription", &id, Verb::Write).await?;
    let outcome = actions::take_step(&control, &caller, &row, Step::Revoke).await?;
    Ok(Json(outcome.row.to_json()).into_response())
}
