//! The admin key that the operator chose: an API token like others, whose text comes from the settings.

use portunus_gateway::api_key;
use portunus_gateway::kind::Id;
use serde_json::{Value, json};

use crate::audit::event::Actor;
use crate::resource;
use crate::store::read::Filter;
use crate::store::row::Row;
use crate::store::{Action, Change, CommitError, Edit, Op, Store};

/// The name of the token, and of the service account that it acts for.
pub const ADMIN_KEY: &str = "admin-key";

/// More than one account needs, and than one key changes.
const MOST: u64 = 1000;

/// What became of the key in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminKey {
    /// It is the key already.
    Known,
    /// It is new, and every other key of the account has ended.
    Taken,
    /// It was the key once, and was replaced or revoked. It stays dead.
    Dead,
}

/// Makes this the admin key. A key that it replaces ends at once; a key that was replaced does not come back.
pub async fn ensure(store: &Store, key: &str) -> Result<AdminKey, CommitError> {
    let find = |kind: &'static str| resource::by_kind(kind).expect("the kind is in the list");
    let platform = store.access.load().platform.ok_or(CommitError::NotFound("Tenant"))?;
    let account = store.find(find("ServiceAccount"), Some(platform), ADMIN_KEY).await?;
    let tokens = match &account {
        Some(account) => of(store, platform, account.id).await?,
        None => Vec::new(),
    };
    let hash = api_key::to_hex(&api_key::hash(key.as_bytes()));
    for token in &tokens {
        let has = |spec: &Value, field: &str| spec.get(field).and_then(Value::as_str) == Some(&hash);
        if has(&token.spec, "token_sha256") {
            return Ok(if token.spec["status"] == "active" { AdminKey::Known } else { AdminKey::Dead });
        }
        let past = store.history(token.kind, platform, &token.id.to_string(), MOST).await?;
        if past.iter().any(|past| has(&past.spec, "token_sha256")) {
            let now = store.access.load();
            let is_accepted = now
                .token(&api_key::hash(key.as_bytes()))
                .is_some_and(|token| token.is_alive(portunus_gateway::clock::now().as_microsecond()));
            return Ok(if is_accepted { AdminKey::Known } else { AdminKey::Dead });
        }
    }
    let op = |kind: &'static str, action: Action| Op { kind: find(kind), path: String::new(), action };
    let create = |spec: Value| Action::Create { tenant_id: platform, name: Some(ADMIN_KEY.to_owned()), spec };
    let update =
        |row: &Row, fields: Value| Action::Update { id: row.id, if_match: None, name: None, edit: Edit::Merge(fields) };
    let mut ops = Vec::new();
    if account.is_none() {
        let spec = json!({ "description": "Acts with the admin key.", "roles": ["platform-admin"] });
        ops.push(op("ServiceAccount", create(spec)));
    }
    let text = json!({
        "token": key, "status": "active", "expires_at": null, "previous_expires_at": null,
    });
    match tokens.iter().find(|token| token.name == ADMIN_KEY) {
        Some(token) => ops.push(op("ApiToken", update(token, text))),
        None => {
            let spec = json!({ "service_account_id": ADMIN_KEY, "description": "The admin key of the settings.", "token": key });
            ops.push(op("ApiToken", create(spec)));
        }
    }
    for token in tokens.iter().filter(|token| token.name != ADMIN_KEY && token.spec["status"] == "active") {
        ops.push(op("ApiToken", update(token, json!({ "status": "revoked" }))));
    }
    store.commit(Change { actor: Actor::system("settings"), principal: None, call: None, ops, dry_run: false }).await?;
    Ok(AdminKey::Taken)
}

/// The tokens of the account, in whatever state.
async fn of(store: &Store, platform: Id, account: Id) -> Result<Vec<Row>, CommitError> {
    let filter = Filter {
        tenants: Some(vec![platform]),
        fields: vec![("service_account_id".to_owned(), account.to_string())],
        limit: MOST,
        ..Filter::default()
    };
    let kind = resource::by_kind("ApiToken").expect("the kind is in the list");
    Ok(store.list(kind, &filter).await?.rows)
}
