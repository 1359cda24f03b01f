//! Failed logins in the record. An attacker can make any number of them, so they are added up: one event a minute for each
//! account and network, and one for the rest when there are too many of these.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portunus_gateway::kind::Id;
use serde_json::json;

use super::throttle::network;
use crate::access::AccountKind;
use crate::audit::event::{Actor, NewEvent};
use crate::store::Store;

/// How long failures are added up.
const PERIOD: Duration = Duration::from_secs(60);

/// The most events of one period.
const MOST: usize = 100;

/// A login that failed.
pub struct Failure {
    /// Whether a person or a machine was meant.
    pub kind: AccountKind,
    /// The account that was meant, if there is one.
    pub user: Option<(Id, String)>,
    /// Its tenant.
    pub tenant_id: Option<Id>,
    /// Where it came from.
    pub address: IpAddr,
    /// Why it failed.
    pub reason: &'static str,
}

/// What is told apart; `None` stands for all the rest.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    user: Option<Id>,
    address: Option<IpAddr>,
    reason: &'static str,
}

/// Failures that are not yet in the record.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<Key, NewEvent>>);

impl Failures {
    /// Adds one. The first of a period has all of it written at its end.
    pub fn note(self: &Arc<Self>, store: &Store, failure: &Failure) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = noted.is_empty();
        let address = network(failure.address);
        let mut key =
            Key { user: failure.user.as_ref().map(|(id, _)| *id), address: Some(address), reason: failure.reason };
        if noted.len() >= MOST && !noted.contains_key(&key) {
            key = Key { user: None, address: None, reason: failure.reason };
        }
        if let Some(event) = noted.get_mut(&key) {
            event.count += 1;
            return;
        }
        let mut event = NewEvent::new(Actor { address: key.address, ..Actor::default() }, "login.failed");
        if let (Some((id, name)), Some(_)) = (&failure.user, key.user) {
            let kind = match failure.kind {
                AccountKind::User => "User",
                AccountKind::ServiceAccount => "ServiceAccount",
            };
            event = event.about(kind, *id, name);
            event.tenant_id = failure.tenant_id;
        }
        let event = event.denied(failure.reason).with(json!({ "seconds": PERIOD.as_secs() }));
        noted.insert(key, event);
        drop(noted);
        if is_first {
            let (failures, store) = (self.clone(), store.clone());
            tokio::spawn(async move {
                tokio::time::sleep(PERIOD).await;
                failures.write(&store).await;
            });
        }
    }

    /// Writes what was added up.
    pub async fn write(&self, store: &Store) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return;
        }
        if let Err(error) = store.record(noted.into_values().collect()).await {
            tracing::error!(target: "control", error = %error, "database_connection_failed");
        }
    }
}
