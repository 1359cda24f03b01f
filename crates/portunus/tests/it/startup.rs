//! Starts that fail, and say plainly why; and stops that lose nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;

use portunus_testkit::command::Run;
use portunus_testkit::gateway::{ADMIN_PASSWORD, CLIENT_SECRET, DataFolder, new_data};
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::{Builder, Output, eventually};
use serde_json::Value;

use crate::{Gate, portunus};

/// Insists that the start is refused as a fault of the configuration, in plain words that name `wanted`.
#[track_caller]
fn refused(builder: Builder, wanted: &[&str]) -> Output {
    let output = builder.start_expecting_failure().expect(78);
    let text = &output.stderr;
    for word in wanted {
        assert!(text.contains(word), "{word:?} is missing: {text}");
    }
    assert!(!text.contains("panicked") && !text.contains("Error {") && !text.contains("RUST_BACKTRACE"), "{text}");
    output
}

#[track_caller]
fn one_sentence(output: &Output) {
    assert_eq!(output.stderr.trim().lines().count(), 1, "one plain sentence: {}", output.stderr);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("a bound listener has an address").to_string();
    for name in ["PORTUNUS_LISTEN", "PORTUNUS_CONTROL_LISTEN"] {
        let output = refused(portunus().env(name, &address), &[&address, name]);
        one_sentence(&output);
    }
}

#[test]
fn the_same_address_for_both_listeners_is_refused() {
    let port = portunus_testkit::upstream::free_port();
    let address = format!("127.0.0.1:{port}");
    refused(portunus().env("PORTUNUS_LISTEN", &address).env("PORTUNUS_CONTROL_LISTEN", &address), &[&address]);
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let home = new_data();
    let file = home.path().join("file");
    fs::write(&file, "not a folder").expect("a file can be written");
    for path in [file.clone(), file.join("below"), "/proc/portunus".into()] {
        let output = refused(portunus().data_path(&path), &[&path.display().to_string()]);
        one_sentence(&output);
    }
}

/// Stops a process that has made a store and gives the folder with it.
fn stored() -> Arc<DataFolder> {
    let process = portunus().start();
    let home = Arc::clone(process.home());
    assert_eq!(process.stop(), Some(0));
    home
}

fn sqlite(store: &str, sql: &str) -> String {
    Run::new("/usr/bin/sqlite3").args([store, sql]).output().expect(0).stdout
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let home = stored();
    let store = home.path().join("data/portunus.db").display().to_string();
    let next = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                VALUES (99990101000000, 'from the future', 1, x'00', 0)";
    sqlite(&store, next);
    let before = sqlite(&store, "SELECT count(*) FROM sqlite_master");
    let output = refused(portunus().data(&home), &["newer"]);
    one_sentence(&output);
    assert_eq!(sqlite(&store, "SELECT count(*) FROM sqlite_master"), before);
}

#[test]
fn a_store_that_is_none_is_refused() {
    let home = new_data();
    let data = home.path().join("data");
    fs::create_dir_all(&data).expect("a folder can be made");
    fs::write(data.join("portunus.db"), "this is not a database at all\n".repeat(500)).expect("a file can be written");
    let output = refused(portunus().data(&home), &["portunus.db"]);
    one_sentence(&output);
    let kept = fs::read_to_string(data.join("portunus.db")).expect("the file is there");
    assert!(kept.starts_with("this is not"), "what is not ours is not overwritten");
}

#[test]
fn two_processes_do_not_share_a_store() {
    let process = portunus().start();
    let output = refused(portunus().data(process.home()), &["data"]);
    one_sentence(&output);
    process.api().get("/v1/tenants").is(200);
}

#[test]
fn all_faults_of_the_settings_are_listed_at_once() {
    let builder = portunus()
        .env("PORTUNUS_LISTEN", "nonsense")
        .env("PORTUNUS_WORKERS", "many")
        .env("PORTUNUS_TRUSTED_PROXIES", "10.0.0.0/99")
        .env("PORTUNUS_GATEWAY_EXPOSE", "health,everything")
        .env("LOG_FORMAT", "xml")
        .env("LOG_LEVEL", "loud")
        .env("PORTUNUS_COLOUR", "red");
    let wanted = [
        "PORTUNUS_LISTEN",
        "nonsense",
        "PORTUNUS_WORKERS",
        "many",
        "PORTUNUS_TRUSTED_PROXIES",
        "10.0.0.0/99",
        "PORTUNUS_GATEWAY_EXPOSE",
        "everything",
        "LOG_FORMAT",
        "xml",
        "LOG_LEVEL",
        "loud",
        "PORTUNUS_COLOUR",
    ];
    let output = refused(builder, &wanted);
    assert!(output.stderr.lines().count() >= 7, "{}", output.stderr);
}

#[test]
fn what_is_not_supported_yet_is_refused_by_name() {
    for (name, value) in [("DATABASE_URL", "postgres://localhost/portunus"), ("REDIS_URL", "redis://localhost")] {
        let output = refused(portunus().env(name, value), &[name]);
        one_sentence(&output);
    }
}

