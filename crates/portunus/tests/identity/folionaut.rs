//! Folionaut's admin key and its content API.

use std::fs;

use portunus_testkit::Portunus;
use portunus_testkit::call::{Answer, Call};
use serde_json::{Value, json};

use crate::portunus;

const KEY: &str = "Zm9saW9uYXV0LWFkbWluLWtleS0wMTIzNDU2Nzg5+/==";
const OTHER: &str = "another-admin-key-that-is-long-enough-0123456789";
const CONTENT: &str = "/api/v1/admin/content";

fn with(process: &Portunus, key: &str, method: &str, path: &str) -> Call {
    Call::new(method, &process.api_url(path)).header("X-Admin-Key", key)
}

fn get(process: &Portunus, key: &str) -> Answer {
    with(process, key, "GET", CONTENT).send()
}

/// Insists on Folionaut's error shape.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = &answer.json["error"];
    assert_eq!(error["code"], code, "{}", answer.text());
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(error["requestId"], answer.header("x-request-id"));
}

#[test]
fn f09_the_admin_key_opens_the_admin_api_and_is_in_no_log() {
    let mut process = portunus().env("ADMIN_API_KEY", KEY).env("PORTUNUS_LOG", "trace").start();
    assert_eq!(get(&process, KEY).expect(200).json, json!({"data": []}));
    refused(&Call::get(&process.api_url(CONTENT)).send(), 401, "UNAUTHORIZED");
    let short = &KEY[..43];
    for wrong in [OTHER, short, "", "x"] {
        refused(&get(&process, wrong), 401, "UNAUTHORIZED");
    }
    refused(&Call::get(&process.api_url(&format!("{CONTENT}?x-admin-key={OTHER}"))).send(), 401, "UNAUTHORIZED");
    let page = json!({"type": "note", "slug": "first", "data": {"title": "First"}});
    with(&process, KEY, "POST", CONTENT).json(&page).send().is(201);
    // It is a credential like others: it opens the whole API.
    with(&process, KEY, "GET", "/v1/tenants").send().is(200);
    let token = process.api().get("/v1/tenants/platform/api-tokens/admin-key").expect(200);
    assert!(token.json["last_used_at"].is_string() && token.json["prefix"].is_null(), "{}", token.text());

    process.terminate();
    process.wait(std::time::Duration::from_secs(20)).expect("it stops");
    let logged = format!("{}{}", process.stdout().text(), process.stderr().text());
    assert!(logged.len() > 1000, "trace logs much");
    let folder = process.home().path().to_owned();
    let mut files = 0;
    for entry in walk(&folder) {
        let bytes = fs::read(&entry).expect("a file of the data folder");
        files += 1;
        for secret in [KEY, OTHER, short] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a key", entry.display());
        }
    }
    assert!(files > 0, "there is a store");
    for secret in [KEY, OTHER, short] {
        assert!(!logged.contains(secret), "a key is in the log");
    }
}

/// Every file below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn f17_a_new_admin_key_through_the_environment_ends_the_old_one_at_once() {
    let process = portunus().env("ADMIN_API_KEY", KEY).start();
    get(&process, KEY).is(200);
    let home = process.kill9();
    let process = portunus().data(&home).env("PORTUNUS_ADMIN_API_KEY", OTHER).start();
    get(&process, OTHER).is(200);
    refused(&get(&process, KEY), 401, "UNAUTHORIZED");
    // The key that was replaced does not come back with its setting.
    let home = process.kill9();
    let process = portunus().data(&home).env("ADMIN_API_KEY", KEY).start();
    get(&process, OTHER).is(200);
    refused(&get(&process, KEY), 401, "UNAUTHORIZED");
    assert!(
        process.logs().iter().any(|line| line.contains("admin key") && line.contains("warn")),
        "{:?}",
        process.logs()
    );
}

#[test]
fn f17_the_admin_key_is_rotated_with_an_overlap_through_the_api() {
    let process = portunus().env("ADMIN_API_KEY", KEY).start();
    let rotate = "/v1/tenants/platform/api-tokens/admin-key/rotate";
    let rotated = with(&process, KEY, "POST", rotate).json(&json!({"grace_period_hours": 24})).send().expect(201).json;
    let new = rotated["token"].as_str().expect("the new key").to_owned();
    assert!(rotated["previous_expires_at"].is_string());
    get(&process, KEY).is(200);
    get(&process, &new).is(200);
    // A restart with the old setting changes nothing of that.
    let home = process.kill9();
    let process = portunus().data(&home).env("ADMIN_API_KEY", KEY).start();
    get(&process, KEY).is(200);
    get(&process, &new).is(200);
    with(&process, &new, "POST", rotate).send().is(201);
    refused(&get(&process, KEY), 401, "UNAUTHORIZED");
    refused(&get(&process, &new), 401, "UNAUTHORIZED");
    let home = process.kill9();
    let process = portunus().data(&home).env("ADMIN_API_KEY", KEY).start();
    refused(&get(&process, KEY), 401, "UNAUTHORIZED");
}

