//! Who may decide, and which calls rules reach.

use portunus_testkit::client::password;
use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::{Answer, Api, Call, Portunus};
use serde_json::json;

use super::{approve, asked, reject, rule, status};
use crate::portunus;

/// A call as the user `admin`.
fn as_admin(process: &Portunus, method: &str, path: &str, body: &serde_json::Value) -> Answer {
    let token = password(&process.api_url(""), "admin", ADMIN_PASSWORD).expect(200);
    let token = token.json["access_token"].as_str().expect("a token").to_owned();
    Call::new(method, &process.api_url(path)).bearer(&token).json(body).send()
}

#[test]
fn r14_the_requester_cannot_approve_by_any_means() {
    let process = portunus().start();
    let admin = process.api();
    rule(&admin, "consumers", &["consumer:write"], &json!({}));
    let path = "/v1/tenants/default/consumers";
    let id = asked(as_admin(&process, "POST", path, &json!({"name": "acme"})));
    let decide = format!("/v1/approvals/{id}/approve");
    let refused = as_admin(&process, "POST", &decide, &json!({})).problem(403, "forbidden");
    assert!(refused.text().contains("nobody decides about a request of their own"), "{}", refused.text());

    // A service account that the requester makes for the purpose is refused, too.
    let role = json!({"name": "approver", "permissions": ["approval:*"]});
    as_admin(&process, "POST", "/v1/tenants/default/roles", &role).is(201);
    let puppet = json!({"name": "puppet", "roles": ["approver"], "client_secret": "a-secret-of-the-puppet"});
    as_admin(&process, "POST", "/v1/tenants/default/service-accounts", &puppet).is(201);
    let puppet = Api::service_account(&process.api_url(""), "puppet", "a-secret-of-the-puppet");
    let refused = approve(&puppet, &id).problem(403, "forbidden");
    assert!(refused.text().contains("the requester made or changed this service account"), "{}", refused.text());

    approve(&admin, &id).is(200);
    as_admin(&process, "POST", path, &json!({"name": "acme"})).is(201);
}

#[test]
fn r14_two_approvals_come_from_two_accounts_with_the_right_role() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    let accounts = ["first", "second", "third"].map(|name| admin.account("default", name, &["approval:*"]));
    let [first, second, third] = &accounts;
    let roles = json!({"approvals": 2, "approver_roles": ["first-role", "second-role"]});
    rule(&admin, "two", &["consumer:write"], &roles);
    let call = || maker.post("/v1/tenants/default/consumers", &json!({"name": "acme"}));
    let id = asked(call());
    approve(third, &id).problem(403, "forbidden");
    approve(&maker, &id).problem(403, "forbidden");
    assert_eq!(approve(first, &id).expect(200).json["status"], "pending");
    approve(first, &id).problem(409, "conflict");
    reject(first, &id).problem(409, "conflict");
    assert_eq!(asked(call()), id, "one of two is not enough");
    assert_eq!(approve(second, &id).expect(200).json["status"], "approved");
    call().is(201);
}

#[test]
fn r14_rules_hold_for_manifests_dialects_and_themselves() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("platform", "maker", &["*:*"]);
    let platform = json!({"name": "all", "permissions": ["policy:*", "approval_rule:*"]});
    admin.post("/v1/tenants/platform/approval-rules", &platform).is(201);

    // The rule that guards itself: not even its maker can take it away alone.
    let id = asked(admin.delete("/v1/tenants/platform/approval-rules/all"));
    approve(&admin, &id).problem(403, "forbidden");

    let policy =
        json!({"name": "p", "policy_type": "timeout", "config": {"response_ms": 1000}, "tenant_id": "default"});
    let id = asked(maker.post("/v1/admin/policies", &policy));
    approve(&admin, &id).is(200);
    maker.post("/v1/admin/policies", &policy).is(201);

    let manifests = json!({"manifests": [
        {"apiVersion": "portunus.dev/v1", "kind": "Consumer", "metadata": {"tenant": "default", "name": "c"}, "spec": {}},
        {"apiVersion": "portunus.dev/v1", "kind": "Policy", "metadata": {"tenant": "default", "name": "q"},
         "spec": {"policy_type": "timeout", "config": {"response_ms": 1000}}},
    ]});
    maker.post("/v1/apply?dry_run=true", &manifests).is(200);
    let id = asked(maker.post("/v1/apply", &manifests));
    maker.get("/v1/tenants/default/consumers/c").problem(404, "not_found");
    approve(&admin, &id).is(200);
    maker.post("/v1/apply", &manifests).is(200);
    assert_eq!(status(&admin, &id), "used");
    // What changes nothing needs nothing.
    maker.post("/v1/apply", &manifests).is(200);

    // A deletion takes along what falls under the rule.
    let binding = json!({"policy_id": "q", "consumer_id": "c"});
    let id = asked(maker.post("/v1/tenants/default/bindings", &binding));
    approve(&admin, &id).is(200);
    maker.post("/v1/tenants/default/bindings", &binding).is(201);
    asked(maker.delete("/v1/tenants/default/consumers/c?cascade=true"));
}