#[test]
fn a_file_that_a_value_points_to_must_exist() {
    refused(
        portunus().env("PORTUNUS_ADMIN_PASSWORD", "file:/no/such/file"),
        &["PORTUNUS_ADMIN_PASSWORD", "/no/such/file"],
    );
    refused(portunus().arg("--config").arg("/no/such/portunus.yaml"), &["/no/such/portunus.yaml"]);
    refused(portunus().arg("--manifests").arg("/no/such/folder"), &["/no/such/folder"]);
}

#[test]
fn values_can_come_from_files() {
    let home = new_data();
    let file = home.path().join("secret");
    fs::write(&file, "from-a-file-0123456789\n").expect("a file can be written");
    let value = format!("file:{}", file.display());
    let process = portunus().data(&home).env("PORTUNUS_CLIENT_SECRET", value).start();
    let base = process.api_url("");
    portunus_testkit::client::client_credentials(&base, "control-plane-api", "from-a-file-0123456789").is(200);
}

#[test]
fn the_environment_wins_over_the_file_and_flags_win_over_both() {
    let home = new_data();
    let file = home.path().join("portunus.yaml");
    fs::write(&file, "log_level: error\nlisten: 127.0.0.1:1\n").expect("a file can be written");
    let process = portunus()
        .data(&home)
        .env("LOG_LEVEL", "debug")
        .arg("--config")
        .arg(&file)
        .arg("--log-level")
        .arg("info")
        .start();
    process.get("/nowhere").send().is(404);
    let line = process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!(line["level"], "info");
}

#[test]
fn faults_of_the_settings_file_name_file_and_key() {
    let home = new_data();
    let file = home.path().join("portunus.yaml");
    fs::write(&file, "listen: 127.0.0.1:0\ncolour: red\nworkers: many\n").expect("a file can be written");
    let builder = portunus().data(&home).arg("--config").arg(&file);
    refused(builder, &["portunus.yaml", "colour", "workers", "many"]);
    fs::write(&file, "listen: [unclosed\n").expect("a file can be written");
    refused(portunus().data(&home).arg("--config").arg(&file), &["portunus.yaml"]);
}

#[test]
fn faults_of_manifests_are_listed_with_their_places_and_nothing_is_stored() {
    let home = new_data();
    let folder = home.path().join("manifests");
    fs::create_dir(&folder).expect("a folder can be made");
    let api = "apiVersion: portunus.dev/v1\nkind: Api\nmetadata: {tenant: default, name: a}\n\
               spec: {base_path: nope, colour: red, upstream: {targets: [{url: \"http://127.0.0.1:9\"}]}}\n";
    let good = "apiVersion: portunus.dev/v1\nkind: Consumer\nmetadata: {tenant: default, name: good}\nspec: {}\n";
    fs::write(folder.join("a.yaml"), format!("{good}---\n{api}")).expect("a file can be written");
    fs::write(folder.join("b.yaml"), "kind: [broken\n").expect("a file can be written");
    fs::write(folder.join("c.yaml"), good.replace("Consumer", "Gizmo")).expect("a file can be written");
    let start = || portunus().data(&home).arg("--manifests").arg(&folder);
    refused(start(), &["a.yaml", "b.yaml", "c.yaml", "Gizmo"]);
    fs::remove_file(folder.join("b.yaml")).expect("the file was there");
    fs::remove_file(folder.join("c.yaml")).expect("the file was there");
    refused(start(), &["a.yaml", "base_path", "nope", "colour"]);
    let process = portunus().data(&home).start();
    assert_eq!(process.api().get("/v1/tenants/default/consumers").expect(200).json["total"], 0);
}

#[test]
fn the_first_start_shows_its_secrets_once_and_they_work() {
    let home = new_data();
    let start = || portunus().data(&home).without("PORTUNUS_ADMIN_PASSWORD").without("PORTUNUS_CLIENT_SECRET").start();
    let process = start();
    let read = |label: &str| {
        let line =
            process.stderr().wait(SOON, |line| line.trim().strip_prefix(label).map(|rest| rest.trim().to_owned()));
        line.unwrap_or_else(|| panic!("no {label:?}: {}", process.stderr().text()))
    };
    assert!(read("admin user:").starts_with("admin"));
    let password = read("admin password:");
    let client = read("client id:");
    let secret = read("client secret:");
    let base = process.api_url("");
    portunus_testkit::client::client_credentials(&base, &client, &secret).is(200);
    let token = portunus_testkit::client::password(&base, "admin", &password).expect(200);
    let bearer = token.json["access_token"].as_str().expect("a token");
    portunus_testkit::Call::get(&process.api_url("/v1/tenants")).bearer(bearer).send().is(200);
    let log = process.stdout().text();
    assert!(!log.contains(&password) && !log.contains(&secret), "the log shows a secret");
    assert_eq!(process.stop(), Some(0));
    let again = start();
    let text = again.stderr().text() + &again.stdout().text();
    assert!(!text.contains(&password) && !text.contains(&secret), "shown once: {text}");
    portunus_testkit::client::client_credentials(&again.api_url(""), &client, &secret).is(200);
}

