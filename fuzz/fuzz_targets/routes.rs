//! Any APIs and routes: what the checks let through compiles, and a request finds the route that a plain reading of the
//! rules finds.
//!
//! The input is lines. The first is the request: `METHOD host path`. `base /path host` begins an API, the host may be
//! missing; each other line is a route of it, `METHOD template` or `* template`.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use portunus_gateway::config::api::{Api, Route};
use portunus_gateway::config::{AnyEntry, KINDS};
use portunus_gateway::error::Refusal;
use portunus_gateway::kind::{Kind, Meta, PLATFORM_TENANT};
use portunus_gateway::sanitize::normalise;
use portunus_gateway::snapshot::compiler::{Change, Compiler};
use serde_json::{Value, json};
use uuid::Uuid;

const TENANT: Uuid = Uuid::from_u128(1);

fn read<'t>(lines: impl Iterator<Item = &'t str>) -> Vec<Value> {
    let mut apis: Vec<Value> = Vec::new();
    for line in lines.take(60) {
        let words: Vec<&str> = line.split(' ').collect();
        match (&words[..], apis.last_mut()) {
            (["base", path, hosts @ ..], _) => apis.push(json!({
                "base_path": path, "hosts": hosts, "routes": [], "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]},
            })),
            ([method, template], Some(api)) => {
                let methods: &[&str] = if *method == "*" { &[] } else { &[method] };
                let routes = api["routes"].as_array_mut().expect("every API above has routes");
                routes.push(json!({"path": template, "methods": methods}));
            }
            _ => {}
        }
    }
    apis
}

/// The APIs that pass their own checks and the compiler, as the control plane stores them: one after the other.
fn store(values: &[Value]) -> (Compiler, Vec<Api>) {
    let check = KINDS.iter().find(|kind| kind.kind == Api::KIND).expect("APIs shape traffic").check;
    let mut compiler = Compiler::default();
    let put = |kind, number: usize, spec: &Value| {
        let id = Uuid::from_u128(number as u128 + 1);
        let name = if number == 0 { PLATFORM_TENANT.into() } else { format!("api-{number}").into() };
        let entry = AnyEntry::read(kind, Meta { id, tenant_id: TENANT, name }, spec);
        Change::Put(entry.expect("what passed its check can be read").expect("the kind shapes traffic"))
    };
    assert!(compiler.apply(vec![put("Tenant", 0, &json!({}))]).is_ok());
    let mut stored: Vec<Api> = Vec::new();
    for value in values {
        if !check(value).is_empty() {
            continue;
        }
        let api: Api = serde_json::from_value(value.clone()).expect("what passed its check can be read");
        let is_taken = stored.iter().any(|other| {
            let shares_host = api.hosts.iter().any(|host| other.hosts.contains(host));
            api.base_path == other.base_path && (shares_host || api.hosts.is_empty() && other.hosts.is_empty())
        });
        let result = compiler.apply(vec![put(Api::KIND, stored.len() + 1, value)]);
        match result {
            Ok(_) => {
                assert!(!is_taken, "two APIs own {}", api.base_path);
                for literal in api.routes.iter().map(|route| &route.path).filter(|path| !path.contains('{')) {
                    assert_eq!(normalise(literal).as_deref(), Ok(&**literal), "no request's path looks like this");
                }
                stored.push(api);
            }
            Err(faults) => assert!(is_taken, "passed its check and does not compile: {value} {faults:?}"),
        }
    }
    (compiler, stored)
}

/// How well an API's host fits: its own name before wildcards, long wildcards before short ones, any host last.
fn host_rank(api: &Api, host: &str) -> Option<usize> {
    if api.hosts.is_empty() {
        return Some(usize::MAX);
    }
    let rank = |pattern: &String| match pattern.strip_prefix('*') {
        None => (pattern == host).then_some(0),
        Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then(|| usize::MAX - suffix.len()),
    };
    api.hosts.iter().filter_map(rank).min()
}

/// The path below the API's base path, when the path is below it.
fn below<'p>(api: &Api, path: &'p str) -> Option<&'p str> {
    match path.strip_prefix(if api.base_path == "/" { "" } else { &api.base_path })? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// Segment by segment: 0 for a literal, 1 for `{name}`, 2 for `{*rest}`; none when the template does not match.
fn template_rank(template: &str, path: &str) -> Option<Vec<u8>> {
    let mut rank = Vec::new();
    let (mut templates, mut segments) = (template.split('/').skip(1), path.split('/').skip(1));
    loop {
        match (templates.next(), segments.next()) {
            (None, None) => return Some(rank),
            (Some(template), Some(segment)) if template.starts_with("{*") => {
                let is_empty = segment.is_empty() && segments.next().is_none();
                rank.push(2);
                return (!is_empty).then_some(rank);
            }
            (Some(template), Some(segment)) if template.starts_with('{') && !segment.is_empty() => rank.push(1),
            (Some(template), Some(segment)) if template == segment => rank.push(0),
            _ => return None,
        }
    }
}

/// The index of the route that answers, by a plain reading of the rules.
fn expected(routes: &[Route], rest: &str, method: &Method) -> Result<usize, Refusal> {
    if routes.is_empty() {
        return Ok(0);
    }
    let ranked = routes.iter().filter_map(|route| Some((template_rank(&route.path, rest)?, route.path.as_str())));
    let (_, template) = ranked.min().ok_or(Refusal::NoRoute)?;
    let answers = |method: &str| {
        routes.iter().position(|route| {
            route.path == template && (route.methods.is_empty() || route.methods.iter().any(|known| known == method))
        })
    };
    let head = if *method == Method::HEAD { answers("GET") } else { None };
    answers(method.as_str()).or(head).ok_or(Refusal::MethodNotAllowed)
}

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let request: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, host, path] = request[..] else { return };
    let (Ok(method), Ok(path)) = (Method::from_bytes(method.as_bytes()), normalise(path)) else { return };
    let (compiler, stored) = store(&read(lines));
    let snapshot = compiler.snapshot(1);
    let owner = stored
        .iter()
        .enumerate()
        .filter(|(_, api)| below(api, &path).is_some())
        .filter_map(|(index, api)| Some((host_rank(api, host)?, usize::MAX - api.base_path.len(), index)))
        .min();
    let found = snapshot.router.find(host, &path);
    assert_eq!(found.map(|api| &*api.name), owner.map(|(.., index)| format!("api-{}", index + 1)).as_deref());
    let (Some(found), Some((.., index))) = (found, owner) else { return };
    let (api, rest) = (&stored[index], found.rest(&path));
    assert_eq!(Some(rest), below(api, &path));
    let route = found.route(rest, &method).map_err(|rejection| rejection.refusal);
    let route = route.map(|route| found.routes.iter().position(|known| std::ptr::eq(known, route)).expect("its own"));
    assert_eq!(route, expected(&api.routes, rest, &method), "{method} {rest} of {:?}", api.routes);
});
