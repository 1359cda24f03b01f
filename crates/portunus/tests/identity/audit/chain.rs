//! The drill on the chain: whatever somebody does to the rows with the database's own tools, the first bad row is named.

use portunus_testkit::command::Run;
use serde_json::json;

use super::{broken_at, copy, data_of, recorded, sqlite, tamper, verify};
use crate::portunus;

#[test]
fn r08_an_edit_of_any_field_is_named() {
    let (_home, data, last) = recorded();
    let columns = sqlite(&data, "SELECT name FROM pragma_table_info('event')").expect("the columns can be listed");
    let columns: Vec<&str> = columns.lines().collect();
    assert_eq!(columns.len(), 21);
    let row = last / 2;
    for column in columns {
        let (_copy, data) = copy(&data);
        match column {
            // It is the key, so another number is a row that is missing and one too many.
            "sequence" => {
                tamper(&data, &format!("UPDATE event SET sequence = {} WHERE sequence = {row}", last + 10));
                broken_at(&data, row, "missing");
            }
            "at" | "count" | "store_revision" => {
                tamper(&data, &format!("UPDATE event SET {column} = {column} + 1 WHERE sequence = {row}"));
                broken_at(&data, row, "edited");
                tamper(&data, &format!("UPDATE event SET {column} = 'x' WHERE sequence = {row}"));
                broken_at(&data, row, "edited");
            }
            "seal" => {
                tamper(&data, &format!("UPDATE event SET seal = seal || '0' WHERE sequence = {row}"));
                broken_at(&data, row, "forged");
            }
            column => {
                tamper(&data, &format!("UPDATE event SET {column} = {column} || 'x' WHERE sequence = {row}"));
                broken_at(&data, row, "edited");
            }
        }
    }
}

#[test]
fn r08_missing_swapped_cut_and_forged_rows_are_named() {
    let (_home, data, last) = recorded();
    let spoil = |sql: &str, sequence: u64, fault: &str| {
        let (_copy, data) = copy(&data);
        tamper(&data, sql);
        broken_at(&data, sequence, fault);
    };
    spoil("DELETE FROM event WHERE sequence = 3", 3, "missing");
    spoil("DELETE FROM event WHERE sequence = 1", 1, "missing");
    spoil("DELETE FROM event WHERE sequence IN (4, 7)", 4, "missing");
    spoil("DELETE FROM event", 1, "missing");
    let swap = "UPDATE event SET sequence = -1 WHERE sequence = 3; UPDATE event SET sequence = 3 WHERE sequence = 6; \
                UPDATE event SET sequence = 6 WHERE sequence = -1";
    spoil(swap, 3, "moved");
    spoil(&format!("DELETE FROM event WHERE sequence = {last}"), last, "missing");
    spoil(&format!("DELETE FROM event WHERE sequence > {}", last - 3), last - 2, "missing");
    // The note of the end goes along, as far as somebody without the key can make one.
    let cut = format!(
        "DELETE FROM event WHERE sequence > {0}; UPDATE audit_head SET sequence = {0}, \
         hash = (SELECT hash FROM event WHERE sequence = {0})",
        last - 2
    );
    let (_copy, cut_data) = copy(&data);
    tamper(&cut_data, &cut);
    assert_eq!(verify(&cut_data)["first_fault"]["fault"], "head");
    let forged = format!(
        "INSERT INTO event SELECT {last} + 1, at, tenant_id, actor_kind, actor, actor_id, via, client, request_id, action, kind, \
         resource_id, resource_name, outcome, reason, count, details, store_revision, previous_hash, hash, seal \
         FROM event WHERE sequence = {last}"
    );
    spoil(&forged, last + 1, "moved");
}

