//! Invitations and password resets by mail, with a real SMTP server.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portunus_testkit::lines::Lines;
use portunus_testkit::session::log_in;
use portunus_testkit::upstream::free_port;
use portunus_testkit::{Call, Portunus, eventually};
use serde_json::json;

use crate::portunus;

const PASSWORD: &str = "a password of ada, long enough";
const DEADLINE: Duration = Duration::from_secs(30);

/// Debian's aiosmtpd, which prints the letters that it gets.
struct Postman {
    child: Child,
    letters: Lines,
}

impl Postman {
    fn start(port: u16) -> Self {
        let mut child = Command::new("aiosmtpd")
            .args(["-n", "-l", &format!("127.0.0.1:{port}")])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("aiosmtpd is installed by scripts/setup");
        let letters = Lines::follow(child.stdout.take().expect("standard output is piped"));
        eventually(DEADLINE, "the SMTP server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, letters }
    }

    /// The token in a letter that has this text in it.
    fn token(&self, after: usize) -> String {
        eventually(DEADLINE, "a letter with a link", || {
            // Long lines are folded with "=" at their ends.
            let text = self.letters.text().get(after..)?.replace("=\n", "").replace("=3D", "=");
            let (_, token) = text.split_once("/login/reset#")?;
            let token: String = token.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            (token.len() == 52).then_some(token)
        })
    }
}

impl Drop for Postman {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn with_ada(port: u16) -> Portunus {
    let process = portunus()
        .env("SMTP_URL", format!("smtp://127.0.0.1:{port}"))
        .env("MAIL_FROM", "Gate <gate@example.com>")
        .env("PORTUNUS_PUBLIC_URL", "https://gate.example.com")
        .start();
    process.api().create_user("default", "ada", PASSWORD, &["api:read"]);
    process
}

fn set(process: &Portunus, token: &str, password: &str) {
    let body = json!({"token": token, "new_password": password});
    Call::post(&process.api_url("/v1/login/reset")).json(&body).send().is(204);
}

#[test]
fn invitations_and_resets_come_by_mail() {
    let port = free_port();
    let postman = Postman::start(port);
    let process = with_ada(port);
    let answer = process.api().post("/v1/tenants/default/users/ada/invite", &json!({})).expect(200).json;
    assert!(answer["mailed"] == true && answer["link"].is_null(), "{answer}");
    let token = postman.token(0);
    let letter = postman.letters.text();
    for text in ["From: Gate <gate@example.com>", "To: ada@example.com", "https://gate.example.com/login/reset#", "ada"]
    {
        assert!(letter.contains(text), "{text}: {letter}");
    }
    set(&process, &token, "the first password that ada chose");
    let after = postman.letters.text().len();
    for email in ["nobody@example.com", "ADA@example.com"] {
        Call::post(&process.api_url("/v1/login/forgot")).json(&json!({"email": email})).send().is(202);
    }
    set(&process, &postman.token(after), "the second password that ada chose");
    log_in(&process.api_url(""), "ada", "the second password that ada chose").is(200);
    assert!(!postman.letters.text().contains("nobody@example.com"));
    assert!(!process.stdout().text().contains("ptn_once_"), "the log shows a token");
}

#[test]
fn a_letter_waits_for_a_server_that_is_down() {
    let port = free_port();
    let process = with_ada(port);
    process.api().post("/v1/tenants/default/users/ada/reset-password", &json!({})).is(200);
    process.wait_log(DEADLINE, |entry| entry.to_string().contains("mail_failed"));
    let postman = Postman::start(port);
    set(&process, &postman.token(0), "the password after the outage");
    log_in(&process.api_url(""), "ada", "the password after the outage").is(200);
}

#[test]
fn settings_that_cannot_send_mail_are_refused_at_the_start() {
    for (url, from) in [("https://mail.example.com", "a@example.com"), ("smtp://mail.example.com", "not an address")] {
        let output = portunus().env("SMTP_URL", url).env("MAIL_FROM", from).start_expecting_failure().expect(78);
        assert!(output.stderr.contains("SMTP_URL") || output.stderr.contains("MAIL_FROM"), "{}", output.stderr);
    }
}
