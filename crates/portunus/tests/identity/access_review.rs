//! The weekly and monthly look at access on the command line.

use portunus_testkit::Portunus;
use portunus_testkit::call::Call;
use portunus_testkit::upstream::Canned;
use serde_json::{Value, json};

use crate::portunus;

/// The item of a list with this name.
#[track_caller]
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let items = list["items"].as_array().expect("a list");
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

fn warnings(item: &Value) -> Vec<&str> {
    item["warnings"].as_array().expect("warnings").iter().filter_map(Value::as_str).collect()
}

fn review(process: &Portunus, args: &[&str]) -> Value {
    let args = [&["access-review", "-o", "json"], args].concat();
    process.cli(&args).output().expect(0).json()
}

#[test]
fn r07_tokens_are_made_listed_rotated_and_revoked_on_the_command_line() {
    let process = portunus().start();
    let admin = process.api();
    admin.account("default", "robot", &["api:*"]);
    let made = process
        .cli(&[
            "tokens",
            "create",
            "nightly",
            "-t",
            "default",
            "--service-account",
            "robot",
            "--scope",
            "api:read",
            "--expires-in",
            "90d",
            "-q",
        ])
        .output()
        .expect(0);
    let token = made.stdout.trim().to_owned();
    let get = |token: &str| Call::get(&process.api_url("/v1/tenants/default/apis")).bearer(token).send().status;
    assert_eq!(get(&token), 200);
    process.cli(&["tokens", "create", "own", "--scope", "*:read"]).output().expect(0);

    let list = process.cli(&["tokens", "list", "-o", "json"]).output().expect(0).json();
    let nightly = named(&list, "nightly");
    assert_eq!((&nightly["owner"]["name"], &nightly["tenant"]), (&json!("robot"), &json!("default")));
    assert_eq!((&nightly["scopes"], &nightly["permissions"]), (&json!(["api:read"]), &json!(["api:read"])));
    assert!(nightly["expires_at"].is_string() && nightly["last_used_at"].is_string(), "{nightly}");
    assert!(named(&list, "own")["last_used_at"].is_null());
    let table = process.cli(&["tokens", "list"]).output().expect(0).stdout;
    assert!(table.contains("nightly") && table.contains("own") && table.contains("never"), "{table}");
    assert!(!table.contains(&token) && !list.to_string().contains(&token));
    // Both are younger than a day; a moment ago only one of them had been used.
    let unused = |time: &str| process.cli(&["tokens", "list", "--unused", time, "-q"]).output().expect(0).stdout;
    assert_eq!(unused("30d"), "");
    assert_eq!(unused("1ms"), "nightly\nown\n");
    process.cli(&["tokens", "list", "--unused", "soon"]).output().expect(2);

    let rotated = process.cli(&["tokens", "rotate", "nightly", "--grace-hours", "1", "-q"]).output().expect(0);
    let next = rotated.stdout.trim().to_owned();
    assert_eq!((get(&token), get(&next)), (200, 200));
    let last = process.cli(&["tokens", "rotate", "nightly", "-q"]).output().expect(0).stdout.trim().to_owned();
    assert_eq!((get(&token), get(&next), get(&last)), (401, 401, 200));
    process.cli(&["tokens", "revoke", "nightly"]).output().expect(0);
    assert_eq!(get(&last), 401);
    let missing = process.cli(&["tokens", "revoke", "no-such-token"]).output().expect(1);
    assert!(missing.stderr.contains("no-such-token"), "{}", missing.stderr);
}

