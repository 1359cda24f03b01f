//! Checkpoints outside of the database: they show what the database alone cannot.

use std::fs;
use std::path::Path;
use std::time::Duration;

use portunus_testkit::gateway::new_data;
use portunus_testkit::{Portunus, eventually};
use serde_json::{Value, json};

use super::{broken_at, copy, data_of, recorded, sqlite, tamper, verify};
use crate::portunus;

fn lines(data: &Path) -> Vec<String> {
    let text = fs::read_to_string(data.join("audit/checkpoints.jsonl")).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

fn write(data: &Path, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(data.join("audit/checkpoints.jsonl"), text).expect("the checkpoints can be written");
}

/// Adds something to the record and waits until a checkpoint saw it.
fn grow(process: &Portunus, name: &str) {
    let before = lines(&data_of(process)).len();
    process.api().post("/v1/tenants/default/consumers", &json!({"name": name})).is(201);
    eventually(Duration::from_secs(10), "a checkpoint", || (lines(&data_of(process)).len() > before).then_some(()));
}

#[test]
fn r08_checkpoints_are_made_and_none_can_be_altered_or_taken_away() {
    let home = new_data();
    let process = portunus().data(&home).env("PORTUNUS_AUDIT_CHECKPOINT_SECONDS", "1").start();
    ["a", "b", "c"].iter().for_each(|name| grow(&process, name));
    let data = data_of(&process);
    let report = process.api().get("/v1/audit/verify").expect(200).json;
    assert!(report["checkpoints"].as_u64() >= Some(3) && report["last_checkpoint_at"].is_string(), "{report}");
    assert_eq!(process.stop(), Some(0));
    let all = lines(&data);
    assert_eq!(verify(&data)["checkpoints"], json!(all.len()));
    for at in [0, 1, all.len() - 1] {
        let mut fewer = all.clone();
        fewer.remove(at);
        write(&data, &fewer);
        let report = verify(&data);
        let message = report["first_fault"]["message"].as_str().unwrap_or_default();
        assert_eq!(message, format!("checkpoint {} is missing", at + 1), "{report}");
        let mut edited = all.clone();
        edited[at] = edited[at].replace("\"at\":\"2", "\"at\":\"3");
        write(&data, &edited);
        let report = verify(&data);
        let message = report["first_fault"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(&format!("checkpoint {} was altered", at + 1)), "{report}");
    }
    write(&data, &[]);
    assert_eq!(verify(&data)["first_fault"]["fault"], "checkpoint");
    fs::remove_file(data.join("audit/checkpoints.jsonl")).expect("the file is there");
    assert_eq!(verify(&data)["first_fault"]["fault"], "checkpoint");
    // A line that a power cut tore says nothing, and the next start goes on after it.
    fs::write(data.join("audit/checkpoints.jsonl"), format!("{}\n{{\"number\":", all.join("\n"))).expect("written");
    assert_eq!(verify(&data)["intact"], true);
    let process = portunus().data(&home).env("PORTUNUS_AUDIT_CHECKPOINT_SECONDS", "1").start();
    grow(&process, "d");
    assert_eq!(process.stop(), Some(0));
    assert_eq!(verify(&data)["intact"], true);
}

#[test]
fn r08_an_older_copy_of_the_database_is_named() {
    let home = new_data();
    let process = portunus().data(&home).start();
    process.api().post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    let data = data_of(&process);
    assert_eq!(process.stop(), Some(0));
    let (_older, older) = copy(&data);
    let end = verify(&data)["last_sequence"].as_u64().expect("a number");
    let process = portunus().data(&home).start();
    process.api().post("/v1/tenants/default/consumers", &json!({"name": "globex"})).is(201);
    assert_eq!(process.stop(), Some(0));
    let newer = verify(&data)["last_sequence"].as_u64().expect("a number");
    assert!(newer > end);
    for file in ["portunus.db", "portunus.db-wal", "portunus.db-shm"] {
        let to = data.join(file);
        let _ = fs::remove_file(&to);
        let _ = fs::copy(older.join(file), to);
    }
    broken_at(&data, end + 1, "checkpoint");
    let process = portunus().data(&home).start();
    process.wait_log(Duration::from_secs(5), |line| line["message"] == "audit_chain_broken");
    // Other rows in the place of those that were lost do not hide it.
    for name in ["a", "b", "c", "d", "e"] {
        process.api().post("/v1/tenants/default/consumers", &json!({"name": name})).is(201);
    }
    assert_eq!(process.stop(), Some(0));
    broken_at(&data, newer, "checkpoint");
}

#[test]
fn r08_checkpoints_can_lie_elsewhere() {
    let home = new_data();
    let elsewhere = home.path().join("elsewhere/checkpoints.jsonl");
    let process = portunus().data(&home).start();
    let data = data_of(&process);
    assert_eq!(process.stop(), Some(0));
    let process = portunus().data(&home).env("PORTUNUS_AUDIT_CHECKPOINTS", &elsewhere).start();
    process.api().post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    assert_eq!(process.stop(), Some(0));
    let text = fs::read_to_string(&elsewhere).expect("the checkpoints are where they should be");
    let first: Value = text.lines().next().and_then(|line| serde_json::from_str(line).ok()).expect("a checkpoint");
    assert_eq!(first["number"], 2, "they go on where they were");
    let verify = || {
        let run = portunus_testkit::command::Run::new(crate::BINARY).env("PORTUNUS_AUDIT_CHECKPOINTS", &elsewhere);
        run.args(["audit", "verify", "-o", "json", "--data-dir", data.to_str().expect("UTF-8")]).output().json()
    };
    assert_eq!(verify()["intact"], true);
    fs::write(&elsewhere, "").expect("the file can be emptied");
    assert_eq!(verify()["first_fault"]["fault"], "checkpoint");
}

#[test]
fn r08_the_note_of_the_last_checkpoint_is_sealed() {
    let (_home, data, _) = recorded();
    assert_eq!(sqlite(&data, "SELECT number FROM audit_checkpoint").as_deref(), Ok("1"));
    tamper(&data, "UPDATE audit_checkpoint SET number = 0");
    let report = verify(&data);
    assert_eq!(report["first_fault"]["message"], "the note of the last checkpoint was altered");
}