#[test]
fn f17_revoking_the_admin_key_outlasts_a_restart() {
    let process = portunus().env("ADMIN_API_KEY", KEY).start();
    with(&process, KEY, "POST", "/v1/tenants/platform/api-tokens/admin-key/revoke").send().is(200);
    refused(&get(&process, KEY), 401, "UNAUTHORIZED");
    let home = process.kill9();
    let process = portunus().data(&home).env("ADMIN_API_KEY", KEY).start();
    refused(&get(&process, KEY), 401, "UNAUTHORIZED");
}

#[test]
fn f09_a_weak_admin_key_is_refused_at_the_start() {
    for weak in ["short", &"x".repeat(31)] {
        let output = portunus().env("ADMIN_API_KEY", weak).start_expecting_failure();
        assert_eq!(output.code, Some(78), "{}", output.stderr);
        assert!(output.stderr.contains("ADMIN_API_KEY") && output.stderr.contains("32"), "{}", output.stderr);
        assert!(!output.stderr.contains(&"x".repeat(31)), "{}", output.stderr);
    }
}

#[test]
fn f09_content_is_written_by_admins_and_read_by_all_once_published() {
    let process = portunus().env("ADMIN_API_KEY", KEY).start();
    let create = |body: &Value| with(&process, KEY, "POST", CONTENT).json(body).send();
    let draft = create(&json!({"type": "project", "data": {"title": "Hello, World!"}})).expect(201).json;
    assert_eq!((&draft["data"]["slug"], &draft["data"]["status"]), (&json!("hello-world"), &json!("draft")));
    let second =
        create(&json!({"type": "project", "data": {"title": "Hello World"}, "status": "published", "sortOrder": 2}));
    assert_eq!(second.expect(201).json["data"]["slug"], "hello-world-1");
    let skill =
        create(&json!({"type": "skill", "slug": "rust", "data": {"level": 9}, "status": "published"})).expect(201).json;
    refused(&create(&json!({"type": "skill", "slug": "rust", "data": {}})), 409, "CONFLICT");
    refused(&create(&json!({"type": "skill", "data": {}})), 400, "VALIDATION_ERROR");
    let wrong = create(&json!({"type": "skill", "slug": "Not A Slug", "data": [], "status": "public"}));
    refused(&wrong, 400, "VALIDATION_ERROR");
    let fields: Vec<&String> = wrong.json["error"]["fields"].as_object().expect("fields").keys().collect();
    assert!(["slug", "data", "status"].iter().all(|field| fields.iter().any(|known| known == field)), "{fields:?}");

    let public = |path: &str| Call::get(&process.api_url(path)).send();
    let list = public("/api/v1/content").expect(200);
    let slugs = |answer: &Answer| {
        let items = answer.json["data"].as_array().expect("a list").iter();
        items.map(|item| item["slug"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(slugs(&list), ["rust", "hello-world-1"]);
    assert_eq!(slugs(&public("/api/v1/content?type=project")), ["hello-world-1"]);
    refused(&public("/api/v1/content/project/hello-world"), 404, "NOT_FOUND");
    let bundle = public("/api/v1/content/bundle").expect(200).json;
    assert_eq!(bundle["data"]["skill"][0], skill["data"]);
    assert_eq!(bundle["data"].as_object().map(|types| types.len()), Some(2));

    let item = public("/api/v1/content/skill/rust").expect(200);
    let tag = item.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && item.header("cache-control").contains("max-age=300"), "{tag}");
    for known in [tag.as_str(), "*", &format!("\"x\", {tag}"), tag.trim_start_matches("W/")] {
        let again = Call::get(&process.api_url("/api/v1/content/skill/rust")).header("If-None-Match", known).send();
        assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag.as_str(), 0), "{known}");
    }

    // A change is seen by the next reader.
    let path = format!("{CONTENT}/{}", skill["data"]["id"].as_str().expect("an id"));
    with(&process, KEY, "PUT", &path).json(&json!({"data": {"level": 10}})).send().is(200);
    let changed = Call::get(&process.api_url("/api/v1/content/skill/rust")).header("If-None-Match", &tag).send();
    assert_eq!(
        (changed.status, &changed.json["data"]["data"], &changed.json["data"]["version"]),
        (200, &json!({"level": 10}), &json!(2))
    );
    with(&process, KEY, "PUT", &path).json(&json!({"slug": "ferris"})).send().is(200);
    refused(&public("/api/v1/content/skill/rust"), 404, "NOT_FOUND");
    public("/api/v1/content/skill/ferris").is(200);
    with(&process, KEY, "PUT", &path).json(&json!({"status": "archived"})).send().is(200);
    refused(&public("/api/v1/content/skill/ferris"), 404, "NOT_FOUND");
    assert_eq!(
        with(&process, KEY, "GET", &format!("{CONTENT}?status=archived")).send().expect(200).json["data"][0]["slug"],
        "ferris"
    );
    refused(&with(&process, KEY, "PUT", &path).json(&json!({"type": "other"})).send(), 400, "VALIDATION_ERROR");
    with(&process, KEY, "DELETE", &path).send().is(204);
    refused(&with(&process, KEY, "GET", &path).send(), 404, "NOT_FOUND");
    // The same pages are there under their native names.
    let native = process.api().get("/v1/tenants/default/content-pages/project:hello-world").expect(200);
    assert_eq!(native.json["id"], draft["data"]["id"]);
}