#[test]
fn r07_the_access_review_tells_who_can_do_what_and_when_they_last_did() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants", &json!({"name": "acme"})).is(201);
    let viewer = json!({"name": "vera", "email": "vera@example.com", "roles": ["viewer"]});
    admin.post("/v1/tenants/acme/users", &viewer).is(201);
    let boss = json!({"name": "boss", "roles": ["tenant-admin", "viewer"]});
    let boss = admin.post("/v1/tenants/acme/service-accounts", &boss).expect(201).json;
    let locked = json!({"name": "locked", "status": "locked", "roles": ["ci"]});
    admin.post("/v1/tenants/acme/service-accounts", &locked).is(201);
    for (owner, name) in [("boss", "forever"), ("locked", "stuck")] {
        admin
            .post(
                "/v1/tenants/acme/api-tokens",
                &json!({"service_account_id": owner, "name": name, "scopes": ["plan:*"]}),
            )
            .is(201);
    }
    let all = review(&process, &[]);
    let first = named(&all, "control-plane-api");
    assert!(first["last_used_at"].is_string() && first["last_address"] == "127.0.0.1", "{first}");
    assert_eq!((&first["holds_in"], &first["permissions"]), (&json!("*"), &json!(["*:*"])));
    assert_eq!(warnings(first), ["may do everything in every tenant"]);
    let vera = named(&all, "vera");
    assert_eq!(
        (&vera["holds_in"], &vera["roles"], &vera["second_factor"]),
        (&json!("acme"), &json!(["viewer"]), &json!(false))
    );
    assert!(vera["last_used_at"].is_null() && warnings(vera).is_empty(), "{vera}");
    assert_eq!(warnings(named(&all, "boss")), ["may do everything in the tenant acme"]);
    assert_eq!(named(&all, "boss")["permissions"], json!(["*:*"]));
    assert_eq!(warnings(named(&all, "locked")), ["locked"]);
    let forever = named(&all, "forever");
    assert_eq!((warnings(forever), &forever["permissions"]), (vec!["does not expire"], &json!(["plan:*"])));
    let stuck = named(&all, "stuck");
    assert_eq!((warnings(stuck), &stuck["status"]), (vec!["its owner is locked"], &json!("locked")));

    let of_acme = review(&process, &["--tenant", "acme"]);
    assert_eq!(of_acme["total"], 5, "{of_acme}");
    let table = process.cli(&["access-review", "--tenant", "acme"]).output().expect(0).stdout;
    assert!(table.contains("forever of boss") && table.contains("5 in all, 4 with warnings"), "{table}");

    // A role that is given up is gone from the review at once.
    let path = format!("/v1/tenants/acme/service-accounts/{}", boss["id"].as_str().unwrap());
    admin.patch(&path, &json!({"roles": []})).is(200);
    let all = review(&process, &[]);
    assert_eq!(named(&all, "forever")["permissions"], json!([]));

    // A tenant's own auditor sees the tenant and nothing else.
    let auditor = admin.account("acme", "auditor-1", &["*:read"]);
    let own = auditor.get("/v1/access-review").expect(200).json;
    assert!(own["items"].as_array().unwrap().iter().all(|item| item["tenant"] == "acme"), "{own}");
    auditor.get("/v1/access-review?tenant=default").problem(403, "forbidden");
    let half = admin.account("acme", "half", &["user:read"]);
    half.get("/v1/access-review").problem(403, "forbidden");
}

/// An answer of a server that tells the latest version.
fn latest(version: &str) -> Canned {
    let body = json!({"tag_name": version}).to_string();
    Canned::start(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

#[test]
fn r07_updates_are_asked_for_only_when_told_to() {
    let newer = latest("v99.0.0");
    let process = portunus().env("PORTUNUS_UPDATE_URL", newer.url()).start();
    let ask =
        |args: &[&str], url: &str| process.cli(&[&["version"], args].concat()).env("PORTUNUS_UPDATE_URL", url).output();
    ask(&[], &newer.url()).expect(0);
    ask(&["-o", "json"], &newer.url()).expect(0);
    process.cli(&["get", "apis"]).env("PORTUNUS_UPDATE_URL", newer.url()).output().expect(0);
    assert_eq!(newer.count(), 0, "nobody told it to ask");

    let told = ask(&["--check"], &newer.url()).expect(1);
    assert!(told.stdout.contains("a newer version is available: v99.0.0"), "{}", told.stdout);
    assert_eq!(newer.count(), 1);
    let current = latest(env!("CARGO_PKG_VERSION"));
    let told =
        process.cli(&["version", "--check", "--update-url", &current.url(), "-o", "json"]).output().expect(0).json();
    assert_eq!((&told["newer"], &told["latest"]), (&json!(false), &json!(env!("CARGO_PKG_VERSION"))));
    let unasked = process.cli(&["version", "--check"]).output().expect(2);
    assert!(unasked.stderr.contains("PORTUNUS_UPDATE_URL"), "{}", unasked.stderr);
    let broken = latest("soon");
    ask(&["--check"], &broken.url()).expect(1);
    assert_eq!(newer.count(), 1);
}
