//! Old rows leave the database for sealed files, which stay part of the record.

use std::fs;

use serde_json::json;

use super::{broken_at, copy, data_of, sqlite, tamper, verify};
use crate::portunus;

#[test]
fn r08_sealed_segments_stay_verifiable() {
    let process = portunus().start();
    let admin = process.api();
    for n in 0..20 {
        admin.create_consumer(&format!("c{n}"));
    }
    let data = data_of(&process);
    assert_eq!(admin.post("/v1/audit/seal", &json!({"before": "1d"})).expect(200).json["rows"], 0);
    admin.post("/v1/audit/seal", &json!({"before": "whenever"})).is(422);
    let before = sqlite(&data, "SELECT COUNT(*) FROM event").expect("the rows can be counted");
    let sealed = process.cli(&["audit", "seal", "--older-than", "0s", "-o", "json"]).output().expect(0).json();
    assert!(sealed["rows"].as_u64() >= before.parse().ok(), "{sealed}");
    assert_eq!(sealed["segments"], 1);
    assert_eq!(sqlite(&data, "SELECT COUNT(*) FROM event").as_deref(), Ok("1"), "the sealing itself");
    admin.create_consumer("later");
    let report = admin.get("/v1/audit/verify").expect(200).json;
    assert_eq!((&report["intact"], &report["segments"]), (&json!(true), &json!(1)), "{report}");
    admin.post("/v1/audit/seal", &json!({"before": "0s"})).is(200);
    let home = process.home().clone();
    assert_eq!(process.stop(), Some(0));
    // The chain goes on after a start, also when every row is sealed.
    let process = portunus().data(&home).start();
    process.api().create_consumer("after");
    assert_eq!(process.stop(), Some(0));
    let report = verify(&data);
    assert_eq!((&report["intact"], &report["segments"]), (&json!(true), &json!(2)), "{report}");

    let file = sqlite(&data, "SELECT file FROM audit_segment ORDER BY first_sequence LIMIT 1").expect("a file");
    let second = sqlite(&data, "SELECT MAX(first_sequence) FROM audit_segment").expect("a number");
    let second: u64 = second.parse().expect("a number");
    let spoilt = |spoil: &dyn Fn(&std::path::Path)| {
        let (folder, data) = copy(&data);
        spoil(&data);
        (folder, data)
    };
    let (_copy, missing) = spoilt(&|data| fs::remove_file(data.join("audit").join(&file)).expect("the file is there"));
    broken_at(&missing, 1, "segment");
    let (_copy, altered) = spoilt(&|data| {
        let path = data.join("audit").join(&file);
        let script = "set -e; gunzip -c \"$0\" | sed '3s/success/failed/' | gzip > \"$0.new\"; mv \"$0.new\" \"$0\"";
        let run = portunus_testkit::command::Run::new("bash").args(["-c", script, path.to_str().expect("UTF-8")]);
        run.output().expect(0);
    });
    broken_at(&altered, 3, "edited");
    let (_copy, torn) = spoilt(&|data| {
        let path = data.join("audit").join(&file);
        let bytes = fs::read(&path).expect("the file can be read");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("the file can be written");
    });
    assert_eq!(verify(&torn)["first_fault"]["fault"], "segment");
    let (_copy, packed) = spoilt(&|data| {
        let path = data.join("audit").join(&file);
        let script = "set -e; gunzip -c \"$0\" | gzip -1 > \"$0.new\"; mv \"$0.new\" \"$0\"";
        let run = portunus_testkit::command::Run::new("bash").args(["-c", script, path.to_str().expect("UTF-8")]);
        run.output().expect(0);
    });
    broken_at(&packed, 1, "segment");
    let (_copy, entry) =
        spoilt(&|data| tamper(data, "UPDATE audit_segment SET sealed_at = 0 WHERE first_sequence > 1"));
    broken_at(&entry, second, "segment");
    let (_copy, gone) = spoilt(&|data| tamper(data, "DELETE FROM audit_segment WHERE first_sequence > 1"));
    broken_at(&gone, second, "missing");
}

#[test]
fn r08_a_broken_chain_is_not_sealed() {
    let process = portunus().start();
    let admin = process.api();
    admin.create_consumer("acme");
    tamper(&data_of(&process), "UPDATE event SET reason = 'x' WHERE sequence = 2");
    admin.post("/v1/audit/seal", &json!({"before": "0s"})).is(409);
    broken_at_running(&admin);
}

#[track_caller]
fn broken_at_running(admin: &portunus_testkit::Api) {
    let report = admin.get("/v1/audit/verify").expect(200).json;
    assert_eq!(report["first_fault"]["sequence"], 2, "{report}");
}
