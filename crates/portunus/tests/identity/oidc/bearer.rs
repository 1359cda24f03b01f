//! Calls with the access tokens of a provider outside.

use std::time::Duration;

use portunus_testkit::client::client_credentials;
use portunus_testkit::gateway::CLIENT_SECRET;
use portunus_testkit::{Answer, Call, eventually};
use serde_json::{Value, json};

use super::{AUDIENCE, Outside, ours, whoami};
use crate::portunus;

fn machine_token(outside: &Outside) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "api"),
        ("client_id", "machine"),
        ("client_secret", "a-secret-of-the-machine"),
    ];
    let answer = Call::post(&format!("{}/token", outside.issuer)).form(&form).send().expect(200);
    answer.json["access_token"].as_str().expect("a token").to_owned()
}

#[test]
fn s29_a_token_of_the_provider_in_the_settings_is_accepted_the_same_way() {
    let outside = Outside::start();
    let process = portunus().env("OIDC_ISSUER", &outside.issuer).env("OIDC_AUDIENCE", AUDIENCE).start();
    let token = machine_token(&outside);
    Call::get(&process.api_url("/v1/tenants")).bearer(&token).send().is(200);
    let known = process.api().get("/v1/tenants/platform/identity-providers/settings").expect(200).json;
    assert_eq!((&known["issuer"], &known["audience"]), (&json!(outside.issuer), &json!(AUDIENCE)));
    // Its own tokens are still good, and without the setting the provider is out of use.
    client_credentials(&process.api_url(""), "control-plane-api", CLIENT_SECRET).is(200);
    let data = process.home().clone();
    process.stop();
    let process = portunus().data(&data).start();
    whoami(&process, &token).problem(401, "unauthorized");
}

#[test]
fn claims_give_roles_by_rule_and_a_call_needs_no_user() {
    let outside = Outside::start();
    let process = ours().start();
    outside.connect(&process, &json!({}));
    let admin = outside.sign(&json!({"claims": {"realm_access": {"roles": ["cpi-admin"]}}}));
    let me = whoami(&process, &admin).expect(200).json;
    assert_eq!((&me["name"], &me["everywhere"]), (&json!("outside:ada"), &json!(true)));
    let tenants = |token: &str| Call::get(&process.api_url("/v1/tenants")).bearer(token).send().status;
    let apis = |token: &str, tenant: &str| {
        Call::get(&process.api_url(&format!("/v1/tenants/{tenant}/apis"))).bearer(token).send().status
    };
    assert_eq!(tenants(&admin), 200);
    let developer = outside.sign(&json!({"claims": {"groups": ["developers"]}}));
    assert_eq!((apis(&developer, "default"), apis(&developer, "platform")), (200, 403));
    let nobody = outside.sign(&json!({"claims": {"groups": ["others"]}}));
    assert_eq!(apis(&nobody, "default"), 403);
    assert_eq!(process.api().get("/v1/tenants/default/users").expect(200).json["total"], 0, "no user is made");
    // The same person is always the same account.
    let again = outside.sign(&json!({"claims": {"realm_access": {"roles": ["cpi-admin"]}}}));
    assert_eq!(whoami(&process, &again).expect(200).json["id"], me["id"]);
    // A change of the rules holds from the next call on.
    process.api().patch("/v1/tenants/platform/identity-providers/outside", &json!({"rules": []})).is(200);
    assert_eq!(tenants(&admin), 403);
    process.api().patch("/v1/tenants/platform/identity-providers/outside", &json!({"enabled": false})).is(200);
    assert_eq!(tenants(&admin), 401);
}

#[test]
fn forged_and_foreign_tokens_are_refused() {
    let outside = Outside::start();
    let process = ours().start();
    outside.connect(&process, &json!({}));
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("a date");
    let roles = json!({"roles": ["cpi-admin"]});
    let with = |claims: Value| {
        let mut all = json!({"realm_access": roles});
        for (name, value) in claims.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        outside.sign(&json!({"claims": all}))
    };
    whoami(&process, &with(json!({}))).is(200);
    whoami(&process, &with(json!({"aud": ["x", AUDIENCE]}))).is(200);
    let how = |how: &str| outside.sign(&json!({"how": how, "claims": {"realm_access": roles}}));
    let head = |header: Value| outside.sign(&json!({"header": header, "claims": {"realm_access": roles}}));
    let good = with(json!({}));
    let (rest, signature) = good.rsplit_once('.').expect("a signature");
    for (what, token) in [
        ("another audience", with(json!({"aud": "another"}))),
        ("no audience", with(json!({"aud": null}))),
        ("an ID token's audience", with(json!({"aud": "portunus"}))),
        ("another issuer", with(json!({"iss": "https://elsewhere.example"}))),
        ("an issuer with a slash more", with(json!({"iss": format!("{}/", outside.issuer)}))),
        ("our own issuer", with(json!({"iss": "http://portunus.test/realms/portunus"}))),
        ("expired", with(json!({"exp": now - 120}))),
        ("no end", with(json!({"exp": null}))),
        ("not yet valid", with(json!({"nbf": now + 120}))),
        ("no subject", with(json!({"sub": null}))),
        ("a Keycloak's refresh token", with(json!({"typ": "Refresh"}))),
        ("alg none", how("none")),
        ("HS256 with the public key as secret", how("confused")),
        ("an unknown key", how("unknown")),
        ("another algorithm of the same family", head(json!({"alg": "PS256"}))),
        ("a logout token", head(json!({"typ": "logout+jwt"}))),
        ("a critical header", head(json!({"crit": ["x"], "x": 1}))),
        ("another signature", format!("{rest}.{}", signature.chars().rev().collect::<String>())),
        ("no signature", format!("{rest}.")),
    ] {
        let answer = whoami(&process, &token);
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    }
    // A little past its end, clocks may differ.
    whoami(&process, &with(json!({"exp": now - 5}))).is(200);
}

