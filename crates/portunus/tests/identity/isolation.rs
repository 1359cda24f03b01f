//! Tenants do not see each other, and every call of the control plane asks for its permission.

use std::collections::BTreeMap;

use portunus_testkit::Portunus;
use portunus_testkit::call::{Answer, Call};
use portunus_testkit::client::Api;
use serde_json::{Value, json};

use crate::portunus;

/// An operation of the OpenAPI document.
struct Operation {
    method: String,
    path: String,
    permission: Option<String>,
    is_public: bool,
    takes_body: bool,
}

impl Operation {
    /// Its path for a tenant and a resource.
    fn at(&self, tenant: &str, id: &str) -> String {
        let parts = self.path.split('/').map(|part| match part {
            "{tenant}" => tenant,
            part if part.starts_with('{') => id,
            part => part,
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn is_of_tenant(&self) -> bool {
        self.path.contains("{tenant}")
    }

    fn call(&self, process: &Portunus, path: &str, token: Option<&str>) -> Answer {
        let mut call = Call::new(&self.method, &process.api_url(path));
        if let Some(token) = token {
            call = call.bearer(token);
        }
        if self.takes_body {
            call = call.json(&json!({}));
        }
        call.send()
    }
}

/// Every operation of the running process.
fn operations(process: &Portunus) -> Vec<Operation> {
    let document = Call::get(&process.api_url("/v1/openapi.json")).send().expect(200).json;
    let paths = document["paths"].as_object().expect("there are paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("a path has methods").iter().map(move |(method, operation)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            permission: operation["x-permission"].as_str().map(str::to_owned),
            is_public: operation["security"] == json!([]),
            takes_body: operation["requestBody"]["content"]
                .as_object()
                .is_some_and(|of| of.keys().any(|media| media.contains("json"))),
        })
    });
    operations.collect()
}

/// Whether a list of permissions allows this one.
fn allows(permissions: &[String], wanted: &str) -> bool {
    let (noun, verb) = wanted.split_once(':').expect("a permission has two parts");
    permissions.iter().any(|text| {
        let (held_noun, held_verb) = text.split_once(':').expect("a permission has two parts");
        (held_noun == "*" || held_noun == noun) && (held_verb == "*" || held_verb == verb)
    })
}

/// A service account of a tenant with a built-in role, as a caller.
fn account(process: &Portunus, admin: &Api, tenant: &str, role: &str) -> Api {
    let name = format!("{tenant}-{role}");
    let body = json!({"name": name, "roles": [role]});
    let made = admin.post(&format!("/v1/tenants/{tenant}/service-accounts"), &body).expect(201).json;
    let secret = made["client_secret"].as_str().expect("a secret");
    Api::service_account(&process.api_url(""), &format!("{tenant}/{name}"), secret)
}

/// The built-in roles with their permissions.
fn roles(admin: &Api) -> BTreeMap<String, Vec<String>> {
    let list = admin.get("/v1/tenants/platform/roles?page_size=100").expect(200).json;
    let roles = list["items"].as_array().expect("a list").iter().map(|role| {
        let permissions = role["permissions"].as_array().expect("permissions").iter();
        let permissions = permissions.map(|text| text.as_str().expect("a text").to_owned()).collect();
        (role["name"].as_str().expect("a name").to_owned(), permissions)
    });
    roles.collect()
}

