//! Compiled policies, and which of them apply to a call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::kind::Id;
use crate::policy::{AnyPolicy, Phase};

/// A policy ready for use.
pub struct CompiledPolicy {
    /// The policy's id.
    pub id: Id,
    /// Its name, for the log.
    pub name: Arc<str>,
    /// The index of its type in [`crate::policy::TYPES`].
    pub type_index: usize,
    /// The lowest number wins.
    pub priority: u32,
    /// The rule itself.
    pub rule: AnyPolicy,
    /// How many requests it refused; survives changes.
    pub refused: Arc<AtomicU64>,
}

/// What a policy is bound to, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One subscription.
    Subscription,
    /// One consumer.
    Consumer,
    /// The subscriptions of a plan.
    Plan,
    /// One route of an API.
    Route,
    /// One API.
    Api,
    /// A tenant.
    Tenant,
    /// Everything.
    Platform,
}

/// A policy at one of its targets.
#[derive(Clone)]
pub struct BoundPolicy {
    /// The policy.
    pub policy: Arc<CompiledPolicy>,
    /// Where it is bound.
    pub target: Target,
}

impl fmt::Debug for BoundPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:?}", self.policy.name, self.target)
    }
}

impl BoundPolicy {
    /// The order of precedence: lowest priority number, then most specific target, then oldest policy.
    fn rank(&self) -> (u32, Target, Id) {
        (self.policy.priority, self.target, self.policy.id)
    }

    fn competes_with(&self, other: &Self) -> bool {
        self.policy.type_index == other.policy.type_index && !self.policy.rule.stacks() && !other.policy.rule.stacks()
    }

    /// Whether `other` takes this one's place.
    pub fn gives_way_to(&self, other: &Self) -> bool {
        self.competes_with(other) && other.rank() < self.rank()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.policy.id == other.policy.id
    }

    /// When it is asked.
    pub fn phase(&self) -> Phase {
        self.policy.rule.phase()
    }
}

/// Of all candidates the ones that apply, in the order in which they are asked.
pub fn resolve<'s>(candidates: impl IntoIterator<Item = &'s BoundPolicy>) -> Vec<&'s BoundPolicy> {
    let candidates: Vec<&BoundPolicy> = candidates.into_iter().collect();
    let mut chosen: Vec<&BoundPolicy> = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let loses = candidates.iter().any(|other| candidate.gives_way_to(other));
        // A policy that is bound twice applies once, at its most specific target.
        let repeats = candidates.iter().enumerate().any(|(place, other)| {
            candidate.is_same(other)
                && (other.rank() < candidate.rank() || (other.rank() == candidate.rank() && place < index))
        });
        if !loses && !repeats {
            chosen.push(candidate);
        }
    }
    chosen.sort_by_key(|bound| (bound.phase(), bound.rank()));
    chosen
}

/// The policies of a call that are known before the caller is: of the platform, the tenant, the API and the route.
pub type Chain = Arc<[BoundPolicy]>;
