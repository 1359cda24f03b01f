//! `portunus health`: whether a running process is well, for people, cron and container health checks.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use portunus_gateway::clock;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::client::{base, http};
use crate::command::block_on;
use crate::fault::FAILED;
use crate::output;

const AFTER_HELP: &str = "\
Prints one line. Exit codes: 0 healthy, 1 not: then the line begins with ALERT, and its code is
000 when nothing answered.

Examples:
  portunus health
  portunus health --url http://127.0.0.1:8080
  portunus health > alert.txt || mail -s 'Portunus Alert' you@example.com < alert.txt";

/// Ask a running process whether it is well
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// How many seconds the answer may take
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

/// Asks and prints one line.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    block_on(async {
        let mut url = base(&context.url)?;
        url.path_segments_mut().expect("the scheme is checked in base()").pop_if_empty().push("health");
        let client = http(&url, Duration::from_secs(args.timeout))?;
        let answer = client.get(url.clone()).send().await;
        let code = answer.as_ref().ok().map(reqwest::Response::status);
        let body: Value = match answer {
            Ok(answer) => answer.json().await.unwrap_or(Value::Null),
            Err(_) => Value::Null,
        };
        let is_healthy = code == Some(StatusCode::OK);
        let now = clock::now();
        let report = json!({
            "url": url.as_str(), "healthy": is_healthy, "code": code.map_or(0, |code| code.as_u16()), "time": now.to_string(), "answer": body,
        });
        output::show(context.format(), &report, || line(&url, code, &body, now))?;
        Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    })
}

fn line(url: &Url, code: Option<StatusCode>, body: &Value, now: Timestamp) -> String {
    if code != Some(StatusCode::OK) {
        let code = code.map_or_else(|| "000".to_owned(), |code| code.as_str().to_owned());
        return format!("ALERT: {url} returned {code} at {now:.0}");
    }
    let version =
        body["version"].as_str().map(|version| format!(", version {}", output::clean(version))).unwrap_or_default();
    let uptime = body["uptime_seconds"].as_u64().map(|seconds| format!(", up {seconds} s")).unwrap_or_default();
    format!("OK: {url}{version}{uptime}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_a_pager_needs() {
        let url = Url::parse("http://127.0.0.1:8080/health").unwrap();
        let now: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let of = |code: Option<u16>, body| line(&url, code.map(|code| StatusCode::from_u16(code).unwrap()), &body, now);
        assert_eq!(
            of(Some(503), Value::Null),
            "ALERT: http://127.0.0.1:8080/health returned 503 at 2026-01-02T03:04:05Z"
        );
        assert_eq!(of(None, Value::Null), "ALERT: http://127.0.0.1:8080/health returned 000 at 2026-01-02T03:04:05Z");
        let body = json!({"status": "ok", "version": "0.1.0", "uptime_seconds": 7});
        assert_eq!(of(Some(200), body), "OK: http://127.0.0.1:8080/health, version 0.1.0, up 7 s");
    }
}