#[test]
fn r11_every_route_asks_for_its_permission_in_its_tenant() {
    let process = portunus().start();
    let admin = process.api();
    for tenant in ["alpha", "beta"] {
        admin.post("/v1/tenants", &json!({"name": tenant})).is(201);
    }
    let roles = roles(&admin);
    assert_eq!(roles.len(), 7, "the built-in roles: {roles:?}");
    let operations = operations(&process);
    assert!(operations.len() > 100, "the document has {} operations only", operations.len());
    let missing = "00000000-0000-7000-8000-000000000000";
    let mut asked = 0;
    for operation in &operations {
        let place = format!("{} {}", operation.method, operation.path);
        assert!(operation.is_public || operation.permission.is_some(), "{place} has no permission and is not public");
        if !operation.is_public {
            assert_eq!(
                operation.call(&process, &operation.at("alpha", missing), None).status,
                401,
                "{place} without credentials"
            );
            asked += 1;
        }
    }
    assert!(asked > 100);
    // All of them come first: what the walk makes may be a rule for what comes after.
    let callers: BTreeMap<&String, (Api, Api)> = roles
        .keys()
        .map(|role| (role, (account(&process, &admin, "platform", role), account(&process, &admin, "alpha", role))))
        .collect();
    for (role, permissions) in &roles {
        let (of_platform, alpha) = &callers[role];
        let (of_platform, of_alpha) = (of_platform.token(), alpha.token());
        for operation in &operations {
            let Some(permission) = operation.permission.as_deref().filter(|text| !text.starts_with('{')) else {
                continue;
            };
            let own = operation.at("alpha", missing);
            let place =
                |who: &str, answer: &Answer| format!("{role} of {who}: {} {own}: {}", operation.method, answer.text());
            if permission == "account" {
                // What is for people refuses machines; nobody needs a role for it. Some of it ends the token.
                let answer = operation.call(&process, &own, Some(&alpha.again().token()));
                assert_ne!(answer.status, 401, "{}", place("alpha", &answer));
                continue;
            }
            let is_allowed = allows(permissions, permission);
            let platform = operation.call(&process, &own, Some(&of_platform));
            let alpha = operation.call(&process, &own, Some(&of_alpha));
            if !is_allowed {
                assert_eq!(platform.status, 403, "{}", place("platform", &platform));
                assert_eq!(alpha.status, 403, "{}", place("alpha", &alpha));
                continue;
            }
            assert!(!matches!(platform.status, 401 | 403), "{}", place("platform", &platform));
            assert_ne!(alpha.status, 401, "{}", place("alpha", &alpha));
            // A tenant cannot end itself; that is the platform's.
            let is_platforms = permission == "tenant:delete";
            if operation.is_of_tenant() {
                assert_eq!(alpha.status == 403, is_platforms, "{}", place("alpha", &alpha));
                let path = operation.at("beta", missing);
                let beta = operation.call(&process, &path, Some(&of_alpha));
                assert!(
                    matches!(beta.status, 403 | 404),
                    "{role} of alpha: {} {path}: {}",
                    operation.method,
                    beta.text()
                );
            }
        }
        // Manifests ask for the permission of each kind that they name.
        for (kind, noun) in [("Api", "api"), ("Role", "role"), ("User", "user")] {
            let spec = if kind == "Role" { json!({"permissions": []}) } else { json!({}) };
            let manifest = json!({"apiVersion": "portunus.dev/v1", "kind": kind, "metadata": {"tenant": "alpha", "name": "x"}, "spec": spec});
            let body = json!({"manifests": [manifest]});
            let applied = Call::post(&process.api_url("/v1/apply?dry_run=true")).bearer(&of_alpha).json(&body).send();
            let may = allows(permissions, &format!("{noun}:write"));
            assert_eq!(applied.status != 403, may, "{role} applies {kind}: {}", applied.text());
            let path = format!("/v1/export?tenant=alpha&kind={kind}");
            let exported = Call::get(&process.api_url(&path)).bearer(&of_alpha).send();
            assert_eq!(exported.status == 200, allows(permissions, &format!("{noun}:read")), "{role} exports {kind}");
            let path = format!("/v1/export?tenant=beta&kind={kind}");
            let other = Call::get(&process.api_url(&path)).bearer(&of_alpha).send();
            assert!(matches!(other.status, 403 | 404), "{role} exports {kind} of beta");
        }
    }
}

/// What tells that something is of the tenant `beta`.
const MARK: &str = "only-beta-knows";

/// One resource of each kind of traffic in `beta`, by plural.
fn furnish(admin: &Api) -> BTreeMap<&'static str, String> {
    admin.post("/v1/tenants", &json!({"name": "beta", "display_name": MARK})).is(201);
    let mut made: BTreeMap<&str, String> = BTreeMap::new();
    let upstream = json!({"targets": [{"url": "http://127.0.0.1:9"}]});
    for (plural, body) in [
        ("apis", json!({"name": format!("{MARK}-api"), "base_path": "/beta", "upstream": upstream})),
        ("upstreams", json!({"name": format!("{MARK}-upstream"), "targets": upstream["targets"]})),
        ("plans", json!({"name": format!("{MARK}-plan")})),
        (
            "policies",
            json!({"name": format!("{MARK}-policy"), "policy_type": "rate_limit", "config": {"requests_per_minute": 60}}),
        ),
        ("consumers", json!({"name": format!("{MARK}-consumer")})),
        ("roles", json!({"name": format!("{MARK}-role"), "permissions": ["api:read"]})),
        ("users", json!({"name": format!("{MARK}-user"), "email": "b@example.com"})),
        ("service-accounts", json!({"name": format!("{MARK}-account")})),
        ("content-pages", json!({"content_type": "note", "slug": MARK, "data": {"title": MARK}})),
        ("bindings", json!({"policy_id": format!("{MARK}-policy"), "api_id": format!("{MARK}-api")})),
        (
            "subscriptions",
            json!({"consumer_id": format!("{MARK}-consumer"), "api_id": format!("{MARK}-api"), "name": format!("{MARK}-sub")}),
        ),
        ("credentials", json!({"consumer_id": format!("{MARK}-consumer"), "name": format!("{MARK}-key")})),
        ("api-tokens", json!({"service_account_id": format!("{MARK}-account"), "name": format!("{MARK}-token")})),
    ] {
        let answer = admin.post(&format!("/v1/tenants/beta/{plural}"), &body).expect(201);
        made.insert(plural, answer.json["id"].as_str().expect("an id").to_owned());
    }
    made
}

