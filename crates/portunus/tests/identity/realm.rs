//! The realm as a document: out of one machine and into another.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use portunus_testkit::authenticator::App;
use portunus_testkit::client::{client_credentials, password};
use portunus_testkit::gateway::ADMIN_PASSWORD;
use portunus_testkit::{Answer, Api, Call, Portunus};
use serde_json::{Value, json};

use crate::oidc::sql;
use crate::portunus;

const PASSPHRASE: &str = "a passphrase for the tests";
const PUBLIC: &str = "http://portunus.test";

/// A process with one of everything that belongs to a realm.
fn furnished() -> (Portunus, Value, App) {
    let process = portunus().env("PORTUNUS_PUBLIC_URL", PUBLIC).start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "acme"})).is(201);
    let make = |plural: &str, body: &Value| admin.post(&format!("/v1/tenants/acme/{plural}"), body).expect(201).json;
    make("roles", &json!({"name": "reader", "permissions": ["api:read"]}));
    make(
        "users",
        &json!({"name": "ada", "email": "ada@example.com", "roles": ["reader"], "password": "ada's own password"}),
    );
    let robot = make("service-accounts", &json!({"name": "robot", "roles": ["reader"]}));
    make(
        "identity-providers",
        &json!({"name": "outside", "issuer": "https://id.example.com", "client_id": "portunus",
            "client_secret": "a secret of the provider", "audience": "portunus",
            "rules": [{"claim": "groups", "contains": "readers", "roles": ["reader"]}]}),
    );
    let bob = json!({"name": "bob", "email": "bob@example.com", "roles": ["reader"], "password": "bob's own password"});
    make("users", &bob);
    let session = log_in(&process, "bob").expect(200).json;
    let token = session["access_token"].as_str().expect("a token");
    let post = |path: &str, body: Value| Call::post(&process.api_url(path)).bearer(token).json(&body).send();
    let made = post("/v1/me/mfa/totp", json!({"label": "phone"})).expect(201).json;
    let mut app = App::new(made["secret"].as_str().expect("a secret"));
    let confirm = format!("/v1/me/mfa/totp/{}/confirm", made["id"].as_str().expect("an id"));
    post(&confirm, json!({"code": app.code()})).is(200);
    admin.post_empty("/v1/realm/keys/rotate").is(200);
    (process, robot, app)
}

/// A login with a user's own password.
fn log_in(process: &Portunus, name: &str) -> Answer {
    let body = json!({"username": name, "password": format!("{name}'s own password")});
    Call::post(&process.api_url("/v1/login")).json(&body).send()
}

fn export(admin: &Api) -> Value {
    admin.post("/v1/realm/export", &json!({"passphrase": PASSPHRASE})).expect(200).json
}

