//! Identities of providers outside: logins there ([`login`]) and calls with their tokens ([`bearer`]).
//!
//! What a provider says of itself and its keys are kept in memory ([`remote`]). Its claims become roles by the rules of the
//! kind IdentityProvider ([`claims`]), and an account by [`account`].

pub mod account;
pub mod bearer;
pub mod claims;
pub mod http;
pub mod keys;
pub mod login;
pub mod remote;
pub mod settings;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use portunus_gateway::kind::Id;
use quick_cache::sync::Cache;
use sqlx::Row as _;
use tokio::sync::Mutex;

use crate::resource::identity_provider::IdentityProvider;
use crate::store::{Store, StoreError};
use http::Http;
use remote::Remote;

/// The most providers whose keys are kept; the least used are forgotten first.
const MOST_REMOTES: usize = 256;

/// A provider as it is configured.
#[derive(Debug)]
pub struct Provider {
    /// Its id.
    pub id: Id,
    /// Its tenant.
    pub tenant_id: Id,
    /// Its name.
    pub name: String,
    /// Its fields.
    pub spec: IdentityProvider,
}

/// Who somebody is at a provider: issuer and subject.
pub type Outside = (String, String);

/// The user that an identity outside is, and the roles that it had the last time.
#[derive(Debug, Clone)]
pub struct Link {
    /// The user.
    pub user_id: Id,
    /// What the claims gave; `None` when that was not looked at since the start.
    pub roles: Option<Vec<Id>>,
}

/// What is known of the providers outside.
pub struct Federation {
    /// Calls to them.
    pub http: Http,
    remotes: Cache<(Id, String), Arc<Remote>>,
    links: RwLock<HashMap<Outside, Link>>,
    /// One first visit at a time.
    making: Mutex<()>,
}

impl Federation {
    /// Reads who is who.
    pub async fn open(store: &Store) -> Result<Self, StoreError> {
        let federation = Self {
            http: Http::default(),
            remotes: Cache::new(MOST_REMOTES),
            links: RwLock::new(HashMap::new()),
            making: Mutex::new(()),
        };
        federation.reload(store).await?;
        Ok(federation)
    }

    /// Reads who is who again, after it was put into the store by other means.
    pub async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let rows =
            sqlx::query("SELECT issuer, subject, user_id FROM external_identity").fetch_all(store.readers()).await?;
        let mut links = HashMap::with_capacity(rows.len());
        for row in &rows {
            let user: &str = row.try_get("user_id")?;
            let user_id = user.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
            links.insert((row.try_get("issuer")?, row.try_get("subject")?), Link { user_id, roles: None });
        }
        *self.links.write().unwrap_or_else(PoisonError::into_inner) = links;
        Ok(())
    }

    /// What is known of a provider's keys and addresses.
    pub fn remote(&self, provider: &Provider) -> Arc<Remote> {
        let key = (provider.id, provider.spec.issuer.clone());
        let made = self.remotes.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(remote) = made;
        remote
    }

    fn link(&self, outside: &Outside) -> Option<Link> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(outside).cloned()
    }

    fn keep_link(&self, outside: &Outside, link: Link) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).insert(outside.clone(), link);
    }

    fn drop_link(&self, outside: &Outside) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).remove(outside);
    }
}