#[test]
fn r14_tenants_decide_about_their_own_requests_only() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "other"})).is(201);
    let stranger = admin.account("other", "stranger", &["*:*"]);
    let maker = admin.account("default", "maker", &["consumer:*"]);
    rule(&admin, "consumers", &["consumer:*"], &json!({}));
    stranger.post("/v1/tenants/other/consumers", &json!({"name": "theirs"})).is(201);
    let id = asked(maker.post("/v1/tenants/default/consumers", &json!({"name": "acme"})));
    approve(&stranger, &id).problem(404, "not_found");
    stranger.get(&format!("/v1/approvals/{id}")).problem(404, "not_found");
    assert_eq!(stranger.get("/v1/approvals").expect(200).json["items"], json!([]));
    stranger.get("/v1/approvals?tenant=default").problem(403, "forbidden");
    for path in ["/v1/approvals?status=open", "/v1/approvals?limit=0", "/v1/approvals?before=x", "/v1/approvals?page=1"]
    {
        admin.get(path).problem(400, "bad_request");
    }
    approve(&admin, "x").problem(404, "not_found");
    admin.post(&format!("/v1/approvals/{id}/approve"), &json!({"note": 1})).problem(422, "invalid");
    admin.post(&format!("/v1/approvals/{id}/approve"), &json!({"comment": 7})).problem(422, "invalid");
}

#[test]
fn r14_rules_that_make_no_sense_are_refused() {
    let process = portunus().start();
    let admin = process.api();
    let post = |body: serde_json::Value| admin.post("/v1/tenants/default/approval-rules", &body);
    for (body, path) in [
        (json!({"name": "r", "permissions": ["approval:write"]}), "/permissions/0"),
        (json!({"name": "r", "permissions": ["api:read"]}), "/permissions/0"),
        (json!({"name": "r", "permissions": ["apis"]}), "/permissions/0"),
        (json!({"name": "r", "permissions": []}), "/permissions"),
        (json!({"name": "r", "permissions": ["*:*"], "approvals": 0}), "/approvals"),
        (json!({"name": "r", "permissions": ["*:*"], "approver_roles": ["nobody"]}), "/approver_roles/0"),
        (json!({"name": "r", "permissions": ["*:*"], "webhooks": ["http://169.254.169.254/"]}), "/webhooks/0"),
    ] {
        let refused = post(body).problem(422, "invalid");
        assert_eq!(refused.fault_paths(), [path], "{}", refused.text());
    }
}

#[test]
fn r14_the_command_line_lists_shows_and_decides() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    rule(&admin, "consumers", &["consumer:*"], &json!({}));
    let call = maker.call("POST", "/v1/tenants/default/consumers").header("X-Approval-Reason", "ticket 7");
    let id = asked(call.json(&json!({"name": "acme"})).send());
    let list = process.cli(&["approvals", "list", "--status", "pending"]).output();
    assert_eq!(list.code, Some(0), "{}", list.stderr);
    assert!(list.stdout.contains(&id) && list.stdout.contains("POST /v1/tenants/default/consumers"), "{}", list.stdout);
    let shown = process.cli(&["approvals", "show", &id]).output();
    assert!(shown.stdout.contains("ticket 7"), "{}", shown.stdout);
    let approved = process.cli(&["approvals", "approve", &id, "--comment", "fine", "-o", "json"]).output();
    assert!(approved.stdout.contains("\"status\": \"approved\""), "{}{}", approved.stdout, approved.stderr);
    let again = process.cli(&["approvals", "reject", &id]).output();
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("approved already"), "{}", again.stderr);
}

#[test]
fn r13_api_tokens_get_around_no_approval() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*", "approval:*", "api_token:*"]);
    rule(&admin, "consumers", &["consumer:write"], &json!({}));
    let token = maker.post("/v1/me/tokens", &json!({})).expect(201).json;
    let token = token["token"].as_str().expect("the token is shown once").to_owned();
    let with = |method: &str, path: &str, body: &serde_json::Value| {
        Call::new(method, &process.api_url(path)).bearer(&token).json(body).send()
    };
    let body = json!({"name": "acme"});
    let id = asked(with("POST", "/v1/tenants/default/consumers", &body));
    let refused = with("POST", &format!("/v1/approvals/{id}/approve"), &json!({})).problem(403, "forbidden");
    assert!(refused.text().contains("a request of their own"), "{}", refused.text());
    approve(&maker, &id).problem(403, "forbidden");
    approve(&admin, &id).is(200);
    // A token of somebody else that the requester made is no somebody else.
    let robot = admin.account("default", "robot", &["approval:*"]);
    let forged = maker
        .post("/v1/tenants/default/api-tokens", &json!({"service_account_id": "robot", "scopes": ["approval:write"]}))
        .expect(201)
        .json;
    let forged = forged["token"].as_str().expect("the token is shown once");
    let decide = process.api_url(&format!("/v1/approvals/{id}/approve"));
    let refused = Call::post(&decide).bearer(forged).send().problem(403, "forbidden");
    assert!(refused.text().contains("or its token"), "{}", refused.text());
    drop(robot);
    // The account is what counts: the same call with another of its credentials is the same call.
    maker.post("/v1/tenants/default/consumers", &body).is(201);
    assert_eq!(status(&admin, &id), "used");
}
