//! Portunus as an OpenID provider: description, keys, tokens, introspection, revocation.

use std::fs::OpenOptions;
use std::io::Write;

use portunus_testkit::client::{client_credentials, password};
use portunus_testkit::gateway::{ADMIN_PASSWORD, CLIENT_SECRET, new_data};
use portunus_testkit::{Api, Call, Portunus};

use serde_json::{Value, json};

use crate::portunus;

const CLIENT: &str = "control-plane-api";

/// The path of an endpoint of a realm.
pub fn endpoint(realm: &str, name: &str) -> String {
    format!("/realms/{realm}/protocol/openid-connect/{name}")
}

/// The parts of a token, head and claims, without looking at its signature.
pub fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let padded = format!("{}{}", part.replace('-', "+").replace('_', "/"), "=".repeat((4 - part.len() % 4) % 4));
        let run = portunus_testkit::command::Run::new("/usr/bin/base64").args(["-d"]).input(padded).output();
        serde_json::from_str(&run.stdout).unwrap_or(Value::Null)
    });
    let (head, claims) = (parts.next(), parts.next());
    (head.expect("a head"), claims.expect("claims"))
}

fn token(process: &Portunus) -> String {
    let answer = client_credentials(&process.api_url(""), CLIENT, CLIENT_SECRET).expect(200);
    answer.json["access_token"].as_str().expect("a token").to_owned()
}

fn status(process: &Portunus, token: &str) -> u16 {
    Call::get(&process.api_url("/v1/tenants")).bearer(token).send().status
}

fn post(process: &Portunus, path: &str, fields: &[(&str, &str)]) -> portunus_testkit::Answer {
    Call::post(&process.api_url(path)).form(fields).send()
}

fn introspect(process: &Portunus, token: &str) -> Value {
    let path = endpoint("portunus", "token/introspect");
    post(process, &path, &[("token", token), ("client_id", CLIENT), ("client_secret", CLIENT_SECRET)]).expect(200).json
}

#[test]
fn s04_readiness_is_up() {
    let process = portunus().start();
    let answer = Api::nobody(&process.api_url("")).get("/health/ready").expect(200);
    assert_eq!(answer.json, json!({"status": "UP"}));
}

#[test]
fn s29_a_token_is_for_the_realm_that_it_was_asked_from() {
    let process = portunus().start();
    let nobody = Api::nobody(&process.api_url(""));
    for realm in ["stoa", "portunus"] {
        let form = [("client_id", CLIENT), ("client_secret", CLIENT_SECRET), ("grant_type", "client_credentials")];
        let answer = post(&process, &endpoint(realm, "token"), &form).expect(200);
        assert_eq!(answer.json["expires_in"], 300);
        let token = answer.json["access_token"].as_str().expect("a token");
        assert_eq!(status(&process, token), 200);
        let about = nobody.get(&format!("/realms/{realm}/.well-known/openid-configuration")).expect(200).json;
        let (head, claims) = parts(token);
        assert_eq!(claims["iss"], about["issuer"]);
        assert_eq!(about["issuer"], json!(process.api_url(&format!("/realms/{realm}"))));
        assert_eq!((&head["alg"], &head["typ"]), (&json!("ES256"), &json!("at+jwt")));
        assert_eq!(claims["client_id"], CLIENT);
        assert_eq!(claims["roles"], json!(["platform-admin"]));
        let jwks =
            about["jwks_uri"].as_str().and_then(|uri| uri.strip_prefix(&process.api_url(""))).expect("an address");
        let keys = nobody.get(jwks).expect(200).json;
        assert!(keys["keys"].as_array().expect("keys").iter().any(|key| key["kid"] == head["kid"]), "{keys}");
        assert!(keys["keys"].as_array().expect("keys").iter().all(|key| key["d"].is_null()), "{keys}");
    }
    nobody.get("/realms/a.b/.well-known/openid-configuration").problem(404, "not_found");
}