#[test]
fn a_stop_lets_a_request_under_way_end_and_takes_no_new_ones() {
    let Gate { mut process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    client.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(client.read_text(SOON, "first"));
    process.terminate();
    let address = process.gw_address().to_owned();
    eventually(SOON, "the listener's end", || std::net::TcpStream::connect(&address).err());
    assert!(process.is_running(), "it waits for the request");
    upstream.release();
    assert!(client.read_text(SOON, "last"), "{}", client.text());
    let status = process.wait(SOON).expect("it ends when the last request has ended");
    assert_eq!(status.code(), Some(0));
    process.wait_log(SOON, |entry| entry["path"] == "/orders/held");
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let Gate { mut process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_DRAIN_SECONDS", "1"));
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    client.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(client.read_text(SOON, "first"));
    process.terminate();
    assert_eq!(process.wait(SOON).expect("it ends after the drain").code(), Some(0));
    // What was cut off has its line too.
    process.wait_log(SOON, |entry| entry["path"] == "/orders/held");
}

#[test]
fn an_interrupt_stops_it_too() {
    let mut process = portunus().start();
    let pid = process.pid().to_string();
    let kill = thread::spawn(move || Run::new("/bin/sh").args(["-c", &format!("kill -INT {pid}")]).output());
    drop(kill.join());
    assert_eq!(process.wait(SOON).expect("it ends").code(), Some(0));
}

#[test]
fn the_plain_log_is_for_people() {
    let process = portunus().env("LOG_FORMAT", "plain").start();
    process.get("/nowhere").send().is(404);
    let line = process.stdout().wait(SOON, |line| line.contains("request completed").then(|| line.to_owned()));
    let line = line.expect("a line");
    assert!(serde_json::from_str::<Value>(&line).is_err(), "{line}");
    for word in ["INFO", "path=/nowhere", "status=404", "latency="] {
        assert!(line.contains(word), "{word} is missing: {line}");
    }
}

#[test]
fn the_gateway_shows_only_what_it_is_told_to() {
    let process = portunus().start();
    process.get("/health").send().is(200);
    process.get("/metrics").send().is(404);
    for path in ["/v1/tenants", "/v1/kinds", "/realms/x/protocol/openid-connect/token"] {
        process.get(path).send().is(404);
    }
    drop(process);
    let process = portunus().env("PORTUNUS_GATEWAY_EXPOSE", "metrics").start();
    process.get("/health").send().is(404);
    assert!(process.get("/metrics").send().expect(200).text().contains("# TYPE "));
}

#[test]
fn connections_that_wait_for_nothing_do_not_hold_up_a_stop() {
    let Gate { mut process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_DRAIN_SECONDS", "60"));
    admin.create_public_api("orders", &upstream.url());
    let mut used = Connection::open(process.gw_address());
    used.send(b"GET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(used.read_text(SOON, "\"path\":\"/x\""));
    let _fresh = [Connection::open(process.gw_address()), Connection::open(process.api_address())];
    process.terminate();
    assert_eq!(process.wait(SOON).expect("it ends at once").code(), Some(0));
}

#[test]
fn manifests_are_applied_at_every_start() {
    let home = new_data();
    let file = home.path().join("plan.yaml");
    let write = |text: &str| {
        let head = "apiVersion: portunus.dev/v1\nkind: Plan\nmetadata: {tenant: default, name: gold}\n";
        fs::write(&file, format!("{head}spec: {{description: {text}}}\n")).expect("a file can be written");
    };
    for text in ["first", "second"] {
        write(text);
        let process = portunus().data(&home).env("PORTUNUS_MANIFESTS", &file).start();
        let plan = process.api().get("/v1/tenants/default/plans/gold").expect(200).json;
        assert_eq!(plan["description"], text);
        assert_eq!(process.stop(), Some(0));
    }
}

#[test]
fn the_store_can_be_elsewhere() {
    let home = new_data();
    let store = home.path().join("elsewhere.db");
    let process = portunus().data(&home).env("DATABASE_URL", format!("sqlite://{}", store.display())).start();
    process.api().create_consumer("client");
    assert_eq!(process.stop(), Some(0));
    assert_eq!(sqlite(&store.display().to_string(), "PRAGMA integrity_check").trim(), "ok");
}

#[test]
fn what_lies_on_disk_opens_nothing() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    admin.account("default", "robot", &["api:read"]);
    let token = admin.token();
    let home = Arc::clone(process.home());
    assert_eq!(process.stop(), Some(0));
    let mut waiting = vec![home.path().join("data")];
    while let Some(file) = waiting.pop() {
        let mode = fs::metadata(&file).expect("a file has a mode").permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read {}: {mode:o}", file.display());
        if file.is_dir() {
            waiting.extend(fs::read_dir(&file).expect("a folder").filter_map(|entry| Some(entry.ok()?.path())));
            continue;
        }
        let bytes = fs::read(&file).expect("a file can be read");
        let text = String::from_utf8_lossy(&bytes);
        for secret in [key.as_str(), token.as_str(), ADMIN_PASSWORD, CLIENT_SECRET, "ptn_secret_"] {
            assert!(!text.contains(secret), "{} holds {secret}", file.display());
        }
    }
}
