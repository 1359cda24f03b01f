//! API tokens: what they carry, when they end, and what an attacker tries with one.

use std::time::Duration;

use portunus_testkit::Portunus;
use portunus_testkit::call::{Answer, Call};
use portunus_testkit::client::Api;
use portunus_testkit::poll::eventually;
use serde_json::{Value, json};

use crate::portunus;

/// A call with an API token.
fn with(process: &Portunus, token: &str, method: &str, path: &str) -> Call {
    Call::new(method, &process.api_url(path)).bearer(token)
}

fn get(process: &Portunus, token: &str, path: &str) -> Answer {
    with(process, token, "GET", path).send()
}

/// The text of a new token.
#[track_caller]
fn text(answer: &Value) -> String {
    answer["token"].as_str().expect("a token is shown once").to_owned()
}

/// A service account of `default` with these permissions, and a token of it.
fn token_of(admin: &Api, name: &str, permissions: &[&str], fields: &Value) -> Value {
    admin.account("default", name, permissions);
    let mut body = fields.clone();
    body["service_account_id"] = json!(name);
    body["name"] = json!(format!("{name}-token"));
    admin.create("api-tokens", &body)
}

const APIS: &str = "/v1/tenants/default/apis";

#[test]
fn r12_a_token_carries_no_more_than_its_scopes_and_its_owners_current_role() {
    let process = portunus().start();
    let admin = process.api();
    let narrow = token_of(&admin, "robot", &["api:*", "plan:*"], &json!({"scopes": ["api:read", "consumer:read"]}));
    let narrow_text = text(&narrow);
    assert!(narrow_text.starts_with("ptn_pat_") && narrow_text.len() == 46, "{narrow_text}");
    assert_eq!(narrow["prefix"], narrow_text[..12]);
    let wide = text(&admin.create("api-tokens", &json!({"service_account_id": "robot"})));

    get(&process, &narrow_text, APIS).is(200);
    with(&process, &narrow_text, "POST", APIS)
        .json(&json!({"name": "x", "base_path": "/x"}))
        .send()
        .problem(403, "forbidden");
    get(&process, &narrow_text, "/v1/tenants/default/plans").problem(403, "forbidden");
    // A scope that the owner has no right to gives none.
    get(&process, &narrow_text, "/v1/tenants/default/consumers").problem(403, "forbidden");
    get(&process, &wide, "/v1/tenants/default/plans").is(200);

    // The owner's role changes while the tokens are in use.
    admin.patch("/v1/tenants/default/roles/robot-role", &json!({"permissions": ["consumer:read"]})).is(200);
    get(&process, &narrow_text, APIS).problem(403, "forbidden");
    get(&process, &narrow_text, "/v1/tenants/default/consumers").is(200);
    get(&process, &wide, APIS).problem(403, "forbidden");
    admin.patch("/v1/tenants/default/service-accounts/robot", &json!({"roles": []})).is(200);
    get(&process, &wide, "/v1/tenants/default/consumers").problem(403, "forbidden");
}

#[test]
fn r12_a_token_ends_with_its_time_its_revocation_its_owners_lock_and_its_owner() {
    let process = portunus().start();
    let admin = process.api();
    let now = jiff::Timestamp::now();
    let soon = now + jiff::SignedDuration::from_secs(6);
    let timed = text(&token_of(&admin, "robot", &["*:read"], &json!({"expires_at": soon.to_string()})));
    let revoked = admin.create("api-tokens", &json!({"service_account_id": "robot"}));
    let kept = text(&admin.create("api-tokens", &json!({"service_account_id": "robot"})));
    get(&process, &timed, APIS).is(200);
    get(&process, &text(&revoked), APIS).is(200);

    let id = revoked["id"].as_str().unwrap();
    admin.post_empty(&format!("/v1/tenants/default/api-tokens/{id}/revoke")).is(200);
    let refused = get(&process, &text(&revoked), APIS).problem(401, "unauthorized");
    assert!(refused.header("www-authenticate").contains("invalid_token"));
    let revived = admin.patch(&format!("/v1/tenants/default/api-tokens/{id}"), &json!({"status": "active"}));
    assert_eq!(revived.problem(422, "invalid").fault_paths(), ["/status"]);

    eventually(Duration::from_secs(20), "the token expires", || {
        (get(&process, &timed, APIS).status == 401).then_some(())
    });
    get(&process, &timed, APIS).problem(401, "unauthorized");

    get(&process, &kept, APIS).is(200);
    let account = "/v1/tenants/default/service-accounts/robot";
    admin.patch(account, &json!({"status": "locked"})).is(200);
    get(&process, &kept, APIS).problem(401, "unauthorized");
    admin.patch(account, &json!({"status": "active"})).is(200);
    get(&process, &kept, APIS).is(200);
    let gone = admin.delete(account).expect(200).json;
    assert_eq!(gone["deleted"].as_array().unwrap().iter().filter(|one| one["kind"] == "ApiToken").count(), 3, "{gone}");
    get(&process, &kept, APIS).problem(401, "unauthorized");
}