fn import(document: &Value, more: &Value) -> Value {
    let mut body = json!({"document": document, "passphrase": PASSPHRASE});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// What of a document must be the same on both machines.
fn comparable(document: &Value) -> Vec<String> {
    let resources = document["resources"].as_array().expect("resources");
    let name = |id: &Value| {
        let found = resources.iter().find(|resource| resource["id"] == *id);
        found.map_or_else(|| id.clone(), |resource| resource["name"].clone())
    };
    let mut lines: Vec<String> = resources
        .iter()
        .map(|resource| {
            let mut spec = resource["spec"].clone();
            for role in spec["roles"].as_array_mut().into_iter().flatten() {
                *role = name(role);
            }
            format!("{} {} {} {spec}", resource["kind"], name(&resource["tenant_id"]), resource["name"])
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn b04_a_realm_moves_to_a_new_machine_without_loss() {
    let (old, robot, mut app) = furnished();
    let old_token = old.api().token();
    let document = export(&old.api());
    let text = document.to_string();
    for secret in ["argon2id$", "sha256:", "ada's own password", "a secret of the provider", "enc:1:"] {
        assert!(!text.contains(secret), "{secret} is in the document in the clear");
    }
    let new =
        portunus().env("PORTUNUS_PUBLIC_URL", PUBLIC).env("PORTUNUS_ADMIN_PASSWORD", "another password 77").start();
    let admin = Api::service_account(&new.api_url(""), "control-plane-api", portunus_testkit::gateway::CLIENT_SECRET);
    let dry = admin.post("/v1/realm/import", &import(&document, &json!({"dry_run": true}))).expect(200).json;
    assert_eq!(dry["dry_run"], true);
    admin.get("/v1/tenants/acme").problem(404, "not_found");
    let done = admin.post("/v1/realm/import", &import(&document, &json!({}))).expect(200).json;
    assert_eq!(done["changes"], dry["changes"]);
    // The same secrets work: a person's, a machine's, the administrator's.
    let base = new.api_url("");
    password(&base, "ada", "ada's own password").is(200);
    password(&base, "admin", ADMIN_PASSWORD).is(200);
    let half = log_in(&new, "bob").problem(401, "second_factor_required").json;
    let code = json!({"mfa_token": half["mfa_token"], "code": app.code()});
    Call::post(&new.api_url("/v1/login/mfa")).json(&code).send().is(200);
    let secret = robot["client_secret"].as_str().expect("a secret");
    let token = client_credentials(&base, "robot", secret).expect(200).json["access_token"].clone();
    let apis = |tenant: &str| {
        let url = new.api_url(&format!("/v1/tenants/{tenant}/apis"));
        Call::get(&url).bearer(token.as_str().expect("a token")).send().status
    };
    assert_eq!((apis("acme"), apis("default")), (200, 403));
    // So do the keys: what the old machine signed can be checked by the new one's key set.
    let kid = crate::oidc_provider::parts(&old_token).0["kid"].clone();
    let keys = admin.get("/realms/portunus/protocol/openid-connect/certs").expect(200).json;
    assert!(keys["keys"].as_array().expect("keys").iter().any(|key| key["kid"] == kid), "{keys}");
    // And what comes out again is the same.
    let again = export(&admin);
    assert_eq!(comparable(&again), comparable(&document));
    let twice = admin.post("/v1/realm/import", &import(&again, &json!({}))).expect(200).json;
    assert_eq!(twice["changes"], json!([]), "the second time nothing is different");
    // The client secret of the provider came along: it opens on the old machine's document and on the new one's.
    let third = portunus().start();
    third.api().post("/v1/realm/import", &import(&again, &json!({}))).is(200);
    let count =
        "SELECT COUNT(*) FROM resource WHERE kind = 'IdentityProvider' AND spec LIKE '%\"client_secret\":\"enc:1:%'";
    assert_eq!(sql(&third, count), "1");
    let events = "SELECT COUNT(*) FROM event WHERE action IN ('realm.imported', 'realm.exported')";
    assert_eq!(sql(&new, events), "3");
}

#[test]
fn b04_replacing_leaves_nobody_who_is_not_in_the_document() {
    let (old, ..) = furnished();
    let document = export(&old.api());
    let new = portunus().start();
    let admin = new.api();
    admin.post("/v1/tenants/default/users", &json!({"name": "eve", "email": "eve@example.com"})).is(201);
    admin.account("default", "left-over", &["*:read"]);
    admin.post("/v1/realm/import", &import(&document, &json!({}))).is(200);
    admin.get("/v1/tenants/default/users/eve").is(200);
    let done = admin.post("/v1/realm/import", &import(&document, &json!({"mode": "replace"}))).expect(200).json;
    let gone: Vec<&Value> = done["changes"].as_array().into_iter().flatten().map(|change| &change["done"]).collect();
    assert!(gone.contains(&&json!("deleted")), "{done}");
    admin.get("/v1/tenants/default/users/eve").problem(404, "not_found");
    assert_eq!(comparable(&export(&admin)), comparable(&document));
    let shown = old.api().get("/v1/realm/export").expect(200).json;
    assert!(shown["secrets"].is_null());
    admin.post("/v1/realm/import", &json!({"document": shown, "mode": "replace"})).problem(422, "invalid");
}

#[test]
fn b04_what_is_wrong_with_a_document_is_told() {
    let (old, ..) = furnished();
    let document = export(&old.api());
    let new = portunus().start();
    let admin = new.api();
    let fault = |body: &Value| {
        let answer = admin.post("/v1/realm/import", body).problem(422, "invalid");
        answer.json["errors"][0]["message"].as_str().expect("a message").to_owned()
    };
    let wrong = import(&document, &json!({"passphrase": "another passphrase"}));
    assert!(fault(&wrong).contains("passphrase"));
    assert!(fault(&json!({"document": document})).contains("passphrase"));
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut altered = document.clone();
        change(&mut altered);
        fault(&import(&altered, &json!({})))
    };
    assert!(altered(&|document| document["resources"][0]["name"] = json!("x")).contains("altered"));
    assert!(altered(&|document| document["secrets"]["data"] = json!("AAAA")).contains("altered"));
    assert!(altered(&|document| document["secrets"] = Value::Null).contains("altered"));
    assert!(altered(&|document| document["version"] = json!(2)).contains("newer version"));
    assert!(altered(&|document| document["format"] = json!("x")).contains("no export"));
    admin.get("/v1/tenants/acme").problem(404, "not_found");
    // Who could read or write everybody's secrets must have every right.
    let reader = admin.account("default", "reader", &["*:read"]);
    reader.get("/v1/realm/export").refused(403);
    reader.post("/v1/realm/export", &json!({"passphrase": PASSPHRASE})).refused(403);
    reader.post("/v1/realm/import", &import(&document, &json!({}))).refused(403);
    admin.post("/v1/realm/export", &json!({"passphrase": "short"})).problem(422, "invalid");
    // No field of the API brings a hash in.
    for (plural, field) in [("users", "password_hash"), ("service-accounts", "secret_hash")] {
        let body = json!({"name": "mallory", "email": "m@example.com", field: "sha256:00"});
        admin.post(&format!("/v1/tenants/default/{plural}"), &body).problem(422, "invalid");
    }
}

#[test]
fn b04_the_command_line_writes_and_reads_a_realm() {
    let (old, ..) = furnished();
    let folder = old.home().path().to_owned();
    fs::write(folder.join("passphrase"), format!("{PASSPHRASE}\n")).expect("a file can be written");
    let file = folder.join("realm.json").display().to_string();
    let secret = folder.join("passphrase").display().to_string();
    old.cli(&["realm", "export", "-f", &file, "--passphrase-file", &secret]).output().expect(0);
    let mode = fs::metadata(&file).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let new = portunus().start();
    let dry = new.cli(&["realm", "import", "-f", &file, "--passphrase-file", &secret, "--dry-run"]).output().expect(0);
    assert!(dry.stdout.contains("created") && dry.stdout.contains("ada"), "{}", dry.stdout);
    new.api().get("/v1/tenants/acme").problem(404, "not_found");
    new.cli(&["realm", "import", "-f", &file, "--passphrase-file", &secret]).output().expect(0);
    password(&new.api_url(""), "ada", "ada's own password").is(200);
    let refused = new.cli(&["realm", "import", "-f", &file]).output();
    assert!(refused.code != Some(0) && refused.stderr.contains("passphrase"), "{}", refused.stderr);
}
