//! The provider that the settings of the process name.

use portunus_gateway::kind::PLATFORM_TENANT;
use serde_json::{Value, json};

use crate::audit::event::Actor;
use crate::resource;
use crate::store::{Action, Change, CommitError, Edit, Op, Store};
use crate::token::AUDIENCE;

/// Its name.
const NAME: &str = "settings";

/// What the operator chose.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// The issuer; without it there is no such provider.
    pub issuer: Option<String>,
    /// The client that Portunus is there.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<String>,
    /// The audience that tokens must be for.
    pub audience: Option<String>,
}

/// Makes the provider what the settings say. What they do not name, such as its rules, is left as it is; without an
/// issuer the provider is out of use.
pub async fn apply(store: &Store, chosen: Chosen) -> Result<(), CommitError> {
    let kind = resource::by_kind("IdentityProvider").ok_or(CommitError::NotFound("kind"))?;
    let platform = store.access.load().platform.ok_or(CommitError::NotFound("Tenant"))?;
    let existing = store.find(kind, Some(platform), NAME).await?;
    let patch = match &chosen.issuer {
        None => json!({ "enabled": false }),
        Some(issuer) => {
            let audience = chosen.audience.or_else(|| chosen.client_id.clone());
            json!({
                "issuer": issuer,
                "client_id": chosen.client_id,
                "client_secret": chosen.client_secret,
                "audience": audience.unwrap_or_else(|| AUDIENCE.to_owned()),
                "insecure_http": issuer.starts_with("http:"),
                "enabled": true,
            })
        }
    };
    let action = match (existing, chosen.issuer) {
        (Some(row), _) => Action::Update { id: row.id, if_match: None, name: None, edit: Edit::Merge(patch) },
        (None, None) => return Ok(()),
        (None, Some(_)) => {
            let mut spec = patch;
            if let Some(fields) = spec.as_object_mut() {
                fields.retain(|_, value| !value.is_null());
                fields.insert("known_roles".to_owned(), Value::Bool(true));
                fields.insert("description".to_owned(), "Made by the settings of the process.".into());
            }
            Action::Apply { tenant: PLATFORM_TENANT.to_owned(), name: NAME.to_owned(), spec }
        }
    };
    let op = Op { kind, path: String::new(), action };
    store
        .commit(Change { actor: Actor::system("settings"), principal: None, ops: vec![op], dry_run: false, call: None })
        .await?;
    Ok(())
}
