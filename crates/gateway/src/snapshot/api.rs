//! A compiled API: its routes with their policies, its upstream, its counters.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Method};

use super::policy::Chain;
use crate::config::api::Access;
use crate::error::{Refusal, Rejection};
use crate::kind::Id;
use crate::router::template::Tree;
use crate::telemetry::counters::ApiMetrics;
use crate::upstream::balance::CompiledUpstream;

/// An API ready for use.
pub struct CompiledApi {
    /// The API's id.
    pub id: Id,
    /// Its tenant's id.
    pub tenant_id: Id,
    /// Its tenant's name, for the log.
    pub tenant: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The path that all its paths begin with.
    pub base_path: Box<str>,
    /// The hosts it answers to; none means any.
    pub hosts: Vec<String>,
    /// Whether the upstream sees the path without the base path.
    pub strip_path: bool,
    /// Who may call.
    pub access: Access,
    /// Where calls go.
    pub upstream: Arc<CompiledUpstream>,
    /// Path → indexes of `routes`; none when every path is a route.
    pub tree: Option<Arc<Tree>>,
    /// The routes, or one that stands for every path and method.
    pub routes: Vec<CompiledRoute>,
    /// Stands in for a route when none matches, so that the refusal passes the API's policies.
    pub no_route: CompiledRoute,
    /// What was counted.
    pub metrics: Arc<ApiMetrics>,
}

/// A route ready for use.
pub struct CompiledRoute {
    /// The methods it answers to; none means all.
    pub methods: Vec<Method>,
    /// Its policies.
    pub chain: Chain,
}

impl fmt::Debug for CompiledApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledApi")
            .field("name", &self.name)
            .field("base_path", &self.base_path)
            .finish_non_exhaustive()
    }
}

impl CompiledApi {
    /// The part of a path below the base path; begins with `/`.
    pub fn rest<'p>(&self, path: &'p str) -> &'p str {
        let base = if &*self.base_path == "/" { 0 } else { self.base_path.len() };
        match &path[base..] {
            "" => "/",
            rest => rest,
        }
    }

    /// The route that answers to a method and the path below the base path.
    pub fn route(&self, rest: &str, method: &Method) -> Result<&CompiledRoute, Rejection> {
        let Some(tree) = &self.tree else { return Ok(&self.routes[0]) };
        let found = tree.at(rest).map_err(|_| Rejection::from(Refusal::NoRoute))?;
        let candidates = || found.value.iter().map(|index| &self.routes[*index]);
        let answers =
            |method: &Method| candidates().find(|route| route.methods.is_empty() || route.methods.contains(method));
        let route = answers(method).or_else(|| if method == Method::HEAD { answers(&Method::GET) } else { None });
        route.ok_or_else(|| {
            let mut allowed: Vec<&str> =
                candidates().flat_map(|route| route.methods.iter().map(Method::as_str)).collect();
            if allowed.contains(&"GET") && !allowed.contains(&"HEAD") {
                allowed.push("HEAD");
            }
            let allowed = allowed.join(", ");
            let rejection = Rejection::new(Refusal::MethodNotAllowed, format!("this path has the methods {allowed}"));
            match HeaderValue::try_from(allowed) {
                Ok(value) => rejection.with(http::header::ALLOW, value),
                Err(_) => rejection,
            }
        })
    }
}
