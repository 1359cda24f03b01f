//! As much load as the machine gives, made by `wrk`, which costs less than a client of our own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::command::clean;

/// Counts the answers by status, and prints all as one line of JSON at the end.
const SCRIPT: &str = r#"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() statuses = {} end
function response(status)
  local name = tostring(status)
  statuses[name] = (statuses[name] or 0) + 1
end
function done(summary)
  local all = {}
  for _, thread in ipairs(threads) do
    for name, count in pairs(thread:get("statuses")) do all[name] = (all[name] or 0) + count end
  end
  local fields = {}
  for name, count in pairs(all) do table.insert(fields, string.format('"%s":%d', name, count)) end
  local errors = summary.errors
  io.write(string.format('\njson {"statuses":{%s},"connect":%d,"read":%d,"write":%d,"timeout":%d,"seconds":%f}\n',
    table.concat(fields, ","), errors.connect, errors.read, errors.write, errors.timeout, summary.duration / 1e6))
end
"#;

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    answer: Value,
}

impl Outcome {
    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u64 {
        self.answer["statuses"][status.to_string()].as_u64().unwrap_or_default()
    }

    /// How many answers there were.
    pub fn total(&self) -> u64 {
        let statuses = self.answer["statuses"].as_object().into_iter().flat_map(|statuses| statuses.values());
        statuses.filter_map(Value::as_u64).sum()
    }

    /// How many requests got no answer: not connected, broken off, or too late.
    pub fn unanswered(&self) -> u64 {
        ["connect", "read", "write", "timeout"].iter().filter_map(|kind| self.answer[kind].as_u64()).sum()
    }

    /// How long the load flowed, in seconds.
    pub fn seconds(&self) -> f64 {
        self.answer["seconds"].as_f64().unwrap_or_default()
    }
}

/// Lets `connections` clients ask for `url`, each as soon as it has its answer, for so long.
///
/// # Panics
/// When `wrk` cannot be run or does not say what came of it.
pub fn flood(url: &str, connections: usize, duration: Duration) -> Outcome {
    let folder = tempfile::TempDir::with_prefix("portunus-wrk-").expect("a temporary folder can be made");
    let script = folder.path().join("count.lua");
    std::fs::write(&script, SCRIPT).expect("a temporary file can be written");
    let output = clean(Path::new("wrk"))
        .args(["-t2", &format!("-c{connections}"), &format!("-d{}s", duration.as_secs()), "--timeout", "10s", "-s"])
        .arg(&script)
        .arg(url)
        .stdin(Stdio::null())
        .output();
    let output = output.expect("wrk is installed by scripts/setup");
    let said = String::from_utf8_lossy(&output.stdout);
    let answer =
        said.lines().find_map(|line| line.strip_prefix("json ")).and_then(|json| serde_json::from_str(json).ok());
    Outcome {
        answer: answer.unwrap_or_else(|| panic!("no figures: {said} {}", String::from_utf8_lossy(&output.stderr))),
    }
}
