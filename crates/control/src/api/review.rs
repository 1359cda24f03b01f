//! The access review: who can do what, in which tenants, and when they last did.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use portunus_gateway::clock;
use portunus_gateway::kind::{Id, KindInfo};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::error::ApiError;
use crate::access::permission::intersection;
use crate::access::{AccessTable, Permission, Verb};
use crate::control::Control;
use crate::last_use::Use;
use crate::resource;
use crate::resource::api_token::{ApiToken, TokenStatus};
use crate::resource::user::AccountStatus;
use crate::store::read::Filter;
use crate::store::row::{Row, time};

/// An account or token that nobody used for this long is worth a question.
const UNUSED_DAYS: i64 = 90;

const DAY: i64 = 86_400_000_000;

/// Resources per read.
const PAGE: u64 = 1000;

/// What somebody is in the review, and its kind.
const SUBJECTS: [(&str, &str); 3] =
    [("user", "User"), ("service_account", "ServiceAccount"), ("api_token", "ApiToken")];

#[derive(Default, Deserialize)]
struct AccountSpec {
    #[serde(default)]
    roles: Vec<Id>,
    #[serde(default)]
    status: AccountStatus,
}

/// What an account has of its roles.
#[derive(Default, Clone)]
struct Rights {
    roles: Vec<String>,
    permissions: Vec<String>,
}

/// Everything that the review looks at.
struct Review {
    tenants: HashMap<Id, String>,
    roles: HashMap<Id, (String, Vec<String>)>,
    accounts: HashMap<Id, Row>,
    tokens: Vec<Row>,
    uses: HashMap<Id, Use>,
    access: Arc<AccessTable>,
    now: i64,
}

/// `GET /v1/access-review?tenant,kind`.
pub async fn review(
    State(control): State<Arc<Control>>,
    caller: Caller,
    Query(parameters): Query<HashMap<String, String>>,
) -> Result<Response, ApiError> {
    if let Some(unknown) = parameters.keys().find(|name| !matches!(name.as_str(), "tenant" | "kind")) {
        return Err(ApiError::bad_request(format!("unknown query parameter `{unknown}`; there are tenant, kind")));
    }
    let only = parameters.get("kind");
    if let Some(kind) = only.filter(|kind| SUBJECTS.iter().all(|(name, _)| name != kind)) {
        let known = SUBJECTS.map(|(name, _)| name).join(", ");
        return Err(ApiError::bad_request(format!("`kind` is one of {known}, and {kind:?} is not")));
    }
    let mut tenants = None;
    for (noun, _) in SUBJECTS {
        let permission = Permission::new(noun, Verb::Read);
        tenants = match parameters.get("tenant") {
            Some(tenant) => Some(vec![caller.tenant(&control, tenant, permission).await?]),
            None => caller.reach(permission)?,
        };
    }
    let review = Review::read(&control, tenants).await?;
    let items: Vec<Value> =
        review.items().into_iter().filter(|item| only.is_none_or(|only| item["kind"] == **only)).collect();
    let warned = items.iter().filter(|item| item["warnings"].as_array().is_some_and(|list| !list.is_empty())).count();
    Ok(Json(json!({ "items": items, "total": items.len(), "with_warnings": warned })).into_response())
}

/// All resources of a kind in these tenants.
async fn all(control: &Control, kind: &'static KindInfo, tenants: Option<Vec<Id>>) -> Result<Vec<Row>, ApiError> {
    let mut filter = Filter { tenants, limit: PAGE, ..Filter::default() };
    let mut rows = Vec::new();
    loop {
        let page = control.store.list(kind, &filter).await?.rows;
        let is_last = (page.len() as u64) < PAGE;
        filter.after = page.last().map(|row| row.id);
        rows.extend(page);
        if is_last {
            return Ok(rows);
        }
    }
}

