//! From configuration to snapshot, one change at a time.
//!
//! A change compiles what it touches and nothing else: an API, a plan, or a consumer with its subscriptions and keys.
//! What does not compile is refused with every fault, and leaves nothing behind.

mod apis;
mod consumers;
mod secrets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Snapshot;
use super::consumer::CompiledPlan;
use super::policy::{BoundPolicy, CompiledPolicy, Target};
use crate::config::policy::Scope;
use crate::config::{AnyEntry, Tables};
use crate::kind::{Entry, Id, PLATFORM_TENANT};
use crate::policy::{self, AnyPolicy, CompileEnv, Phase};
use crate::problem::Problem;
use crate::secret::Keyring;

/// A change of one entry.
pub enum Change {
    /// It is new or has new content.
    Put(AnyEntry),
    /// It is gone.
    Remove(Id),
}

/// What is needed to take a change back.
pub struct Undo {
    entries: Vec<(Id, Option<AnyEntry>)>,
    snapshot: Snapshot,
}

/// A fault found while compiling, with the resource it was found in.
#[derive(Debug)]
pub struct Fault {
    /// The resource.
    pub id: Id,
    /// What is wrong with it.
    pub problem: Problem,
    /// Whether it contradicts what another resource already has, as opposed to being wrong by itself.
    pub is_conflict: bool,
}

/// Holds the configuration and the snapshot that was compiled from it.
pub struct Compiler {
    keys: Arc<Keyring>,
    tables: Tables,
    /// The bindings that reach a whole tenant or the platform.
    tenant_bindings: BTreeSet<Id>,
    snapshot: Snapshot,
    /// Upstreams, and APIs with one of their own, whose secret lies in a file.
    with_files: BTreeSet<Id>,
    /// Those whose secret cannot be had, so that the log tells it once.
    unreadable: BTreeSet<Id>,
}

/// What has to be compiled again.
#[derive(Default)]
struct Touched {
    upstreams: BTreeSet<Id>,
    apis: BTreeSet<Id>,
    plans: BTreeSet<Id>,
    consumers: BTreeSet<Id>,
    policies: BTreeSet<Id>,
}

impl Compiler {
    /// A compiler of nothing yet. The keys open the secrets of what it compiles.
    pub fn new(keys: Arc<Keyring>) -> Self {
        Self {
            keys,
            tables: Tables::default(),
            tenant_bindings: BTreeSet::new(),
            snapshot: Snapshot::default(),
            with_files: BTreeSet::new(),
            unreadable: BTreeSet::new(),
        }
    }

    /// The configuration.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The snapshot as it stands, for publishing under a revision.
    pub fn snapshot(&self, revision: u64) -> Snapshot {
        Snapshot { revision, ..self.snapshot.clone() }
    }

    /// Applies changes together, or none of them.
    pub fn apply(&mut self, changes: Vec<Change>) -> Result<Undo, Vec<Fault>> {
        let mut undo = Undo { entries: Vec::with_capacity(changes.len()), snapshot: self.snapshot.clone() };
        let mut touched = Touched::default();
        for change in changes {
            let (id, before) = match change {
                Change::Put(entry) => {
                    let id = entry.meta().id;
                    self.touch(&entry, &mut touched);
                    (id, self.put(entry))
                }
                Change::Remove(id) => (id, self.remove(id)),
            };
            if let Some(before) = &before {
                self.touch(before, &mut touched);
            }
            undo.entries.push((id, before));
        }
        let faults = self.compile(&touched);
        if faults.is_empty() {
            return Ok(undo);
        }
        self.undo(undo);
        Err(faults)
    }

    /// Takes the latest change back.
    pub fn undo(&mut self, undo: Undo) {
        for (id, before) in undo.entries.into_iter().rev() {
            match before {
                Some(entry) => self.put(entry),
                None => self.remove(id),
            };
        }
        self.snapshot = undo.snapshot;
    }

    fn put(&mut self, entry: AnyEntry) -> Option<AnyEntry> {
        if let AnyEntry::Binding(binding) = &entry {
            match matches!(self.target_of(binding), Target::Tenant | Target::Platform) {
                true => self.tenant_bindings.insert(binding.meta.id),
                false => self.tenant_bindings.remove(&binding.meta.id),
            };
        }
        self.note_files(&entry);
        self.tables.put(entry)
    }

    fn remove(&mut self, id: Id) -> Option<AnyEntry> {
        self.tenant_bindings.remove(&id);
        self.with_files.remove(&id);
        self.unreadable.remove(&id);
        self.tables.remove(id)
    }

