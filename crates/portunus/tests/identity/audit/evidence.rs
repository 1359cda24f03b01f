//! Evidence for an investigation: nothing in it can be altered unseen.

use std::fs;
use std::path::{Path, PathBuf};

use portunus_testkit::Portunus;
use portunus_testkit::client::password;
use portunus_testkit::command::Run;
use portunus_testkit::gateway::ADMIN_PASSWORD;
use serde_json::{Value, json};

use crate::portunus;

const FILES: [&str; 13] = [
    "README.txt",
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "api-tokens.jsonl",
    "audit.jsonl",
    "checkpoints.jsonl",
    "history.jsonl",
    "manifest.json",
    "people.jsonl",
    "public-key.pem",
    "segments.jsonl",
    "sessions.jsonl",
    "verification.json",
];

fn unpack(home: &Path) -> PathBuf {
    let run = Run::new("tar").args(["-xzf", "evidence.tar.gz"]).folder(home);
    run.output().expect(0);
    home.join("portunus-evidence")
}

fn check(process: &Portunus, file: &str, more: &[&str], code: i32) -> Value {
    process.cli(&[&["evidence", "verify", file, "-o", "json"], more].concat()).output().expect(code).json()
}

#[test]
fn r09_evidence_is_signed_and_no_byte_of_it_can_be_altered_unseen() {
    let process = portunus().env("PORTUNUS_AUDIT_CHECKPOINT_SECONDS", "1").start();
    let admin = process.api();
    let user = json!({"name": "jane-roe", "email": "jane@example.com", "password": "correct horse battery staple 8"});
    admin.post("/v1/tenants/default/users", &user).is(201);
    password(&process.api_url(""), "admin", ADMIN_PASSWORD).is(200);
    admin.create_consumer("sealed-before");
    admin.post("/v1/audit/seal", &json!({"before": "0s"})).is(200);
    admin.create_consumer("acme");
    portunus_testkit::eventually(std::time::Duration::from_secs(10), "a checkpoint", || {
        let report = admin.get("/v1/audit/verify").expect(200).json;
        (report["checkpoints"].as_u64() >= Some(1)).then_some(())
    });
    process.cli(&["evidence", "export", "--since", "7d", "-f", "evidence.tar.gz"]).output().expect(0);
    let home = process.home().path();
    let found = check(&process, "evidence.tar.gz", &[], 0);
    assert_eq!((&found["intact"], &found["files"]), (&json!(true), &json!(FILES.len())), "{found}");

    let folder = unpack(home);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("the folder is there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(names, FILES);
    let text = |name: &str| fs::read_to_string(folder.join(name)).expect("a text");
    let audit = text("audit.jsonl");
    for wanted in ["sealed-before", "acme", "evidence.exported"] {
        assert!(audit.contains(wanted), "{wanted}: {audit}");
    }
    assert!(text("history.jsonl").contains("jane-roe") && text("people.jsonl").contains("jane-roe"));
    assert_eq!(text("segments.jsonl").lines().count(), 1);
    let sessions = text("sessions.jsonl");
    assert!(sessions.contains("\"user_id\"") && !sessions.contains("sha256"), "{sessions}");
    let all: String = FILES.iter().filter(|name| !name.ends_with(".sig")).map(|name| text(name)).collect();
    for secret in ["argon2", "password_hash", "secret_hash", "enc:1:"] {
        assert!(!all.contains(secret), "{secret} is in the evidence");
    }

    // What an investigator has at hand says the same.
    Run::new("sha256sum").args(["-c", "SHA256SUMS"]).folder(&folder).output().expect(0);
    let openssl = ["pkeyutl", "-verify", "-pubin", "-inkey", "public-key.pem", "-rawin", "-in", "SHA256SUMS"];
    let openssl = Run::new("openssl").args(openssl).args(["-sigfile", "SHA256SUMS.sig"]).folder(&folder);
    assert!(openssl.output().expect(0).stdout.contains("Successfully"));

    // The node's own key, got by another way.
    let key = admin.get("/v1/audit/verify").expect(200).json["public_key"].clone();
    fs::write(home.join("node.pem"), key.as_str().expect("a key")).expect("written");
    check(&process, "evidence.tar.gz", &["--public-key", "node.pem"], 0);

    for name in FILES {
        let path = folder.join(name);
        let whole = fs::read(&path).expect("a file");
        let mut spoilt = whole.clone();
        match spoilt.len() {
            0 => spoilt.push(b'x'),
            length => spoilt[length / 2] ^= 1,
        }
        fs::write(&path, &spoilt).expect("written");
        let pack = Run::new("tar").args(["-czf", "spoilt.tar.gz", "portunus-evidence"]).folder(home);
        pack.output().expect(0);
        let found = check(&process, "spoilt.tar.gz", &["--public-key", "node.pem"], 1);
        let faults = found["faults"].to_string();
        assert!(faults.contains(name), "{name}: {faults}");
        fs::write(&path, &whole).expect("written");
    }
    fs::write(folder.join("more.txt"), "x").expect("written");
    fs::remove_file(folder.join("sessions.jsonl")).expect("removed");
    Run::new("tar").args(["-czf", "spoilt.tar.gz", "portunus-evidence"]).folder(home).output().expect(0);
    let faults = check(&process, "spoilt.tar.gz", &[], 1)["faults"].to_string();
    assert!(faults.contains("more.txt: it was added") && faults.contains("sessions.jsonl: it is missing"), "{faults}");
}

#[test]
fn r09_evidence_needs_the_right_to_see_everything() {
    let process = portunus().start();
    let admin = process.api();
    let insider = admin.account("default", "insider", &["*:*"]);
    insider.get("/v1/audit/evidence?since=1d").is(403);
    let auditor = admin.account("platform", "auditor", &["audit:read"]);
    auditor.get("/v1/audit/evidence?since=1d").is(403);
    admin.get("/v1/audit/evidence").is(400);
    admin.get("/v1/audit/evidence?since=1d&secrets=yes").is(400);
    admin.get("/v1/audit/evidence?since=1d").is(200);
}
