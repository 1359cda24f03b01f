//! Proxied routes that ask for an account of the control plane, by role.

use portunus_testkit::client::password;
use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::{Api, Call, Portunus, Upstream};
use serde_json::{Value, json};

use crate::portunus;

const SECRET: &str = "a-secret-for-the-test";

/// A service account with one role of the tenant `default`; gives its access token.
fn token(process: &Portunus, admin: &Api, name: &str, role: &str) -> String {
    let role_body = json!({"name": role, "permissions": ["api:read"]});
    let made = admin.post("/v1/tenants/default/roles", &role_body);
    assert!(matches!(made.status, 201 | 409), "{}", made.text());
    admin.create("service-accounts", &json!({"name": name, "roles": [role], "client_secret": SECRET}));
    Api::service_account(&process.api_url(""), name, SECRET).token()
}

/// An API that anybody with the right account may call.
fn guarded(admin: &Api, upstream: &Upstream, config: &Value) -> Value {
    let api = admin.create_public_api("rack", &upstream.url());
    admin.policy_on(&api, "authorize", config);
    api
}

#[test]
fn r11_a_route_asks_for_an_account_and_a_role() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    guarded(&admin, &upstream, &json!({"roles": ["deployer", "ops"], "forward_identity": true}));
    let (ops, other) = (token(&process, &admin, "bot", "ops"), token(&process, &admin, "else", "reader"));

    let refused = process.get("/rack/apps").send().problem(401, "missing_identity");
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"rack\"");
    let refused = process.get("/rack/apps").bearer("rubbish").send().problem(401, "invalid_identity");
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
    let refused = process.get("/rack/apps").bearer(&other).send().problem(403, "role_required");
    assert!(refused.text().contains("deployer, ops"), "{}", refused.text());
    assert_eq!(upstream.count(), 0, "nothing of this reached the upstream");

    let forged = process.get("/rack/apps").bearer(&ops).header("X-Portunus-Account", "user:root");
    forged.header("X-Portunus-Roles", "platform-admin").send().is(200);
    let seen = upstream.last();
    assert_eq!(seen.header("x-portunus-account").as_deref(), Some("service-account:bot"));
    assert_eq!(seen.header("x-portunus-roles").as_deref(), Some("ops"));
    assert_eq!(seen.header("authorization"), None, "the credential goes no further");

    use base64::Engine;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("convox:{ops}"));
    process.get("/rack/apps").header("Authorization", &format!("Basic {basic}")).send().is(200);
    process.get("/rack/apps").header("X-Admin-Key", &ops).send().is(200);
    let seen = upstream.last();
    assert_eq!((seen.header("authorization"), seen.header("x-admin-key")), (None, None));

    let line = process.wait_log(std::time::Duration::from_secs(5), |line| line["account"] == "service-account:else");
    assert_eq!((&line["status"], &line["reason"]), (&json!(403), &json!("role_required")));
    process.wait_log(std::time::Duration::from_secs(5), |line| {
        line["message"] == "auth_failed" && line["reason"] == "missing_identity"
    });
}

#[test]
fn r11_rights_that_are_taken_away_are_gone_with_the_next_call() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    guarded(&admin, &upstream, &json!({"roles": ["ops"]}));
    let ops = token(&process, &admin, "bot", "ops");
    process.get("/rack/x").bearer(&ops).send().is(200);
    admin.patch("/v1/tenants/default/service-accounts/bot", &json!({"roles": []})).is(200);
    process.get("/rack/x").bearer(&ops).send().problem(403, "role_required");
    admin.patch("/v1/tenants/default/service-accounts/bot", &json!({"roles": ["ops"], "status": "locked"})).is(200);
    process.get("/rack/x").bearer(&ops).send().problem(401, "invalid_identity");
}

#[test]
fn r11_accounts_of_other_tenants_and_roles_that_imitate_the_platforms_do_not_count() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "other"})).is(201);
    let stranger = admin.account("other", "stranger", &["*:*"]);
    let api = guarded(&admin, &upstream, &json!({}));
    process.get("/rack/x").bearer(&stranger.token()).send().problem(403, "role_required");
    let person = password(&process.api_url(""), "admin", ADMIN_PASSWORD).expect(200).json;
    let person = person["access_token"].as_str().expect("a token").to_owned();
    process.get("/rack/x").bearer(&person).send().is(200);

    let policy = admin.create_policy("admins", "authorize", &json!({"roles": ["platform-admin"]}));
    let low = json!({"priority": 1});
    admin.patch(&format!("/v1/tenants/default/policies/{}", policy["name"].as_str().expect("a name")), &low).is(200);
    admin.bind(&policy, &json!({"api_id": api["id"]}));
    let imitation = token(&process, &admin, "bot", "platform-admin");
    process.get("/rack/x").bearer(&imitation).send().problem(403, "role_required");
    process.get("/rack/x").bearer(&person).send().is(200);
}

#[test]
fn r11_fields_that_say_who_calls_never_come_from_clients() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    admin.create_public_api("open", &upstream.url());
    Call::get(&process.gw_url("/open/x")).header("X-Portunus-Account", "user:admin").send().is(200);
    assert_eq!(upstream.last().header("x-portunus-account"), None);
}

#[test]
fn r11_an_account_and_a_key_can_both_be_needed() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_api("rack", &upstream.url());
    admin.policy_on(&api, "authorize", &json!({"roles": ["ops"]}));
    let (key, ops) = (admin.subscribe("acme", &api), token(&process, &admin, "bot", "ops"));
    process.get("/rack/x").bearer(&ops).send().problem(401, "missing_api_key");
    process.get("/rack/x").key(&key).send().problem(401, "missing_identity");
    process.get("/rack/x").bearer(&ops).key(&key).send().is(200);
}

#[test]
fn r11_api_tokens_and_admin_keys_open_a_route_until_they_are_revoked() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    guarded(&admin, &upstream, &json!({"roles": ["ops"]}));
    token(&process, &admin, "bot", "ops");
    let made = admin.create("api-tokens", &json!({"service_account_id": "bot", "name": "pipeline"}));
    let text = made["token"].as_str().expect("the token is shown once");
    process.get("/rack/x").bearer(text).send().is(200);
    process.get("/rack/x").header("X-Admin-Key", text).send().is(200);
    admin.post_empty("/v1/tenants/default/api-tokens/pipeline/revoke").is(200);
    process.get("/rack/x").bearer(text).send().problem(401, "invalid_identity");
    process.get("/rack/x").header("X-Admin-Key", text).send().problem(401, "invalid_identity");
}