#[test]
fn keys_of_the_provider_change_and_it_may_be_away() {
    let outside = Outside::start();
    let process = ours().start();
    outside.connect(&process, &json!({}));
    let sign = || outside.sign(&json!({"claims": {"groups": ["developers"]}}));
    let first = sign();
    whoami(&process, &first).is(200);
    // Without a pause in between, an unknown key is no reason to ask again.
    for _ in 0..5 {
        whoami(&process, &outside.sign(&json!({"how": "unknown"}))).is(401);
    }
    assert_eq!(outside.ask("fetches", &json!({})), "1");
    outside.ask("down", &json!({"down": true}));
    whoami(&process, &first).is(200);
    outside.ask("down", &json!({"down": false}));
    // Each algorithm, with a process that has not asked yet.
    for alg in ["ES256", "PS256", "EdDSA"] {
        outside.ask("rotate", &json!({"alg": alg}));
        let process = ours().start();
        outside.connect(&process, &json!({}));
        whoami(&process, &sign()).is(200);
        whoami(&process, &first).is(401);
    }
    outside.ask("down", &json!({"down": true}));
    let process = ours().start();
    outside.connect(&process, &json!({}));
    let answer = whoami(&process, &first).problem(401, "unauthorized");
    assert!(answer.text().contains("cannot be reached"), "{}", answer.text());
    outside.ask("down", &json!({"down": false}));
    let token = sign();
    eventually(Duration::from_secs(20), "the provider to be asked again", || {
        (whoami(&process, &token).status == 200).then_some(())
    });
}

#[test]
fn a_locked_user_does_not_come_back_from_outside() {
    let outside = Outside::start();
    let process = ours().start();
    let admin = process.api();
    outside.connect(&process, &json!({"provision": true}));
    let token = || {
        outside.sign(&json!({"claims": {"groups": ["developers"], "email": "ada@example.com", "email_verified": true}}))
    };
    let me = whoami(&process, &token()).expect(200).json;
    let user = admin.get("/v1/tenants/default/users/ada").expect(200).json;
    assert_eq!((&me["id"], &user["email"]), (&user["id"], &json!("ada@example.com")));
    // Roles follow the claims.
    let both = json!({"claims": {"groups": ["developers", "readers"]}});
    let rules = json!({"rules": [
        {"claim": "groups", "contains": "developers", "roles": ["developer"], "tenant": "default"},
        {"claim": "groups", "contains": "readers", "roles": ["viewer"], "tenant": "default"},
    ]});
    admin.patch("/v1/tenants/platform/identity-providers/outside", &rules).is(200);
    whoami(&process, &outside.sign(&both)).is(200);
    let roles = |answer: Answer| answer.expect(200).json["roles"].as_array().map(Vec::len);
    assert_eq!(roles(admin.get("/v1/tenants/default/users/ada")), Some(2));
    admin.patch("/v1/tenants/default/users/ada", &json!({"status": "locked"})).is(200);
    whoami(&process, &token()).is(401);
    // Nor as a guest under the name of somebody who is locked.
    admin.patch("/v1/tenants/platform/identity-providers/outside", &json!({"provision": false})).is(200);
    whoami(&process, &token()).is(401);
    let other = json!({"claims": {"sub": "another", "groups": ["developers"]}});
    whoami(&process, &outside.sign(&other)).is(401);
    // Nor does a guest become a local user of the same name.
    admin.patch("/v1/tenants/default/users/ada", &json!({"status": "active"})).is(200);
    let guest = whoami(&process, &outside.sign(&other)).expect(200).json;
    assert_ne!(guest["id"], user["id"]);
}

#[test]
fn nobody_sets_up_a_provider_that_gives_more_than_they_have() {
    let outside = Outside::start();
    let process = ours().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "acme"})).is(201);
    let owner = admin.account("acme", "owner", &["identity_provider:*", "api:read", "policy:read"]);
    let path = "/v1/tenants/acme/identity-providers";
    let rules = |role: &str| json!({"rules": [{"claim": "sub", "equals": "ada", "roles": [role]}]});
    owner.post(path, &outside.fields(&rules("platform-admin"))).problem(403, "forbidden");
    owner.post(path, &outside.fields(&json!({"rules": [], "known_roles": true}))).problem(403, "forbidden");
    let elsewhere = json!({"rules": [{"claim": "sub", "equals": "ada", "roles": ["viewer"], "tenant": "default"}]});
    owner.post(path, &outside.fields(&elsewhere)).problem(422, "invalid");
    owner.post(path, &outside.fields(&rules("no-such-role"))).problem(422, "invalid");
    admin.post("/v1/tenants/acme/roles", &json!({"name": "reader", "permissions": ["api:read"]})).is(201);
    owner.post(path, &outside.fields(&rules("reader"))).is(201);
    let token = outside.sign(&json!({}));
    let apis =
        |tenant: &str| Call::get(&process.api_url(&format!("/v1/tenants/{tenant}/apis"))).bearer(&token).send().status;
    assert_eq!((apis("acme"), apis("default")), (200, 403));
    // The secret is sealed, shown as a mark, and not sent to an issuer that somebody else chooses.
    let shown = admin.get(&format!("{path}/outside")).expect(200);
    assert!(!shown.text().contains("a-secret-of-the-test"), "{}", shown.text());
    let moved = json!({"issuer": "https://elsewhere.example"});
    owner.patch(&format!("{path}/outside"), &moved).problem(422, "invalid");
}
