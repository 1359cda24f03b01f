//! The fuzzers of `fuzz/`, a minute each.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::figure;

const SECONDS: &str = "60";

/// Runs one fuzzer; it ends well when it found nothing.
fn fuzz(target: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/run");
    let output = Command::new(script).args([target, SECONDS]).stdin(Stdio::null()).output();
    let output = output.expect("fuzz/run can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    figure(&format!("fuzz_{target}_inputs"), runs.map_or("0", str::trim), "inputs");
    assert!(output.status.success() && runs.is_some(), "{said}");
}

#[test]
fn fuzz_path() {
    fuzz("path");
}

#[test]
fn fuzz_routes() {
    fuzz("routes");
}

#[test]
fn fuzz_manifest() {
    fuzz("manifest");
}

#[test]
fn fuzz_headers() {
    fuzz("headers");
}

#[test]
fn fuzz_http1_head() {
    fuzz("http1_head");
}

#[test]
fn fuzz_http1_answer() {
    fuzz("http1_answer");
}

#[test]
fn fuzz_http1_body() {
    fuzz("http1_body");
}
