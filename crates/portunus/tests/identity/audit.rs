//! The record of what happened, down to the database's own tools.

mod chain;
mod checkpoints;
mod erase;
mod evidence;
mod list;
mod retention;
mod rollup;

use std::path::{Path, PathBuf};

use portunus_testkit::command::{Output, Run};
use portunus_testkit::gateway::{DataFolder, new_data};
use portunus_testkit::{Api, Portunus};
use serde_json::{Value, json};

use crate::{BINARY, portunus};

/// Runs SQL with the stock tool: what it prints, or what it complains about.
fn sqlite(data: &Path, sql: &str) -> Result<String, String> {
    let file = data.join("portunus.db");
    let file = file.to_str().expect("a path in UTF-8");
    let output = Run::new("sqlite3").args(["-cmd", ".timeout 5000", file, sql]).output();
    if output.code == Some(0) { Ok(output.stdout.trim().to_owned()) } else { Err(output.stderr) }
}

/// What somebody does who owns the database: first of all, the triggers go.
fn tamper(data: &Path, sql: &str) {
    let triggers = sqlite(data, "SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_master WHERE type = 'trigger'");
    let triggers = triggers.expect("the triggers can be listed");
    sqlite(data, &format!("{triggers} {sql}")).expect(sql);
}

/// The folder of a process's data.
fn data_of(process: &Portunus) -> PathBuf {
    process.home().path().join("data")
}

/// A copy of a data folder, to be spoilt.
fn copy(data: &Path) -> (DataFolder, PathBuf) {
    let folder = DataFolder::with_prefix("portunus-audit-").expect("a temporary folder can be made");
    let to = folder.path().join("data");
    copy_all(data, &to);
    (folder, to)
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_all(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a file can be copied")),
        }
    }
}

/// `portunus audit verify` on the data of a stopped process.
fn verify_run(data: &Path) -> Output {
    let folder = data.to_str().expect("a path in UTF-8");
    Run::new(BINARY).args(["audit", "verify", "--data-dir", folder, "-o", "json"]).output()
}

/// What it finds, after a look at the exit code.
#[track_caller]
fn verify(data: &Path) -> Value {
    let output = verify_run(data);
    assert!(!output.stdout.is_empty(), "{}", output.stderr);
    let report = output.json();
    let code = if report["intact"] == true { 0 } else { 1 };
    assert_eq!(output.code, Some(code), "{report}");
    report
}

/// Insists that the first bad row is this one.
#[track_caller]
fn broken_at(data: &Path, sequence: u64, fault: &str) {
    let report = verify(data);
    let found = &report["first_fault"];
    assert_eq!((&found["sequence"], &found["fault"]), (&json!(sequence), &json!(fault)), "{report}");
}

/// A stopped process's data with a handful of events of several sorts, and the number of the last one.
fn recorded() -> (std::sync::Arc<DataFolder>, PathBuf, u64) {
    let home = new_data();
    let process = portunus().data(&home).start();
    let admin = process.api();
    for name in ["acme", "globex", "initech"] {
        admin
            .post("/v1/tenants/default/consumers", &json!({"name": name, "email": format!("it@{name}.example")}))
            .is(201);
    }
    admin.patch("/v1/tenants/default/consumers/acme", &json!({"status": "suspended"})).is(200);
    admin.delete("/v1/tenants/default/consumers/globex").is(200);
    Api::nobody(&process.api_url("")).get("/v1/tenants").is(401);
    let data = data_of(&process);
    assert_eq!(process.stop(), Some(0));
    let last = sqlite(&data, "SELECT MAX(sequence) FROM event").expect("the rows can be counted");
    let last = last.parse().expect("a number");
    assert_eq!(verify(&data)["last_sequence"], json!(last));
    (home, data, last)
}

#[test]
fn r08_the_database_itself_refuses_to_change_events() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    let data = data_of(&process);
    let count = sqlite(&data, "SELECT COUNT(*) FROM event").expect("the events can be counted");
    for sql in [
        "UPDATE event SET action = 'x'",
        "DELETE FROM event",
        "DELETE FROM event WHERE sequence = 1",
        "INSERT INTO event SELECT * FROM event WHERE sequence = 1",
        "INSERT OR REPLACE INTO event SELECT * FROM event WHERE sequence = 1",
        "DELETE FROM audit_person",
        "UPDATE audit_person SET value = 'somebody else'",
    ] {
        let refusal = sqlite(&data, sql).expect_err(sql);
        assert!(refusal.contains("append-only"), "{sql}: {refusal}");
    }
    assert_eq!(sqlite(&data, "SELECT COUNT(*) FROM event"), Ok(count));
}