impl Review {
    async fn read(control: &Control, tenants: Option<Vec<Id>>) -> Result<Self, ApiError> {
        let kind = |name: &str| resource::by_kind(name).expect("the kind is in the list");
        let mut accounts = HashMap::new();
        for name in ["User", "ServiceAccount"] {
            let rows = all(control, kind(name), tenants.clone()).await?;
            accounts.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        let tokens = all(control, kind("ApiToken"), tenants).await?;
        let roles = all(control, kind("Role"), None).await?;
        let names = all(control, kind("Tenant"), None).await?;
        let ids: Vec<Id> = accounts.keys().copied().chain(tokens.iter().map(|token| token.id)).collect();
        let permissions = |row: &Row| Vec::<String>::deserialize(&row.spec["permissions"]).unwrap_or_default();
        Ok(Self {
            tenants: names.into_iter().map(|row| (row.id, row.name)).collect(),
            roles: roles.into_iter().map(|row| (row.id, (row.name.clone(), permissions(&row)))).collect(),
            accounts,
            tokens,
            uses: control.last_use.of(&control.store, &ids).await?,
            access: control.store.access.load_full(),
            now: clock::now().as_microsecond(),
        })
    }

    fn items(&self) -> Vec<Value> {
        let mut accounts: Vec<&Row> = self.accounts.values().collect();
        accounts.sort_by_key(|row| (row.kind.kind != "User", self.tenant(row), row.name.clone()));
        let accounts = accounts.into_iter().map(|row| self.account(row));
        accounts.chain(self.tokens.iter().filter_map(|row| self.token(row))).map(Value::Object).collect()
    }

    fn tenant(&self, row: &Row) -> &str {
        self.tenants.get(&row.tenant_id).map_or("-", String::as_str)
    }

    fn rights(&self, account: &Row) -> Rights {
        let spec = AccountSpec::deserialize(&account.spec).unwrap_or_default();
        let roles: Vec<&(String, Vec<String>)> = spec.roles.iter().filter_map(|id| self.roles.get(id)).collect();
        let permissions: BTreeSet<String> = roles.iter().flat_map(|(_, permissions)| permissions.clone()).collect();
        let permissions: Vec<String> = permissions.into_iter().collect();
        Rights {
            roles: roles.iter().map(|(name, _)| name.clone()).collect(),
            // Without those that another one includes.
            permissions: intersection(&permissions, &permissions),
        }
    }

    /// What all subjects have in common.
    fn subject(&self, kind: &str, row: &Row, rights: &Rights) -> (Map<String, Value>, Vec<String>) {
        let last = self.uses.get(&row.id);
        let holds_in = if Some(row.tenant_id) == self.access.platform { "*" } else { self.tenant(row) };
        let fields = json!({
            "kind": kind,
            "id": row.id,
            "name": row.name,
            "tenant": self.tenant(row),
            "holds_in": holds_in,
            "roles": rights.roles,
            "permissions": rights.permissions,
            "created_at": time(row.created_at),
            "last_used_at": last.map(|last| time(last.at)),
            "last_address": last.and_then(|last| last.address),
        });
        let mut warnings = Vec::new();
        if rights.permissions.iter().any(|text| text == "*:*") {
            let place = if holds_in == "*" { "every tenant".to_owned() } else { format!("the tenant {holds_in}") };
            warnings.push(format!("may do everything in {place}"));
        }
        if self.now - last.map_or(row.created_at, |last| last.at) > UNUSED_DAYS * DAY {
            warnings.push(format!("unused for {UNUSED_DAYS} days"));
        }
        let Value::Object(fields) = fields else { unreachable!("an object was written") };
        (fields, warnings)
    }

    fn account(&self, row: &Row) -> Map<String, Value> {
        let spec = AccountSpec::deserialize(&row.spec).unwrap_or_default();
        let kind = if row.kind.kind == "User" { "user" } else { "service_account" };
        let (mut fields, mut warnings) = self.subject(kind, row, &self.rights(row));
        fields.insert("status".into(), json!(spec.status));
        if spec.status == AccountStatus::Locked {
            warnings.push("locked".to_owned());
        }
        if kind == "user" {
            // A locked account is not in the table, and nobody asks it for a factor.
            let known = self.access.account(row.id).map(|account| account.second_factor.has_one);
            fields.insert("second_factor".into(), json!(known));
        }
        fields.insert("warnings".into(), json!(warnings));
        fields
    }

    fn token(&self, row: &Row) -> Option<Map<String, Value>> {
        let spec = ApiToken::deserialize(&row.spec).ok()?;
        let owner = self.accounts.get(&spec.owner()?)?;
        let mut rights = self.rights(owner);
        if let Some(scopes) = &spec.scopes {
            rights.permissions = intersection(&rights.permissions, scopes);
        }
        let (mut fields, mut warnings) = self.subject("api_token", row, &rights);
        let is_over = spec.expires_at.is_some_and(|end| end.as_microsecond() <= self.now);
        let of_owner = AccountSpec::deserialize(&owner.spec).unwrap_or_default().status;
        let status = match (spec.status, of_owner, is_over) {
            (TokenStatus::Revoked, ..) => "revoked",
            (_, _, true) => "expired",
            (_, AccountStatus::Locked, _) => "locked",
            _ => "active",
        };
        match status {
            "active" if spec.expires_at.is_none() => warnings.push("does not expire".to_owned()),
            "active" => {}
            // What opens nothing needs no other warning.
            "locked" => warnings = vec!["its owner is locked".to_owned()],
            _ => warnings.clear(),
        }
        let owner_kind = if owner.kind.kind == "User" { "user" } else { "service_account" };
        fields.insert("status".into(), status.into());
        fields.insert("owner".into(), json!({ "kind": owner_kind, "id": owner.id, "name": owner.name }));
        fields.insert("prefix".into(), json!(spec.prefix));
        fields.insert("scopes".into(), json!(spec.scopes));
        fields.insert("expires_at".into(), json!(spec.expires_at));
        fields.insert("warnings".into(), json!(warnings));
        Some(fields)
    }
}