#[test]
fn r08_a_suffix_with_right_hashes_is_named() {
    let (_home, data, last) = recorded();
    let (_copy, data) = copy(&data);
    let from = last - 3;
    tamper(&data, &format!("UPDATE event SET action = 'nothing.happened' WHERE sequence = {from}"));
    // Anybody can compute hashes; the seals stay as they are.
    let script = r#"
import hashlib, json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
start = int(sys.argv[2])
(previous,) = db.execute("SELECT hash FROM event WHERE sequence = ?", (start - 1,)).fetchone()
rows = db.execute("SELECT * FROM event WHERE sequence >= ? ORDER BY sequence", (start,)).fetchall()
for row in rows:
    fields = list(row[:18]) + [previous]
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    previous, before = hashlib.sha256(text.encode()).hexdigest(), previous
    db.execute("UPDATE event SET previous_hash = ?, hash = ? WHERE sequence = ?", (before, previous, row[0]))
db.execute("UPDATE audit_head SET hash = ?", (previous,))
db.commit()
"#;
    let file = data.join("portunus.db");
    let file = file.to_str().expect("a path in UTF-8");
    Run::new("python3").args(["-c", script, file, &from.to_string()]).output().expect(0);
    broken_at(&data, from, "forged");
    let report = verify(&data);
    assert!(report["first_fault"]["message"].as_str().is_some_and(|text| text.contains("seal")), "{report}");
}

#[test]
fn r08_an_exchanged_person_is_named() {
    let (_home, data, _) = recorded();
    let person = "(SELECT pseudonym FROM audit_person WHERE value = 'acme')";
    let first = sqlite(&data, &format!("SELECT MIN(sequence) FROM event WHERE resource_name = {person}"));
    let first: u64 = first.ok().and_then(|text| text.parse().ok()).expect("the consumer is in the record");
    for sql in [
        "UPDATE audit_person SET value = 'somebody-else' WHERE value = 'acme'".to_owned(),
        "UPDATE audit_person SET salt = 'x' WHERE value = 'acme'".to_owned(),
        "UPDATE audit_person SET salt = NULL, value = NULL WHERE value = 'acme'".to_owned(),
        "DELETE FROM audit_person WHERE value = 'acme'".to_owned(),
    ] {
        let (_copy, data) = copy(&data);
        tamper(&data, &sql);
        broken_at(&data, first, "person");
    }
}

#[test]
fn r08_a_running_process_finds_it_too() {
    let process = portunus().start();
    let admin = process.api();
    admin.post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    let whole = process.cli(&["audit", "verify"]).output().expect(0);
    assert!(whole.stdout.contains("the record is whole"), "{}", whole.stdout);
    process.cli(&["admin", "audit", "verify", "-o", "json"]).output().expect(0);
    tamper(&data_of(&process), "UPDATE event SET outcome = 'failed' WHERE sequence = 2");
    let broken = process.cli(&["audit", "verify"]).output().expect(1);
    assert!(broken.stdout.contains("first bad row: 2"), "{}", broken.stdout);
    let report = admin.get("/v1/audit/verify").expect(200).json;
    assert_eq!((&report["intact"], &report["first_fault"]["sequence"]), (&json!(false), &json!(2)));
    process.wait_log(std::time::Duration::from_secs(5), |line| line["message"] == "audit_chain_broken");
    let metrics = portunus_testkit::Call::get(&process.api_url("/metrics")).send().expect(200).text();
    assert!(metrics.contains("portunus_audit_broken 1"), "{metrics}");
}

#[test]
fn r08_a_start_on_a_broken_chain_says_so_and_goes_on() {
    let (home, data, last) = recorded();
    tamper(&data, &format!("DELETE FROM event WHERE sequence = {last}; UPDATE audit_head SET sequence = {}", last - 1));
    let process = portunus().data(&home).start();
    let line = process.wait_log(std::time::Duration::from_secs(5), |line| line["message"] == "audit_chain_broken");
    assert_eq!(line["level"], "error");
    process.api().post("/v1/tenants/default/consumers", &json!({"name": "later"})).is(201);
    // What was cut stays to be seen, however long the chain grows.
    process.cli(&["audit", "verify"]).output().expect(1);
    assert_eq!(process.stop(), Some(0));
    assert_eq!(verify(&data)["intact"], false);
}
