//! A published API: what it answers to and where its calls go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Traffic;
use super::upstream::Upstream;
use super::upstream::authentication::PURPOSE;
use crate::kind::{Id, Kind, OnDelete, OneTimeSecret, Ref, Reference};
use crate::problem::Problem;
use crate::router::{self, template};
use crate::secret::Keyring;
use crate::secret::field::SecretField;

/// A set of paths under one base path, with one upstream and one rule of access.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Which version of the API this is.
    #[serde(default = "version")]
    #[schemars(length(min = 1, max = 64))]
    pub version: String,
    /// What is spoken on it.
    #[serde(default)]
    pub protocol: Protocol,
    /// The name to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// What the API is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20_000))]
    pub description: Option<String>,
    /// The path that all its paths begin with; on one host it belongs to this API alone. The longest one wins.
    #[schemars(length(min = 1, max = 512))]
    pub base_path: String,
    /// The hosts it answers to, such as `api.example.com` or `*.example.com`; none means any host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub hosts: Vec<String>,
    /// The paths below the base path that exist; none means every path and method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10_000))]
    pub routes: Vec<Route>,
    /// Whether the upstream sees the path without the base path.
    #[serde(default = "strip_path")]
    pub strip_path: bool,
    /// Who may call.
    #[serde(default)]
    pub access: Access,
    /// Where calls go; or name a shared upstream with `upstream_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
    /// A shared upstream; or describe one in `upstream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<Ref>,
}

/// A path of an API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The path below the base path, such as `/items/{id}` or `/files/{*path}`.
    #[schemars(length(min = 1, max = 2000))]
    pub path: String,
    /// The methods it answers to; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub methods: Vec<String>,
}

/// What is spoken on an API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP requests and answers.
    #[default]
    Rest,
}

/// Who may call an API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// A consumer with an active subscription, proved by a credential.
    #[default]
    Subscription,
    /// Anybody. A `key_auth` policy still asks for the key of some consumer.
    Public,
}

fn version() -> String {
    "v1".to_owned()
}

fn strip_path() -> bool {
    true
}

impl Kind for Api {
    const KIND: &'static str = "Api";
    const PLURAL: &'static str = "apis";
    const NOUN: &'static str = "api";
    const SECRETS: &'static [SecretField] = &[
        SecretField::new("/upstream/authentication/header/value", PURPOSE),
        SecretField::new("/upstream/authentication/basic/password", PURPOSE),
        SecretField::new("/upstream/authentication/bearer/token", PURPOSE),
    ];
    const REFERENCES: &'static [Reference] = &[Reference::one("upstream_id", "Upstream", OnDelete::Refuse)];

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(why) = router::check_base_path(&self.base_path) {
            problems.push(
                Problem::new("/base_path", why, "a path such as /orders or /shop/v1, or / for everything")
                    .found(self.base_path.as_str()),
            );
        }
        for (index, host) in self.hosts.iter().enumerate() {
            if let Err(why) = router::check_host(host) {
                problems.push(
                    Problem::new(
                        format!("/hosts/{index}"),
                        why,
                        "a lowercase host such as api.example.com or *.example.com, without a port",
                    )
                    .found(host.as_str()),
                );
            }
            if self.hosts[..index].contains(host) {
                problems.push(
                    Problem::new(format!("/hosts/{index}"), "the same host twice", "each host once")
                        .found(host.as_str()),
                );
            }
        }
        problems.extend(template::check(&self.routes));
        match (&self.upstream, &self.upstream_id) {
            (None, None) => problems.push(Problem::new(
                "/upstream",
                "the API has no upstream",
                "`upstream` with targets, or `upstream_id` with the name of an upstream",
            )),
            (Some(_), Some(_)) => problems.push(Problem::new(
                "/upstream_id",
                "the API has two upstreams",
                "either `upstream` or `upstream_id`",
            )),
            (Some(upstream), None) => {
                problems.extend(upstream.check().into_iter().map(|problem| problem.under("/upstream")));
            }
            (None, Some(_)) => {}
        }
        problems
    }

    fn prepare(&mut self, _before: Option<&Self>, keys: &Keyring) -> Result<Option<OneTimeSecret>, Vec<Problem>> {
        let Some(upstream) = &mut self.upstream else { return Ok(None) };
        upstream
            .prepare(None, keys)
            .map_err(|problems| problems.into_iter().map(|problem| problem.under("/upstream")).collect())
    }
}

impl Traffic for Api {
    fn refers_to(&self) -> SmallVec<[Id; 3]> {
        self.upstream_id.iter().map(|to| to.0).collect()
    }
}
