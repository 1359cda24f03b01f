//! The limits as settings: shown, documented, and checked at the start.

use std::fs;
use std::path::Path;

use portunus_testkit::command::Run;

use crate::{BINARY, portunus};

/// Each limit, a value that it can have, and some that it cannot.
const LIMITS: [(&str, u64, &[&str]); 16] = [
    ("MAX_HEAD_BYTES", 2048, &["1023", "1048577", "64k"]),
    ("MAX_HEAD_FIELDS", 64, &["0", "257", "many"]),
    ("MAX_URI_BYTES", 512, &["255", "1048577", "-1"]),
    ("MAX_BODY_BYTES", 4096, &["-1", "1 GiB", "0x10"]),
    ("FIRST_BYTE_TIMEOUT_MS", 1, &["0", "86400001", "10s"]),
    ("HEAD_TIMEOUT_MS", 2, &["0", "86400001", "1.5"]),
    ("BODY_TIMEOUT_MS", 3, &["0", "86400001", "-3"]),
    ("WRITE_TIMEOUT_MS", 4, &["0", "86400001", "soon"]),
    ("IDLE_TIMEOUT_MS", 5, &["0", "86400001", "1e3"]),
    ("WEBSOCKET_TIMEOUT_MS", 6, &["0", "86400001", "1h"]),
    ("HALF_CLOSE_TIMEOUT_MS", 7, &["0", "86400001", "off"]),
    ("MAX_REQUESTS_PER_CONNECTION", 8, &["-1", "ten", "1,000"]),
    ("MAX_CONNECTIONS", 9, &["-1", "all", "1_000"]),
    ("MAX_CONNECTIONS_PER_ADDRESS", 10, &["-1", "none", "2.0"]),
    ("MAX_REQUESTS_IN_FLIGHT", 11, &["-1", "unbounded", "1e9"]),
    ("MAX_STREAMS_PER_CONNECTION", 12, &["0", "10001", "4294967296"]),
];

#[test]
fn what_cannot_be_is_refused_at_the_start_in_a_sentence_each() {
    for round in 0..3 {
        let mut builder = portunus();
        for (name, _, wrong) in LIMITS {
            builder = builder.env(&format!("PORTUNUS_{name}"), wrong[round]);
        }
        let output = builder.start_expecting_failure().expect(78);
        let lines: Vec<&str> =
            output.stderr.lines().filter(|line| line.contains("PORTUNUS_M") || line.contains("_MS")).collect();
        assert_eq!(lines.len(), LIMITS.len(), "{}", output.stderr);
        for (name, _, wrong) in LIMITS {
            let about: Vec<_> = lines.iter().filter(|line| line.contains(&format!("PORTUNUS_{name}:"))).collect();
            assert_eq!(about.len(), 1, "one sentence about {name}: {}", output.stderr);
            assert!(about[0].contains(wrong[round]), "{name} does not name {}: {}", wrong[round], about[0]);
        }
    }
}

#[test]
fn what_is_in_force_is_shown() {
    let mut run = Run::new(BINARY).args(["config", "show", "-o", "json"]);
    for (name, value, _) in LIMITS {
        run = run.env(format!("PORTUNUS_{name}"), value.to_string());
    }
    let shown = run.output().expect(0).json();
    let settings = shown["settings"].as_array().expect("a list of settings");
    for (name, value, _) in LIMITS {
        let variable = format!("PORTUNUS_{name}");
        let entry = settings.iter().find(|entry| entry["variable"] == variable.as_str());
        let entry = entry.unwrap_or_else(|| panic!("{variable} is not shown"));
        assert_eq!(entry["value"], value, "{entry}");
        assert_eq!(entry["source"], format!("environment {variable}"), "{entry}");
    }
}

#[test]
fn the_pages_name_each_limit_with_its_default() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let shown = Run::new(BINARY).args(["config", "show", "-o", "json"]).output().expect(0).json();
    let settings = shown["settings"].as_array().expect("a list of settings");
    for page in ["http.md", "reference/settings.md"] {
        let text = fs::read_to_string(docs.join(page)).expect("the page is there");
        for (name, _, _) in LIMITS {
            let variable = format!("`PORTUNUS_{name}`");
            let entry = settings
                .iter()
                .find(|entry| format!("`{}`", entry["variable"].as_str().unwrap_or_default()) == variable);
            let default = format!("`{}`", entry.unwrap_or_else(|| panic!("{variable} is not shown"))["value"]);
            let row = text.lines().find(|line| line.contains(&variable) && line.contains(&default));
            assert!(row.is_some(), "{page} has no row with {variable} and {default}");
        }
    }
}
