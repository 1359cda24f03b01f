//! The README's tour and the script for cron, run as they are written.

use std::fs;
use std::path::{Path, PathBuf};

use portunus_testkit::command::Run;
use portunus_testkit::gateway::CLIENT_SECRET;
use portunus_testkit::upstream::refused_url;

use crate::{BINARY, Gate, portunus};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shell blocks of a section of the README.
fn blocks(section: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let start = text.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section:?}"));
    let rest = &text[start + 4..];
    let body = &rest[..rest.find("\n## ").unwrap_or(rest.len())];
    body.split("```bash\n").skip(1).filter_map(|block| block.split("\n```").next()).map(str::to_owned).collect()
}

#[test]
fn the_tour_of_the_readme_does_what_it_says() {
    let Gate { process, upstream, .. } = Gate::start();
    let blocks = blocks("A tour of five minutes");
    let (python, tour) = blocks.split_first().expect("the tour has blocks");
    assert!(python.contains("9000"), "{python}");
    let script = tour
        .join("\n")
        .replace("http://127.0.0.1:8000", &process.api_url(""))
        .replace("http://127.0.0.1:8080", &process.gw_url(""))
        .replace("http://127.0.0.1:9000", &upstream.url())
        .replace("CLIENT_SECRET=...", &format!("CLIENT_SECRET={CLIENT_SECRET}"));
    let output = Run::new("/bin/bash").args(["-eu", "-o", "pipefail", "-c", &script]).output().expect(0);
    let text = output.stdout;
    let codes: Vec<&str> = text.lines().filter(|line| line.len() == 3 && line.parse::<u16>().is_ok()).collect();
    assert_eq!(codes, ["200", "200", "200", "200", "200", "429", "429"], "{text}");
    let heads: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)).collect();
    assert_eq!(heads, ["200", "401", "200"], "{text}");
    assert!(!text.contains("\"errors\""), "{text}");
}

#[test]
fn s07_the_cron_script_is_silent_or_one_line_of_alarm() {
    let process = portunus().start();
    let script = repository().join("deploy/check-portunus.sh");
    let run = |url: &str| {
        let run = Run::new("/bin/bash").args([&script]).env("PORTUNUS_BIN", BINARY);
        run.env("PORTUNUS_GATEWAY_URL", url).output()
    };
    let well = run(&process.gw_url("")).expect(0);
    assert_eq!(well.stdout, "");
    let ill = run(&refused_url()).expect(1);
    assert_eq!(ill.stdout.lines().count(), 1, "{}", ill.stdout);
    assert!(ill.stdout.starts_with("ALERT: ") && ill.stdout.contains(" returned "), "{}", ill.stdout);
}