#[test]
fn r12_nobody_makes_a_token_that_carries_more_than_they_have() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["api_token:*", "api:*", "service_account:read"]);
    admin.account("default", "boss", &["*:*"]);
    let tokens = "/v1/tenants/default/api-tokens";
    for scopes in [json!(["*:*"]), json!(["plan:read"]), json!(["api:read", "role:write"]), Value::Null] {
        let body = json!({"service_account_id": "boss", "scopes": scopes});
        maker.post(tokens, &body).problem(403, "forbidden");
    }
    let within = maker.post(tokens, &json!({"service_account_id": "boss", "scopes": ["api:read"]})).expect(201).json;
    let path = format!("{tokens}/{}", within["id"].as_str().unwrap());
    for wider in [json!({"scopes": ["*:*"]}), json!({"scopes": null}), json!({"scopes": ["user:write"]})] {
        maker.patch(&path, &wider).problem(403, "forbidden");
    }
    // Nor does rotation hand over a token of somebody with more rights.
    let bosses = admin.create("api-tokens", &json!({"service_account_id": "boss", "name": "bosses"}));
    maker.post_empty(&format!("{tokens}/bosses/rotate")).problem(403, "forbidden");
    get(&process, &text(&bosses), APIS).is(200);

    // With a scoped token of one's own, nothing wider can be made.
    let own = maker.post("/v1/me/tokens", &json!({"scopes": ["api_token:*", "api:read"]})).expect(201).json;
    let own = text(&own);
    let mine = |body: &Value| with(&process, &own, "POST", "/v1/me/tokens").json(body).send();
    for scopes in [json!(["api:write"]), json!(["api:*"]), json!(["*:*"])] {
        mine(&json!({"scopes": scopes})).problem(403, "forbidden");
        let body = json!({"service_account_id": "maker", "scopes": scopes});
        with(&process, &own, "POST", tokens).json(&body).send().problem(403, "forbidden");
    }
    with(&process, &own, "POST", tokens).json(&json!({"service_account_id": "maker"})).send().problem(403, "forbidden");
    let inherited = mine(&json!({})).expect(201).json;
    assert_eq!(inherited["scopes"], json!(["api_token:*", "api:read"]));
}

#[test]
fn r12_what_is_made_with_a_token_does_not_outlive_it() {
    let process = portunus().start();
    let admin = process.api();
    let at = |hours: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).to_string();
    let parent = text(&token_of(&admin, "robot", &["*:*"], &json!({"expires_at": at(2)})));
    let make = |body: &Value| with(&process, &parent, "POST", "/v1/me/tokens").json(body).send();
    make(&json!({})).problem(403, "forbidden");
    make(&json!({"expires_at": at(3)})).problem(403, "forbidden");
    let child = make(&json!({"expires_at": at(1), "name": "child"})).expect(201).json;
    get(&process, &text(&child), APIS).is(200);
    let path = "/v1/tenants/default/api-tokens/child";
    for end in [Value::Null, json!(at(3))] {
        with(&process, &parent, "PATCH", path).json(&json!({"expires_at": end})).send().problem(403, "forbidden");
    }
    with(&process, &parent, "PATCH", path).json(&json!({"description": "mine"})).send().is(200);
    // A token that lives longer cannot be taken over by rotation.
    admin.create("api-tokens", &json!({"service_account_id": "robot", "name": "long"}));
    with(&process, &parent, "POST", "/v1/tenants/default/api-tokens/long/rotate").send().problem(403, "forbidden");
}

#[test]
fn r12_protected_fields_of_a_token_cannot_be_sent() {
    let process = portunus().start();
    let admin = process.api();
    let token = token_of(&admin, "robot", &["*:read"], &json!({}));
    admin.account("default", "boss", &["*:*"]);
    let path = format!("/v1/tenants/default/api-tokens/{}", token["id"].as_str().unwrap());
    let hash = "0".repeat(64);
    let nil = "00000000-0000-0000-0000-000000000000";
    for (field, value) in [
        ("token_sha256", json!(hash)),
        ("previous_sha256", json!(hash)),
        ("id", json!(nil)),
        ("tenant_id", json!(nil)),
        ("service_account_id", json!("boss")),
        ("user_id", json!("admin")),
    ] {
        let answer = admin.patch(&path, &json!({ field: value })).refused(422);
        assert!(answer.fault_paths().iter().any(|path| path.ends_with(field)), "{field}: {}", answer.text());
    }
    let body = json!({"service_account_id": "robot", "token_sha256": hash});
    admin.post("/v1/tenants/default/api-tokens", &body).is(422);
    for field in ["user_id", "service_account_id", "token", "token_sha256", "status", "prefix", "tenant_id"] {
        let answer = admin.post("/v1/me/tokens", &json!({ field: "x" })).problem(422, "invalid");
        assert_eq!(answer.fault_paths(), [format!("/{field}")]);
    }
    // The prefix is Portunus's own, whatever is sent.
    let patched = admin.patch(&path, &json!({"prefix": "ptn_pat_mine"})).expect(200).json;
    assert_eq!(patched["prefix"], token["prefix"]);
    // What was read can be sent back whole.
    let read = admin.get(&path).expect(200).json;
    assert!(read.get("token").is_none() && read.get("token_sha256").is_none(), "{read}");
    admin.put(&path, &read).is(200);
    get(&process, &text(&token), APIS).is(200);
}

