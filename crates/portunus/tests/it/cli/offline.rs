//! Commands that need no running process.

use std::fs;

use portunus_testkit::command::Run;
use portunus_testkit::gateway::new_data;
use serde_json::Value;

use crate::BINARY;

fn run(args: &[&str]) -> Run {
    let nowhere = std::env::temp_dir();
    Run::new(BINARY).args(args).env("HOME", &nowhere).folder(&nowhere)
}

#[test]
fn version_is_told_in_words_and_in_json() {
    let words = run(&["version"]).output().expect(0).stdout;
    let json = run(&["version", "-o", "json"]).output().expect(0).json();
    let version = json["version"].as_str().expect("a version");
    assert!(words.contains(version), "{words}");
    assert!(run(&["--version"]).output().expect(0).stdout.contains(version));
}

#[test]
fn help_names_every_command() {
    let help = run(&["--help"]).output().expect(0).stdout;
    for command in
        ["serve", "apply", "diff", "get", "delete", "export", "health", "keys", "config", "completion", "version"]
    {
        assert!(help.contains(&format!("\n  {command}")), "{command} is missing: {help}");
        run(&[command, "--help"]).output().expect(0);
    }
}

#[test]
fn completion_scripts_are_accepted_by_the_shell() {
    let script = run(&["completion", "bash"]).output().expect(0).stdout;
    assert!(script.contains("portunus") && script.contains("apply"), "{script}");
    Run::new("/bin/bash").args(["-n"]).input(script).output().expect(0);
    for shell in ["zsh", "fish"] {
        assert!(!run(&["completion", shell]).output().expect(0).stdout.is_empty(), "{shell}");
    }
}

#[test]
fn a_wrong_call_is_2() {
    for args in [&["fly"][..], &[], &["get"], &["get", "--no-such-flag"], &["completion", "tcsh-2"], &["apply"]] {
        let output = run(args).output().expect(2);
        assert!(!output.stderr.is_empty() && !output.stderr.contains("panicked"), "{args:?}: {}", output.stderr);
    }
}

#[test]
fn config_check_finds_every_fault_without_a_process() {
    let home = new_data();
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        fs::write(&path, text).expect("a file can be written");
        path.display().to_string()
    };
    let manifest = |kind: &str, spec: &str| {
        format!("apiVersion: portunus.dev/v1\nkind: {kind}\nmetadata: {{tenant: default, name: a}}\nspec: {spec}\n")
    };
    let good =
        write("good.yaml", &manifest("Api", "{base_path: /a, upstream: {targets: [{url: \"http://127.0.0.1:9\"}]}}"));
    let settings = write("portunus.yaml", "log_level: debug\n");
    run(&["config", "check", &good, &settings]).output().expect(0);
    let bad = write("bad.yaml", &manifest("Api", "{base_path: nope, colour: red}"));
    let worse = write("worse.yaml", &manifest("Policy", "{policy_type: rate_limit, config: {brust: 1}}"));
    let odd = write("odd.yaml", "log_level: loud\ncolour: red\n");
    let output = run(&["config", "check", &bad, &worse, &odd]).output().expect(78);
    let all = output.stderr;
    for word in ["bad.yaml", "base_path", "nope", "colour", "upstream", "worse.yaml", "brust", "odd.yaml", "loud"] {
        assert!(all.contains(word), "{word} is missing: {all}");
    }
    let json = run(&["config", "check", &bad, "-o", "json"]).output().expect(78).json();
    assert_eq!(json["valid"], false);
    assert!(json["faults"].as_array().is_some_and(|faults| faults.len() >= 2), "{json}");
}

#[test]
fn config_check_looks_at_the_environment_that_serve_would_have() {
    run(&["config", "check"]).output().expect(0);
    let output =
        run(&["config", "check"]).env("PORTUNUS_LISTEN", "nonsense").env("PORTUNUS_X", "1").output().expect(78);
    assert!(output.stderr.contains("PORTUNUS_LISTEN") && output.stderr.contains("PORTUNUS_X"), "{}", output.stderr);
}

#[test]
fn config_schema_describes_settings_and_manifests() {
    let settings = run(&["config", "schema"]).output().expect(0).json();
    assert!(settings["properties"]["listen"].is_object(), "{settings}");
    let manifest = run(&["config", "schema", "manifest"]).output().expect(0).stdout;
    for kind in ["Api", "Upstream", "Policy", "Binding", "Plan", "Consumer", "Subscription", "Credential"] {
        assert!(manifest.contains(&format!("\"{kind}\"")), "{kind} is missing");
    }
    serde_json::from_str::<Value>(&manifest).expect("a schema is JSON");
}

#[test]
fn config_show_tells_value_and_source_and_no_secret() {
    let show = run(&["config", "show", "-o", "json", "--log-level", "warn"])
        .env("PORTUNUS_WORKERS", "3")
        .env("PORTUNUS_ADMIN_PASSWORD", "do-not-show-this-1")
        .output()
        .expect(0);
    assert!(!show.stdout.contains("do-not-show-this"), "{}", show.stdout);
    let json = show.json();
    let settings = json["settings"].as_array().expect("settings");
    let of = |key: &str| settings.iter().find(|setting| setting["setting"] == key).expect("the setting").clone();
    assert_eq!(of("workers")["value"], 3);
    assert!(of("workers")["source"].as_str().is_some_and(|source| source.contains("PORTUNUS_WORKERS")));
    assert_eq!(of("log_level")["value"], "warn");
    assert!(of("log_level")["source"].as_str().is_some_and(|source| source.contains("log-level")));
    let table = run(&["config", "show"]).output().expect(0).stdout;
    assert!(table.contains("listen") && table.contains("0.0.0.0:8080"), "{table}");
}

#[test]
fn a_command_that_finds_nobody_says_so() {
    let url = portunus_testkit::upstream::refused_url();
    let output = run(&["get", "apis", "--url", &url]).env("PORTUNUS_TOKEN", "x").output().expect(1);
    let text = output.stderr.to_lowercase();
    assert!(text.contains(&url) && text.contains("connect"), "{text}");
    assert!(!text.contains("error {") && !text.contains("panicked"), "{text}");
    let output = run(&["get", "apis", "--url", &url]).output();
    assert!(output.code.is_some_and(|code| code != 0) && output.stderr.contains("PORTUNUS_TOKEN"), "{output:?}");
}