#[test]
fn s29_a_token_ends_with_its_time() {
    let process = portunus().env("PORTUNUS_ACCESS_TOKEN_SECONDS", "1").start();
    let token = token(&process);
    let refused = portunus_testkit::eventually(std::time::Duration::from_secs(10), "the token's end", || {
        let answer = Call::get(&process.api_url("/v1/tenants")).bearer(&token).send();
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.problem(401, "unauthorized");
    assert!(refused.header("www-authenticate").contains("expired"), "{refused:?}");
    assert_eq!(introspect(&process, &token), json!({"active": false}));
}

#[test]
fn a_new_key_signs_and_the_one_before_stays_known() {
    let process = portunus().start();
    let admin = process.api();
    let before = token(&process);
    let new = admin.post_empty("/v1/realm/keys/rotate").expect(200).json;
    let after = token(&process);
    let (old_head, new_head) = (parts(&before).0, parts(&after).0);
    assert_eq!(new_head["kid"], new["kid"]);
    assert_ne!(old_head["kid"], new_head["kid"]);
    assert_eq!((status(&process, &before), status(&process, &after)), (200, 200));
    let keys = admin.get(&endpoint("stoa", "certs")).expect(200).json["keys"].clone();
    let kids: Vec<&Value> = keys.as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    assert_eq!(kids, [&new_head["kid"], &old_head["kid"]]);
    let viewer = admin.account("default", "viewer", &["*:read"]);
    viewer.post_empty("/v1/realm/keys/rotate").refused(403);
    // Within one tenant, `realm:write` is nothing: the keys are everybody's.
    admin.account("default", "owner", &["*:*"]).post_empty("/v1/realm/keys/rotate").refused(403);
}

#[test]
fn an_account_is_told_about_itself() {
    let process = portunus().start();
    let login = password(&process.api_url(""), "admin", ADMIN_PASSWORD).expect(200);
    let token = login.json["access_token"].as_str().expect("a token");
    let path = process.api_url(&endpoint("portunus", "userinfo"));
    for method in ["GET", "POST"] {
        let about = Call::new(method, &path).bearer(token).send().expect(200).json;
        assert_eq!(about["sub"], parts(token).1["sub"]);
        assert_eq!((&about["preferred_username"], &about["email"]), (&json!("admin"), &json!("admin@localhost")));
        assert_eq!(about["roles"], json!(["platform-admin"]));
    }
    Call::get(&path).send().problem(401, "unauthorized");
}

#[test]
fn introspection_tells_clients_what_they_may_know() {
    let process = portunus().start();
    let admin = process.api();
    let good = token(&process);
    let about = introspect(&process, &good);
    assert_eq!((&about["active"], &about["username"]), (&json!(true), &json!(CLIENT)));
    for no_token in ["", "x", "a.b.c", &format!("{good}x")] {
        assert_eq!(introspect(&process, no_token), json!({"active": false}));
    }
    let path = endpoint("portunus", "token/introspect");
    post(&process, &path, &[("token", &good)]).is(401);
    post(&process, &path, &[("token", &good), ("client_id", CLIENT), ("client_secret", "wrong")]).is(401);
    post(&process, &path, &[("token", &good), ("client_id", "portunus-cli")]).is(401);
    post(&process, &path, &[("client_id", CLIENT), ("client_secret", CLIENT_SECRET)]).is(400);
    // A client of one tenant learns nothing of accounts elsewhere.
    let made = admin.post("/v1/tenants/default/service-accounts", &json!({"name": "local"})).expect(201);
    let secret = made.json["client_secret"].as_str().expect("a secret");
    let as_local = |token: &str| {
        let form = [("token", token), ("client_id", "local"), ("client_secret", secret)];
        post(&process, &path, &form).expect(200).json["active"].clone()
    };
    assert_eq!(as_local(&good), false);
    let own = client_credentials(&process.api_url(""), "local", secret).expect(200).json["access_token"].clone();
    let own = own.as_str().expect("a token");
    assert_eq!(as_local(own), true);
    admin.patch("/v1/tenants/default/service-accounts/local", &json!({"status": "locked"})).is(200);
    assert_eq!(introspect(&process, own), json!({"active": false}));
}

#[test]
fn a_revoked_token_is_dead_at_once_and_after_a_restart() {
    let url = "http://portunus.test";
    let process = portunus().env("PORTUNUS_PUBLIC_URL", url).start();
    let (revoked, kept) = (token(&process), token(&process));
    let path = endpoint("portunus", "revoke");
    let with = |token: &str, client: &[(&str, &str)]| post(&process, &path, &[&[("token", token)], client].concat());
    let client = [("client_id", CLIENT), ("client_secret", CLIENT_SECRET)];
    with(&revoked, &[]).is(401);
    with(&revoked, &[("client_id", "portunus-cli")]).is(400);
    assert_eq!(status(&process, &revoked), 200, "nobody but its client takes a token back");
    with(&revoked, &client).is(200);
    with(&revoked, &client).is(200);
    with("no-token", &client).is(200);
    assert_eq!((status(&process, &revoked), status(&process, &kept)), (401, 200));
    assert_eq!(introspect(&process, &revoked), json!({"active": false}));
    let data = process.kill9();
    let process = portunus().env("PORTUNUS_PUBLIC_URL", url).data(&data).start();
    assert_eq!((status(&process, &revoked), status(&process, &kept)), (401, 200));
}

#[test]
fn d23_another_secret_ends_every_token() {
    let data = new_data();
    let start = |secret: &str| {
        let builder = portunus().data(&data).env("PORTUNUS_PUBLIC_URL", "http://portunus.test");
        builder.env("JWT_SECRET_KEY", secret).start()
    };
    let process = start("a first secret with 32 characters");
    let old = token(&process);
    let kid = parts(&old).0["kid"].clone();
    process.stop();
    let process = start("a first secret with 32 characters");
    assert_eq!(status(&process, &old), 200, "the same secret ends nothing");
    process.stop();
    let process = start("a second one, also long enough ...");
    assert_eq!(status(&process, &old), 401);
    let new = token(&process);
    assert_eq!(status(&process, &new), 200);
    assert_ne!(parts(&new).0["kid"], kid);
    let keys = process.api().get(&endpoint("portunus", "certs")).expect(200).json;
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_short_jwt_secret_is_refused() {
    for (env, secret) in [("development", "x".repeat(15)), ("production", "x".repeat(31))] {
        let output = portunus().env("ENV", env).env("JWT_SECRET_KEY", &secret).start_expecting_failure();
        assert_eq!(output.code, Some(78), "{}", output.stderr);
        assert!(output.stderr.contains("JWT_SECRET_KEY") && !output.stderr.contains(&secret), "{}", output.stderr);
    }
}

#[test]
fn s04_a_store_that_cannot_be_read_is_down() {
    let process = portunus().start();
    let nobody = Api::nobody(&process.api_url(""));
    nobody.get("/health/ready").is(200);
    let folder = process.home().path().join("data");
    // Not cut short: the process has one of them mapped into its memory.
    for name in ["portunus.db-wal", "portunus.db", "portunus.db-shm"] {
        let mut file = OpenOptions::new().write(true).open(folder.join(name)).expect("a file of the store");
        file.write_all(&[b'x'; 32 * 1024]).expect("the store's files can be spoilt");
    }
    let down = nobody.get("/health/ready").expect(503);
    assert_eq!(down.json, json!({"status": "DOWN"}));
}