#[test]
fn r12_a_token_works_in_its_headers_only() {
    let process = portunus().start();
    let admin = process.api();
    let token = text(&token_of(&admin, "robot", &["*:read"], &json!({})));
    Call::get(&process.api_url(APIS)).header("X-Admin-Key", &token).send().is(200);
    for query in ["access_token", "token", "api_key", "x-admin-key", "key"] {
        Call::get(&process.api_url(&format!("{APIS}?{query}={token}"))).send().problem(401, "unauthorized");
    }
    Call::get(&process.api_url(APIS)).key(&token).send().problem(401, "unauthorized");
    Call::get(&process.api_url(APIS)).header("Cookie", &format!("token={token}")).send().problem(401, "unauthorized");
    let mut mistyped = token.clone();
    mistyped.replace_range(20..21, if &token[20..21] == "a" { "b" } else { "a" });
    for wrong in [mistyped.as_str(), &token[..45], "ptn_pat_", "ptn_pat_x", ""] {
        get(&process, wrong, APIS).problem(401, "unauthorized");
        Call::get(&process.api_url(APIS)).header("X-Admin-Key", wrong).send().problem(401, "unauthorized");
    }
}

#[test]
fn r07_a_rotated_token_works_until_its_grace_is_over() {
    let process = portunus().start();
    let admin = process.api();
    let first = text(&token_of(&admin, "robot", &["*:read"], &json!({})));
    let rotate = "/v1/tenants/default/api-tokens/robot-token/rotate";
    let second = admin.post(rotate, &json!({"grace_period_hours": 1})).expect(201).json;
    assert!(second["previous_expires_at"].as_str().is_some_and(|end| end > second["updated_at"].as_str().unwrap()));
    let second = text(&second);
    for token in [&first, &second] {
        get(&process, token, APIS).is(200);
    }
    let third = text(&admin.post(rotate, &json!({})).expect(201).json);
    for token in [&first, &second] {
        get(&process, token, APIS).problem(401, "unauthorized");
    }
    get(&process, &third, APIS).is(200);
    for grace in [json!(721), json!(-1), json!("x")] {
        admin.post(rotate, &json!({"grace_period_hours": grace})).is(422);
    }
    // The owner does the same without any permission.
    let own = Call::post(&process.api_url("/v1/me/tokens/robot-token/rotate")).bearer(&third).send().expect(201).json;
    get(&process, &third, APIS).problem(401, "unauthorized");
    get(&process, &text(&own), APIS).is(200);
}

#[test]
fn r10_ones_own_tokens_are_listed_and_deleted_and_nobody_elses() {
    let process = portunus().start();
    let admin = process.api();
    let one = admin.account("default", "one", &["api:read"]);
    let other = admin.account("default", "other", &["api:read"]);
    let made = one.post("/v1/me/tokens", &json!({"name": "laptop"})).expect(201).json;
    let id = made["id"].as_str().unwrap();
    let list = one.get("/v1/me/tokens").expect(200).json;
    assert_eq!((list["total"].as_u64(), &list["items"][0]["name"]), (Some(1), &json!("laptop")));
    assert!(list["items"][0].get("token").is_none() && list["items"][0]["last_used_at"].is_null(), "{list}");
    assert_eq!(other.get("/v1/me/tokens").expect(200).json["total"], 0);
    for path in [format!("/v1/me/tokens/{id}"), "/v1/me/tokens/laptop".to_owned()] {
        other.get(&path).problem(404, "not_found");
        other.delete(&path).problem(404, "not_found");
        other.post_empty(&format!("{path}/rotate")).problem(404, "not_found");
    }
    get(&process, &text(&made), "/v1/me/tokens/laptop").is(200);
    let all = admin.get("/v1/tenants/default/api-tokens").expect(200).json;
    assert!(all["items"][0]["last_used_at"].is_string(), "{all}");
    one.delete("/v1/me/tokens/laptop").is(200);
    get(&process, &text(&made), APIS).problem(401, "unauthorized");
    Call::get(&process.api_url("/v1/me/tokens")).send().problem(401, "unauthorized");
}

#[test]
fn r12_the_last_use_survives_a_restart() {
    let mut process = portunus().start();
    let admin = process.api();
    let token = token_of(&admin, "robot", &["*:read"], &json!({}));
    let path = format!("/v1/tenants/default/api-tokens/{}", token["id"].as_str().unwrap());
    assert!(admin.get(&path).expect(200).json["last_used_at"].is_null());
    get(&process, &text(&token), APIS).is(200);
    let used = admin.get(&path).expect(200).json["last_used_at"].clone();
    assert!(used.is_string());
    process.terminate();
    process.wait(Duration::from_secs(20)).expect("it stops");
    let process = portunus().data(process.home()).start();
    assert_eq!(process.api().get(&path).expect(200).json["last_used_at"], used);
}
