//! The record of what happened, down to the database's own tools.

use std::path::PathBuf;

use portunus_testkit::Portunus;
use portunus_testkit::command::Run;
use serde_json::json;

use crate::portunus;

/// The file of the store.
fn database(process: &Portunus) -> PathBuf {
    process.home().path().join("data/portunus.db")
}

/// Runs SQL with the stock tool: what it prints, or what it complains about.
fn sqlite(process: &Portunus, sql: &str) -> Result<String, String> {
    let output = Run::new("sqlite3").args([database(process).to_str().expect("a path in UTF-8"), sql]).output();
    if output.code == Some(0) { Ok(output.stdout) } else { Err(output.stderr) }
}

#[test]
fn r08_the_database_itself_refuses_to_change_events() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    let count = sqlite(&process, "SELECT COUNT(*) FROM event").expect("the events can be counted");
    for sql in [
        "UPDATE event SET action = 'x'",
        "DELETE FROM event",
        "DELETE FROM event WHERE sequence = 1",
        "INSERT INTO event SELECT * FROM event WHERE sequence = 1",
        "INSERT OR REPLACE INTO event SELECT * FROM event WHERE sequence = 1",
    ] {
        let refusal = sqlite(&process, sql).expect_err(sql);
        assert!(refusal.contains("append-only"), "{sql}: {refusal}");
    }
    assert_eq!(sqlite(&process, "SELECT COUNT(*) FROM event"), Ok(count));
}