#[test]
fn s33_a_tenant_admin_reaches_nothing_of_another_tenant() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "alpha"})).is(201);
    let of_beta = furnish(&admin);
    let tenant_id = admin.get("/v1/tenants/beta").expect(200).json["id"].as_str().expect("an id").to_owned();
    let alpha = account(&process, &admin, "alpha", "tenant-admin").token();
    let export = || admin.get("/v1/export?tenant=beta").expect(200).json;
    let before = export();
    assert!(before.to_string().contains(MARK));
    let mut asked = 0;
    for operation in operations(&process) {
        if operation.is_public {
            continue;
        }
        let is_own = operation.permission.as_deref() == Some("account");
        if is_own || !operation.path.contains('{') {
            // What is read without a tenant is the caller's own.
            if operation.method == "GET" {
                let answer = operation.call(&process, &operation.at("beta", "beta"), Some(&alpha));
                assert!(!answer.text().contains(MARK), "{} shows: {}", operation.path, answer.text());
            }
            continue;
        }
        let plural = operation.path.split('/').nth(4).unwrap_or_default();
        let ids: Vec<&str> = match of_beta.get(plural) {
            Some(id) => vec![id],
            None => of_beta.values().map(String::as_str).collect(),
        };
        for id in ids {
            for tenant in ["beta", &tenant_id, "alpha"] {
                let path = operation.at(tenant, id);
                if tenant == "alpha" && (!operation.is_of_tenant() || !path.contains(id)) {
                    continue;
                }
                let answer = operation.call(&process, &path, Some(&alpha));
                asked += 1;
                assert!(
                    matches!(answer.status, 403 | 404),
                    "{} {path}: {} {}",
                    operation.method,
                    answer.status,
                    answer.text()
                );
                assert!(!answer.text().contains(MARK), "{} {path} tells: {}", operation.method, answer.text());
            }
        }
    }
    assert!(asked > 200, "{asked} calls only");

    // STOA's paths name the tenant, or what belongs to it, in their bodies.
    let call = |path: &str, body: &Value| Call::post(&process.api_url(path)).bearer(&alpha).json(body).send();
    let policy = json!({"name": "p", "policy_type": "cors", "config": {"origins": ["*"]}});
    for tenant in ["beta", &tenant_id] {
        let mut policy = policy.clone();
        policy["tenant_id"] = json!(tenant);
        call("/v1/admin/policies", &policy).problem(403, "forbidden");
        let binding = json!({"policy_id": of_beta["policies"], "api_catalog_id": of_beta["apis"], "tenant_id": tenant});
        call("/v1/admin/policies/bindings", &binding).problem(403, "forbidden");
        let subscription = json!({"consumer_id": of_beta["consumers"], "api_id": of_beta["apis"], "tenant_id": tenant});
        call("/v1/subscriptions", &subscription).problem(403, "forbidden");
        call(&format!("/v1/consumers/{tenant}"), &json!({"external_id": "x", "name": "x", "email": "x@example.com"}))
            .problem(403, "forbidden");
    }
    // In one's own tenant, the other's ids name nothing.
    let subscription = json!({"consumer_id": of_beta["consumers"], "api_id": of_beta["apis"], "tenant_id": "alpha"});
    let refused = call("/v1/subscriptions", &subscription).refused(422);
    assert!(!refused.text().contains(MARK), "{}", refused.text());
    for (plural, body) in [
        ("bindings", json!({"policy_id": of_beta["policies"]})),
        ("credentials", json!({"consumer_id": of_beta["consumers"]})),
        ("api-tokens", json!({"service_account_id": of_beta["service-accounts"]})),
        ("api-tokens", json!({"user_id": of_beta["users"], "scopes": ["api:read"]})),
        ("service-accounts", json!({"name": "x", "roles": [of_beta["roles"]]})),
        ("users", json!({"name": "x", "email": "x@example.com", "roles": [of_beta["roles"]]})),
    ] {
        let answer = call(&format!("/v1/tenants/alpha/{plural}"), &body).refused(422);
        assert!(!answer.text().contains(MARK), "{}", answer.text());
    }
    let manifest = json!({"apiVersion": "portunus.dev/v1", "kind": "Plan", "metadata": {"tenant": "beta", "name": "x"}, "spec": {}});
    let applied = call("/v1/apply", &json!({"manifests": [manifest]}));
    assert!(matches!(applied.status, 403 | 404), "{}", applied.text());
    assert_eq!(export(), before, "nothing of beta has changed");
}
