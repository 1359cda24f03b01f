//! A real headless Chromium, driven through chromedriver's W3C WebDriver interface.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::call::Call;
use crate::command::clean;
use crate::lines::Lines;

const DRIVER: &str = "/usr/bin/chromedriver";
const CHROMIUM: &str = "/usr/bin/chromium";
/// A browser's first start on a busy machine takes a while.
const DEADLINE: Duration = Duration::from_secs(60);

/// One browser with a profile of its own. It ends when it is dropped.
pub struct Browser {
    driver: Child,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts chromedriver on a free port and a fresh browser in it.
    ///
    /// # Panics
    /// When either does not start.
    pub fn start() -> Self {
        let profile = TempDir::with_prefix("portunus-browser-").expect("a temporary folder can be made");
        let mut driver = clean(Path::new(DRIVER))
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed by scripts/setup");
        let lines = Lines::follow(driver.stdout.take().expect("standard output is piped"));
        let port = lines.wait(DEADLINE, |line| {
            let rest = line.split_once("started successfully on port ")?.1;
            rest.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.unwrap_or_else(|| panic!("chromedriver did not start: {}", lines.text()));
        let base = format!("http://127.0.0.1:{port}/session");
        let answer = command("POST", &base, &capabilities(&profile));
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        Self { driver, session: format!("{base}/{id}"), _profile: profile }
    }

    /// Loads a page and waits until it is there.
    pub fn goto(&self, url: &str) {
        command("POST", &format!("{}/url", self.session), &json!({"url": url}));
    }

    /// Runs the body of an async function in the page and gives what it resolves to.
    ///
    /// # Panics
    /// With the error, when the script throws.
    pub fn run(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async () => {{ {body} }})().then(v => done({{value: v === undefined ? null : v}}), e => done({{error: String(e)}}));"
        );
        let url = format!("{}/execute/async", self.session);
        let answer = command("POST", &url, &json!({"script": script, "args": []}));
        assert!(answer["error"].is_null(), "the script failed: {answer}");
        answer["value"].clone()
    }

    /// Any command of WebDriver in this browser's session; gives the `value` of the answer.
    pub fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        command(method, &format!("{}{path}", self.session), body)
    }

    /// A picture of the page, as PNG in base64.
    pub fn screenshot(&self) -> String {
        let answer = command("GET", &format!("{}/screenshot", self.session), &Value::Null);
        answer.as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(Call::new("DELETE", &self.session).deadline(Duration::from_secs(5)).try_send());
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

fn capabilities(profile: &TempDir) -> Value {
    let folder = format!("--user-data-dir={}", profile.path().join("profile").display());
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "timeouts": {"script": 30_000, "pageLoad": 30_000},
        "goog:chromeOptions": {"binary": CHROMIUM, "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", folder,
        ]},
    }}})
}

/// One WebDriver command; gives the `value` of the answer.
fn command(method: &str, url: &str, body: &Value) -> Value {
    let call = Call::new(method, url).deadline(DEADLINE);
    let call = if body.is_null() { call } else { call.json(body) };
    let mut answer = call.send().expect(200);
    answer.json["value"].take()
}
