//! Compiles a consumer with its subscriptions and keys.

use std::sync::Arc;

use super::{Compiler, Fault};
use crate::config::consumer::Consumer;
use crate::config::credential::{Credential, CredentialStatus};
use crate::config::subscription::{Subscription, SubscriptionStatus};
use crate::kind::{Entry, Id};
use crate::problem::Problem;
use crate::snapshot::consumer::{CompiledConsumer, CompiledKey, CompiledSubscription};

impl Compiler {
    pub(super) fn compile_consumer(&mut self, id: Id, faults: &mut Vec<Fault>) {
        let before = self.snapshot.consumers.get(&id).cloned();
        for key in before.iter().flat_map(|before| before.keys.iter()) {
            self.snapshot.keys.remove(key);
        }
        let Some(entry) = self.tables.consumers.get(&id).cloned() else {
            self.snapshot.consumers.remove(&id);
            return;
        };
        let mut subscriptions = Vec::new();
        let mut credentials = Vec::new();
        for referrer in self.tables.referrers(id) {
            if let Some(subscription) = self.tables.subscriptions.get(&referrer) {
                subscriptions.push(subscription.clone());
            } else if let Some(credential) = self.tables.credentials.get(&referrer) {
                credentials.push(credential.clone());
            }
        }
        // Ids sort by age, so what is compiled does not depend on the order of a hash map.
        subscriptions.sort_unstable_by_key(|subscription| subscription.meta.id);
        credentials.sort_unstable_by_key(|credential| credential.meta.id);
        faults.extend(double_subscriptions(&subscriptions));
        let consumer = Arc::new(self.compiled_consumer(&entry, &subscriptions, &credentials, before.as_deref()));
        for credential in &credentials {
            let Some(hash) = credential.spec.hash() else { continue };
            let subscription = credential.spec.subscription_id.map(|to| to.0);
            if let Some(wrong) = subscription.filter(|id| subscriptions.iter().all(|known| known.meta.id != *id)) {
                let problem = Problem::new(
                    "/subscription_id",
                    "the subscription belongs to another consumer",
                    "a subscription of the same consumer",
                )
                .found(wrong.to_string());
                faults.push(Fault { id: credential.meta.id, problem, is_conflict: false });
            }
            let is_over = |id: Id| {
                subscriptions
                    .iter()
                    .any(|known| known.meta.id == id && known.spec.status == Some(SubscriptionStatus::Revoked))
            };
            let status =
                if subscription.is_some_and(is_over) { CredentialStatus::Revoked } else { credential.spec.status };
            let key = CompiledKey {
                consumer: consumer.clone(),
                subscription,
                status,
                expires_at: credential.spec.expires_at,
            };
            if self.snapshot.keys.insert(hash, Arc::new(key)).is_some() {
                let problem = Problem::new("/key_sha256", "another credential has the same key", "a key of its own");
                faults.push(Fault { id: credential.meta.id, problem, is_conflict: true });
            }
        }
        self.snapshot.consumers.insert(id, consumer);
    }

    fn compiled_consumer(
        &self,
        entry: &Entry<Consumer>,
        subscriptions: &[Arc<Entry<Subscription>>],
        credentials: &[Arc<Entry<Credential>>],
        before: Option<&CompiledConsumer>,
    ) -> CompiledConsumer {
        let subscriptions = subscriptions
            .iter()
            .map(|subscription| {
                let id = subscription.meta.id;
                let before = before.and_then(|before| before.subscriptions.iter().find(|known| known.id == id));
                CompiledSubscription {
                    id,
                    api_id: subscription.spec.api_id.0,
                    plan_id: subscription.spec.plan_id.map(|to| to.0),
                    status: subscription.spec.status.unwrap_or(SubscriptionStatus::Pending),
                    expires_at: subscription.spec.expires_at,
                    policies: self.bound_to(id, None).collect(),
                    limits: before.map(|before| before.limits.clone()).unwrap_or_default(),
                }
            })
            .collect();
        CompiledConsumer {
            id: entry.meta.id,
            tenant_id: entry.meta.tenant_id,
            name: entry.meta.name.clone(),
            status: entry.spec.status,
            policies: self.bound_to(entry.meta.id, None).collect(),
            limits: before.map(|before| before.limits.clone()).unwrap_or_default(),
            subscriptions,
            keys: credentials.iter().filter_map(|credential| credential.spec.hash()).collect(),
        }
    }
}

/// A consumer has one live subscription per API; with two, nobody could say which plan holds.
fn double_subscriptions(subscriptions: &[Arc<Entry<Subscription>>]) -> Vec<Fault> {
    let live: Vec<_> = subscriptions
        .iter()
        .filter(|subscription| subscription.spec.status != Some(SubscriptionStatus::Revoked))
        .collect();
    let mut faults = Vec::new();
    for (index, subscription) in live.iter().enumerate() {
        if live[..index].iter().any(|other| other.spec.api_id == subscription.spec.api_id) {
            let problem = Problem::new(
                "/api_id",
                "the consumer already has a subscription to this API",
                "an API that it is not subscribed to, or the revocation of the other subscription",
            );
            faults.push(Fault { id: subscription.meta.id, problem, is_conflict: true });
        }
    }
    faults
}
