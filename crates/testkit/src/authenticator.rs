//! Second factors as people have them: an app that shows codes, and security keys in a browser.
//!
//! Codes are reckoned by oathtool, so that the product's own reckoning is not judged by itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::command::Run;
use crate::poll::eventually;

/// Seconds of one time step.
const STEP: u64 = 30;

/// An authenticator app with one secret.
pub struct App {
    secret: String,
    next: u64,
}

impl App {
    /// An app that was given this secret, in base32.
    pub fn new(secret: &str) -> Self {
        Self { secret: secret.to_owned(), next: 0 }
    }

    /// The code of the next time step that was not yet asked for; waits until a server takes it, which it does from one
    /// step before.
    pub fn code(&mut self) -> String {
        // Early in a step there is time for the code of the step before.
        let oldest = if now() % STEP < STEP / 2 { now() / STEP - 1 } else { now() / STEP };
        let step = self.next.max(oldest);
        let limit = Duration::from_secs(2 * STEP);
        eventually(limit, "a time step", || (now() / STEP + 1 >= step).then_some(()));
        self.next = step + 1;
        self.code_of(step)
    }

    /// The code of this many steps from now; waits until there is time to use it.
    pub fn code_at(&self, offset: i64) -> String {
        eventually(Duration::from_secs(STEP), "a fresh time step", || (now() % STEP < STEP / 2).then_some(()));
        self.code_of((now() / STEP).saturating_add_signed(offset))
    }

    fn code_of(&self, step: u64) -> String {
        let time = format!("@{}", step * STEP);
        let run = Run::new("/usr/bin/oathtool").args(["--totp", "--base32", "--now", &time, &self.secret]);
        run.output().expect(0).stdout.trim().to_owned()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

/// A security key that is plugged into a browser; its owner touches it and gives its PIN at once.
pub struct SecurityKey<'a> {
    browser: &'a Browser,
    id: String,
}

impl<'a> SecurityKey<'a> {
    /// Plugs a new one in.
    pub fn plug_in(browser: &'a Browser) -> Self {
        let answer = browser.command(
            "POST",
            "/webauthn/authenticator",
            &json!({
                "protocol": "ctap2",
                "transport": "usb",
                "hasResidentKey": false,
                "hasUserVerification": true,
                "isUserConsenting": true,
                "isUserVerified": true,
            }),
        );
        let id = answer.as_str().unwrap_or_else(|| panic!("no authenticator: {answer}")).to_owned();
        Self { browser, id }
    }

    /// What it holds, private keys included.
    pub fn credentials(&self) -> Vec<Value> {
        let path = format!("/webauthn/authenticator/{}/credentials", self.id);
        self.browser.command("GET", &path, &Value::Null).as_array().cloned().unwrap_or_default()
    }

    /// Puts a credential into it.
    pub fn add(&self, credential: &Value) {
        let path = format!("/webauthn/authenticator/{}/credential", self.id);
        self.browser.command("POST", &path, credential);
    }

    /// Unplugs it.
    pub fn unplug(self) {
        self.browser.command("DELETE", &format!("/webauthn/authenticator/{}", self.id), &Value::Null);
    }
}