    fn touch(&self, entry: &AnyEntry, touched: &mut Touched) {
        match entry {
            AnyEntry::Tenant(tenant) => {
                touched.apis.extend(self.apis_of(tenant.meta.id));
            }
            AnyEntry::Api(api) => {
                touched.apis.insert(api.meta.id);
            }
            AnyEntry::Upstream(upstream) => {
                touched.upstreams.insert(upstream.meta.id);
                touched
                    .apis
                    .extend(self.tables.referrers(upstream.meta.id).filter(|id| self.tables.apis.contains_key(id)));
            }
            AnyEntry::Policy(policy) => {
                touched.policies.insert(policy.meta.id);
                for binding in self.tables.referrers(policy.meta.id) {
                    if let Some(binding) = self.tables.bindings.get(&binding) {
                        self.touch_binding(binding, touched);
                    }
                }
            }
            AnyEntry::Binding(binding) => self.touch_binding(binding, touched),
            AnyEntry::Plan(plan) => {
                touched.plans.insert(plan.meta.id);
            }
            AnyEntry::Consumer(consumer) => {
                touched.consumers.insert(consumer.meta.id);
            }
            AnyEntry::Subscription(subscription) => {
                touched.consumers.insert(subscription.spec.consumer_id.0);
            }
            AnyEntry::Credential(credential) => {
                touched.consumers.insert(credential.spec.consumer_id.0);
            }
        }
    }

    fn touch_binding(&self, binding: &Entry<crate::config::binding::Binding>, touched: &mut Touched) {
        let spec = &binding.spec;
        if let Some(api) = spec.api_id {
            touched.apis.insert(api.0);
        } else if let Some(plan) = spec.plan_id {
            touched.plans.insert(plan.0);
        } else if let Some(consumer) = spec.consumer_id {
            touched.consumers.insert(consumer.0);
        } else if let Some(subscription) = spec.subscription_id {
            if let Some(subscription) = self.tables.subscriptions.get(&subscription.0) {
                touched.consumers.insert(subscription.spec.consumer_id.0);
            }
        } else if self.is_platform(binding.meta.tenant_id) {
            touched.apis.extend(self.tables.apis.keys());
        } else {
            touched.apis.extend(self.apis_of(binding.meta.tenant_id));
        }
        // The binding itself is checked with its policy, also when its target is not compiled.
        touched.policies.insert(spec.policy_id.0);
    }

    fn apis_of(&self, tenant_id: Id) -> impl Iterator<Item = Id> {
        self.tables.apis.values().filter(move |api| api.meta.tenant_id == tenant_id).map(|api| api.meta.id)
    }

    fn is_platform(&self, tenant_id: Id) -> bool {
        self.tables.tenants.get(&tenant_id).is_some_and(|tenant| &*tenant.meta.name == PLATFORM_TENANT)
    }

    fn compile(&mut self, touched: &Touched) -> Vec<Fault> {
        let mut faults = Vec::new();
        for id in &touched.policies {
            self.compile_policy(*id, &mut faults);
        }
        for id in &touched.plans {
            self.compile_plan(*id, &mut faults);
        }
        for id in &touched.upstreams {
            self.compile_upstream(*id, &mut faults);
        }
        // All base paths are given back before any is claimed, so that two APIs can swap theirs in one change.
        for id in &touched.apis {
            self.release_paths(*id);
        }
        for id in &touched.apis {
            self.compile_api(*id, &mut faults);
        }
        for id in &touched.consumers {
            self.compile_consumer(*id, &mut faults);
        }
        faults
    }

    fn compile_policy(&mut self, id: Id, faults: &mut Vec<Fault>) {
        let Some(entry) = self.tables.policies.get(&id) else {
            self.snapshot.policies.remove(&id);
            return;
        };
        let before = self.snapshot.policies.get(&id).cloned();
        let env =
            CompileEnv { uid: uid(id), name: &entry.meta.name, before: before.as_ref().map(|before| &before.rule) };
        let config = serde_json::Value::Object(entry.spec.config.clone());
        match (policy::find(&entry.spec.policy_type), AnyPolicy::compile(&entry.spec.policy_type, &config, &env)) {
            (Some((type_index, _)), Ok(rule)) => {
                let compiled = CompiledPolicy {
                    id,
                    name: entry.meta.name.clone(),
                    type_index,
                    priority: entry.spec.priority,
                    rule,
                    refused: before.map(|before| before.refused.clone()).unwrap_or_default(),
                };
                self.snapshot.policies.insert(id, Arc::new(compiled));
            }
            (_, Err(problems)) => {
                faults.extend(problems.into_iter().map(|problem| Fault { id, problem, is_conflict: false }));
            }
            (None, Ok(_)) => {}
        }
        for binding in self.tables.referrers(id) {
            if let Some(problem) = self.tables.bindings.get(&binding).and_then(|binding| self.check_binding(binding)) {
                faults.push(Fault { id: binding, problem, is_conflict: false });
            }
        }
    }

