//! Compiles APIs: who owns a path, which policies a route has.

use std::sync::Arc;

use http::Method;

use super::{Compiler, Fault};
use crate::config::api::Api;
use crate::kind::{Entry, Id};
use crate::problem::Problem;
use crate::router::template;
use crate::snapshot::api::{CompiledApi, CompiledRoute};
use crate::snapshot::policy::{BoundPolicy, Chain, resolve};
use crate::upstream::balance::CompiledUpstream;
use crate::upstream::credential::Credential;

impl Compiler {
    /// Takes an API's paths out of the router.
    pub(super) fn release_paths(&mut self, id: Id) {
        let Some(before) = self.snapshot.apis.get(&id).cloned() else { return };
        for host in hosts(&before.hosts) {
            self.snapshot.router.remove(host, &before.base_path);
        }
    }

    /// Compiles a shared upstream, once for all its APIs: they share its targets' limits and what is known of them.
    pub(super) fn compile_upstream(&mut self, id: Id, faults: &mut Vec<Fault>) {
        let Some(entry) = self.tables.upstreams.get(&id).cloned() else {
            self.snapshot.upstreams.remove(&id);
            return;
        };
        let before = self.snapshot.upstreams.get(&id).cloned();
        let credential = self.credential(&entry.meta, &entry.spec, before.as_deref());
        match CompiledUpstream::compile(entry.meta.name.clone(), &entry.spec, credential, before.as_deref()) {
            Ok(compiled) => {
                self.snapshot.upstreams.insert(id, Arc::new(compiled));
            }
            Err(problem) => faults.push(Fault { id, problem, is_conflict: false }),
        }
    }

    pub(super) fn compile_api(&mut self, id: Id, faults: &mut Vec<Fault>) {
        let before = self.snapshot.apis.get(&id).cloned();
        let Some(entry) = self.tables.apis.get(&id).cloned() else {
            self.snapshot.apis.remove(&id);
            return;
        };
        let mut problems = Vec::new();
        let own = entry.spec.upstream.as_ref();
        let credential =
            own.and_then(|own| self.credential(&entry.meta, own, before.as_deref().map(|before| &*before.upstream)));
        let compiled = self.compiled_api(&entry, credential, before.as_deref(), &mut problems);
        faults.extend(problems.into_iter().map(|problem| Fault { id, problem, is_conflict: false }));
        faults.extend(self.check_route_bindings(&entry));
        let Some(compiled) = compiled.map(Arc::new) else { return };
        for host in hosts(&compiled.hosts) {
            if let Some(owner) = self.snapshot.router.owner(host, &compiled.base_path) {
                faults.push(Fault { id, problem: taken(&compiled, owner, host), is_conflict: true });
            } else {
                self.snapshot.router.insert(host, &compiled.base_path, compiled.clone());
            }
        }
        self.snapshot.apis.insert(id, compiled);
    }

    fn compiled_api(
        &self,
        entry: &Entry<Api>,
        credential: Option<Credential>,
        before: Option<&CompiledApi>,
        problems: &mut Vec<Problem>,
    ) -> Option<CompiledApi> {
        let spec = &entry.spec;
        let tenant = self.tables.tenants.get(&entry.meta.tenant_id)?;
        let upstream = match (&spec.upstream, spec.upstream_id) {
            (Some(own), _) => {
                let before = before.map(|before| &*before.upstream);
                match CompiledUpstream::compile(entry.meta.name.clone(), own, credential, before) {
                    Ok(upstream) => Arc::new(upstream),
                    Err(problem) => {
                        problems.push(problem.under("/upstream"));
                        return None;
                    }
                }
            }
            (None, Some(id)) => self.snapshot.upstreams.get(&id.0)?.clone(),
            (None, None) => return None,
        };
        let tree = match (spec.routes.is_empty(), template::compile(&spec.routes)) {
            (true, _) => None,
            (false, Ok(tree)) => Some(Arc::new(tree)),
            (false, Err(faults)) => {
                problems.extend(faults);
                return None;
            }
        };
        let inherited = self.inherited_policies(entry);
        let chain: Chain = resolve(&inherited).into_iter().cloned().collect();
        let mut routes: Vec<CompiledRoute> = spec
            .routes
            .iter()
            .map(|route| {
                let own: Vec<BoundPolicy> = self.bound_to(entry.meta.id, Some(&route.path)).collect();
                let chain = match own.is_empty() {
                    true => chain.clone(),
                    false => resolve(inherited.iter().chain(&own)).into_iter().cloned().collect(),
                };
                let methods =
                    route.methods.iter().filter_map(|method| Method::from_bytes(method.as_bytes()).ok()).collect();
                CompiledRoute { methods, chain }
            })
            .collect();
        if routes.is_empty() {
            routes.push(CompiledRoute { methods: Vec::new(), chain: chain.clone() });
        }
        Some(CompiledApi {
            id: entry.meta.id,
            tenant_id: entry.meta.tenant_id,
            tenant: tenant.meta.name.clone(),
            name: entry.meta.name.clone(),
            base_path: spec.base_path.as_str().into(),
            hosts: spec.hosts.clone(),
            strip_path: spec.strip_path,
            access: spec.access,
            upstream,
            tree,
            routes,
            no_route: CompiledRoute { methods: Vec::new(), chain },
            metrics: before.map(|before| before.metrics.clone()).unwrap_or_default(),
        })
    }

    /// The policies of the platform, the tenant and the API.
    fn inherited_policies(&self, entry: &Entry<Api>) -> Vec<BoundPolicy> {
        let of_tenants = self.tenant_bindings.iter().filter_map(|id| {
            let binding = self.tables.bindings.get(id)?;
            let reaches = binding.meta.tenant_id == entry.meta.tenant_id || self.is_platform(binding.meta.tenant_id);
            if reaches { self.bound(binding) } else { None }
        });
        of_tenants.chain(self.bound_to(entry.meta.id, None)).collect()
    }

    fn check_route_bindings(&self, entry: &Entry<Api>) -> Vec<Fault> {
        self.tables
            .referrers(entry.meta.id)
            .filter_map(|id| {
                let route = self.tables.bindings.get(&id)?.spec.route.as_deref()?;
                if entry.spec.routes.iter().any(|known| known.path == route) {
                    return None;
                }
                let problem = Problem::new(
                    "/route",
                    "the API has no route with this path",
                    "the path of one of its routes, as written there",
                )
                .found(route);
                Some(Fault { id, problem, is_conflict: false })
            })
            .collect()
    }
}

fn hosts(hosts: &[String]) -> impl Iterator<Item = Option<&str>> {
    let any = hosts.is_empty().then_some(None);
    hosts.iter().map(|host| Some(host.as_str())).chain(any)
}

/// Who owns a path is the owner's business: another tenant's name is never told.
fn taken(api: &CompiledApi, owner: &CompiledApi, host: Option<&str>) -> Problem {
    let place = match host {
        Some(host) => format!("on the host {host}"),
        None => "for APIs without a host".to_owned(),
    };
    let by = match owner.tenant_id == api.tenant_id {
        true => format!("by the API {}", owner.name),
        false => "by another tenant".to_owned(),
    };
    Problem::new(
        "/base_path",
        format!("this base path is taken {by} {place}"),
        "another base path, or hosts of its own in `hosts`",
    )
    .found(&*api.base_path)
}
