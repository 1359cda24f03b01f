//! The contract of a policy, and the list of all policies.
//!
//! To add a policy: write `policy/<name>.rs` with a struct that implements [`Policy`], and add one line to the list
//! below. Its file name is its `policy_type`. Dispatch is static: an enum, no boxed futures, no registry.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use http::response;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::exchange::{Exchange, Flow};
use crate::problem::Problem;
use crate::schema;

/// When in the walk of a request a policy is asked. The order is the order of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before anything else is looked at.
    Guard,
    /// Rules between origins; before authentication, because a preflight carries no credentials.
    Cors,
    /// Who is calling.
    Authenticate,
    /// How much may be called.
    Limit,
    /// Whether the request is acceptable.
    Validate,
    /// What is changed on the way.
    Transform,
    /// How the call to the upstream is made.
    Upstream,
}

/// How the call to the upstream is made; policies narrow it.
#[derive(Debug, Clone)]
pub struct ForwardPlan {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the head of the answer may take.
    pub response_timeout: Duration,
    /// The most bytes of request body that are passed on.
    pub body_limit: Option<u64>,
}

/// What a policy knows of itself when it is compiled.
pub struct CompileEnv<'a> {
    /// Stays the same as long as the policy exists; keys its state.
    pub uid: u64,
    /// The policy's name.
    pub name: &'a str,
    /// The policy as it was compiled before this change, to carry state over.
    pub before: Option<&'a AnyPolicy>,
}

/// One rule for calls. The doc comments of its config struct are its documentation and its form.
pub trait Policy: Sized + Send + Sync + 'static {
    /// When it is asked.
    const PHASE: Phase;
    /// Whether all policies of this type apply to a call, instead of the one that wins.
    const STACKS: bool = false;
    /// A configuration in YAML that works; it is on the reference page and it is tested.
    const EXAMPLE: &'static str;
    /// What can be configured.
    type Config: Serialize + DeserializeOwned + JsonSchema + 'static;

    /// Makes the rule ready for use, or says every fault of its configuration.
    fn compile(config: &Self::Config, env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>>;

    /// Whether this one applies beside others of its type.
    fn stacks(&self) -> bool {
        Self::STACKS
    }

    /// Narrows how the upstream is called.
    fn plan(&self, _plan: &mut ForwardPlan) {}

    /// Judges a request.
    fn request(&self, _x: &mut Exchange<'_>) -> impl Future<Output = Flow> {
        ready(Flow::Next)
    }

    /// Changes the head of an answer, also of a refusal.
    fn response(&self, _x: &Exchange<'_>, _head: &mut response::Parts) {}
}

/// A policy type without its Rust type.
pub struct PolicyType {
    /// The `policy_type`: the name of the policy's file.
    pub name: &'static str,
    /// See [`Policy::PHASE`].
    pub phase: Phase,
    /// See [`Policy::STACKS`].
    pub stacks: bool,
    /// See [`Policy::EXAMPLE`].
    pub example: &'static str,
    /// The JSON Schema of its configuration.
    pub schema: fn() -> Arc<schema::Checked>,
}

macro_rules! policies {
    ($($module:ident :: $policy:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every policy type, in the order of the list.
        pub static TYPES: &[PolicyType] = &[$(PolicyType {
            name: stringify!($module),
            phase: <$module::$policy as Policy>::PHASE,
            stacks: <$module::$policy as Policy>::STACKS,
            example: <$module::$policy as Policy>::EXAMPLE,
            schema: schema::of::<<$module::$policy as Policy>::Config>,
        }),*];

        /// A compiled policy of any type.
        pub enum AnyPolicy {
            $(#[doc = concat!("A `", stringify!($module), "`.")] $policy($module::$policy),)*
        }

        impl AnyPolicy {
            /// Compiles a configuration of the named type, or says every fault of it.
            pub fn compile(policy_type: &str, config: &Value, env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
                match policy_type {
                    $(stringify!($module) => compile::<$module::$policy>(config, env).map(Self::$policy),)*
                    unknown => Err(vec![unknown_type(unknown)]),
                }
            }

            /// See [`Policy::PHASE`].
            pub fn phase(&self) -> Phase {
                match self { $(Self::$policy(_) => <$module::$policy as Policy>::PHASE,)* }
            }

            /// See [`Policy::stacks`].
            pub fn stacks(&self) -> bool {
                match self { $(Self::$policy(policy) => policy.stacks(),)* }
            }

            /// See [`Policy::plan`].
            pub fn plan(&self, plan: &mut ForwardPlan) {
                match self { $(Self::$policy(policy) => policy.plan(plan),)* }
            }

            /// See [`Policy::request`].
            pub async fn request(&self, x: &mut Exchange<'_>) -> Flow {
                match self { $(Self::$policy(policy) => policy.request(x).await,)* }
            }

            /// See [`Policy::response`].
            pub fn response(&self, x: &Exchange<'_>, head: &mut response::Parts) {
                match self { $(Self::$policy(policy) => policy.response(x, head),)* }
            }
        }
    };
}

policies! {
    ip_filter::IpFilter,
    cors::Cors,
    key_auth::KeyAuth,
    authorize::Authorize,
    rate_limit::RateLimit,
    body_limit::BodyLimit,
    headers::Headers,
    timeout::Timeout,
    approval::Approval,
}

fn compile<P: Policy>(config: &Value, env: &CompileEnv<'_>) -> Result<P, Vec<Problem>> {
    schema::parse(config).and_then(|config| P::compile(&config, env)).map_err(in_config)
}

fn in_config(problems: Vec<Problem>) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.under("/config")).collect()
}

/// The type with this name.
pub fn find(policy_type: &str) -> Option<(usize, &'static PolicyType)> {
    TYPES.iter().enumerate().find(|(_, known)| known.name == policy_type)
}

fn unknown_type(name: &str) -> Problem {
    let known: Vec<&str> = TYPES.iter().map(|known| known.name).collect();
    Problem::new("/policy_type", "unknown policy type", format!("one of {}", known.join(", "))).found(name)
}

/// Every fault of a policy's configuration.
pub fn check(policy_type: &str, config: &Value) -> Vec<Problem> {
    AnyPolicy::compile(policy_type, config, &CompileEnv { uid: 0, name: "", before: None }).err().unwrap_or_default()
}

#[cfg(test)]
mod tests;