    fn check_binding(&self, binding: &Entry<crate::config::binding::Binding>) -> Option<Problem> {
        let policy = self.tables.policies.get(&binding.spec.policy_id.0)?;
        let target = self.target_of(binding);
        let (_, kind) = policy::find(&policy.spec.policy_type)?;
        let needed = match target {
            Target::Platform => Scope::Gateway,
            Target::Tenant => Scope::Tenant,
            _ => Scope::Api,
        };
        if policy.spec.scope < needed {
            let scope = serde_json::to_value(policy.spec.scope).ok()?;
            return Some(
                Problem::new(
                    "/policy_id",
                    "the policy's scope does not reach this target",
                    "a narrower target, or a policy with a wider `scope`",
                )
                .found(scope),
            );
        }
        let is_of_caller = matches!(target, Target::Plan | Target::Consumer | Target::Subscription);
        if is_of_caller && matches!(kind.phase, Phase::Cors | Phase::Authenticate) {
            return Some(
                Problem::new(
                    "/policy_id",
                    format!("`{}` is asked before the caller is known", kind.name),
                    "an API, a route or the whole tenant as its target",
                )
                .found(kind.name),
            );
        }
        None
    }

    fn target_of(&self, binding: &Entry<crate::config::binding::Binding>) -> Target {
        let spec = &binding.spec;
        match (spec.api_id, spec.plan_id, spec.consumer_id, spec.subscription_id) {
            (Some(_), ..) if spec.route.is_some() => Target::Route,
            (Some(_), ..) => Target::Api,
            (_, Some(_), ..) => Target::Plan,
            (_, _, Some(_), _) => Target::Consumer,
            (.., Some(_)) => Target::Subscription,
            _ if self.is_platform(binding.meta.tenant_id) => Target::Platform,
            _ => Target::Tenant,
        }
    }

    /// The policies that are bound to `to`, except disabled ones. `route` picks the bindings of one route.
    fn bound_to(&self, to: Id, route: Option<&str>) -> impl Iterator<Item = BoundPolicy> {
        self.tables.referrers(to).filter_map(move |id| {
            let binding = self.tables.bindings.get(&id)?;
            if binding.spec.route.as_deref() != route {
                return None;
            }
            self.bound(binding)
        })
    }

    fn bound(&self, binding: &Entry<crate::config::binding::Binding>) -> Option<BoundPolicy> {
        let policy = self.tables.policies.get(&binding.spec.policy_id.0)?;
        let applies = binding.spec.enabled && policy.spec.enabled;
        let compiled = self.snapshot.policies.get(&policy.meta.id)?;
        applies.then(|| BoundPolicy { policy: compiled.clone(), target: self.target_of(binding) })
    }

    fn compile_plan(&mut self, id: Id, faults: &mut Vec<Fault>) {
        let Some(plan) = self.tables.plans.get(&id).cloned() else {
            self.snapshot.plans.remove(&id);
            return;
        };
        let mut policies: Vec<BoundPolicy> = self.bound_to(id, None).collect();
        if let Some(limit) = &plan.spec.rate_limit {
            let config = serde_json::to_value(limit).expect("a rate limit serialises to JSON");
            let before = self
                .snapshot
                .plans
                .get(&id)
                .and_then(|plan| plan.policies.iter().find(|bound| bound.policy.id == id).cloned());
            let env = CompileEnv {
                uid: uid(id),
                name: &plan.meta.name,
                before: before.as_ref().map(|before| &before.policy.rule),
            };
            match (policy::find("rate_limit"), AnyPolicy::compile("rate_limit", &config, &env)) {
                (Some((type_index, _)), Ok(rule)) => policies.push(BoundPolicy {
                    policy: Arc::new(CompiledPolicy {
                        id,
                        name: plan.meta.name.clone(),
                        type_index,
                        priority: 100,
                        rule,
                        refused: before.map(|before| before.policy.refused.clone()).unwrap_or_default(),
                    }),
                    target: Target::Plan,
                }),
                (_, Err(problems)) => {
                    faults.extend(problems.into_iter().map(|problem| Fault { id, problem, is_conflict: false }));
                }
                (None, Ok(_)) => {}
            }
        }
        self.snapshot.plans.insert(id, Arc::new(CompiledPlan { policies: policies.into() }));
    }
}

/// Keys the state of a policy; the random half of a UUIDv7.
fn uid(id: Id) -> u64 {
    id.as_u128() as u64
}
