//! Second factors and step-up.

mod backup_codes;
mod limits;
mod policy;
mod step_up;
mod totp;
mod webauthn;

use portunus_testkit::authenticator::App;
use portunus_testkit::command::Run;
use portunus_testkit::{Answer, Call, Portunus};
use serde_json::{Value, json};

/// The password of everybody.
const PASSWORD: &str = "a long enough password";

/// A person with an account.
struct Person<'a> {
    process: &'a Portunus,
    name: String,
    id: String,
}

/// A person who is logged in.
struct Session {
    base: String,
    token: String,
}

impl<'a> Person<'a> {
    /// Makes an account of the tenant `default` with a role of these permissions.
    fn new(process: &'a Portunus, name: &str, permissions: &[&str]) -> Self {
        let admin = process.api();
        let role = json!({"name": format!("{name}-role"), "permissions": permissions});
        admin.create("roles", &role);
        let user = json!({
            "name": name,
            "email": format!("{name}@example.org"),
            "password": PASSWORD,
            "roles": [format!("{name}-role")],
        });
        let user = admin.create("users", &user);
        Self { process, name: name.to_owned(), id: user["id"].as_str().expect("an id").to_owned() }
    }

    /// Tries to log in with the password.
    fn password(&self) -> Answer {
        let body = json!({"username": self.name, "password": PASSWORD});
        Call::post(&self.process.api_url("/v1/login")).json(&body).send()
    }

    /// Logs in with the password alone.
    #[track_caller]
    fn log_in(&self) -> Session {
        Session::of(self.process, &self.password().expect(200))
    }

    /// Shows the password and gives the token for the second factor.
    #[track_caller]
    fn half_way(&self) -> String {
        let answer = self.password().problem(401, "second_factor_required");
        answer.json["mfa_token"].as_str().expect("a token").to_owned()
    }

    /// Completes a login with what is in `factor`.
    fn second_half(&self, token: &str, factor: &Value) -> Answer {
        let mut body = factor.clone();
        body["mfa_token"] = json!(token);
        Call::post(&self.process.api_url("/v1/login/mfa")).json(&body).send()
    }

    /// Logs in with the password and a code.
    #[track_caller]
    fn log_in_with(&self, app: &mut App) -> Session {
        let answer = self.second_half(&self.half_way(), &json!({"code": app.code()})).expect(200);
        Session::of(self.process, &answer)
    }

    /// Logs in and sets an app up.
    #[track_caller]
    fn enrol(&self) -> (Session, App) {
        let session = self.log_in();
        let app = session.enrol();
        (session, app)
    }
}

impl Session {
    fn of(process: &Portunus, answer: &Answer) -> Self {
        let token = answer.json["access_token"].as_str().expect("an access token").to_owned();
        Self { base: process.api_url(""), token }
    }

    fn call(&self, method: &str, path: &str) -> Call {
        Call::new(method, &format!("{}{path}", self.base)).bearer(&self.token)
    }

    fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send()
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send()
    }

    fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send()
    }

    /// Sets an app up and confirms it.
    #[track_caller]
    fn enrol(&self) -> App {
        let made = self.post("/v1/me/mfa/totp", &json!({"label": "phone"})).expect(201).json;
        let mut app = App::new(made["secret"].as_str().expect("a secret"));
        let id = made["id"].as_str().expect("an id");
        self.post(&format!("/v1/me/mfa/totp/{id}/confirm"), &json!({"code": app.code()})).is(200);
        app
    }

    /// New backup codes.
    #[track_caller]
    fn backup_codes(&self) -> Vec<String> {
        let made = self.post("/v1/me/mfa/backup-codes", &json!({})).expect(201).json;
        made["codes"].as_array().into_iter().flatten().filter_map(|code| code.as_str().map(str::to_owned)).collect()
    }

    fn step_up(&self, factor: &Value) -> Answer {
        self.post("/v1/me/step-up", factor)
    }
}

/// Runs SQL on the store of a running process.
fn sql(process: &Portunus, sql: &str) -> String {
    let file = process.home().path().join("data/portunus.db");
    let file = file.to_str().expect("a path in UTF-8");
    Run::new("sqlite3").args(["-cmd", ".timeout 5000", file, sql]).output().expect(0).stdout
}

/// How often the record has an action.
fn events(process: &Portunus, action: &str) -> usize {
    sql(process, &format!("SELECT COUNT(*) FROM event WHERE action = '{action}'")).trim().parse().expect("a number")
}

/// Lets all second factors that were shown in sessions grow old.
fn let_factors_grow_old(process: &Portunus) {
    sql(process, "UPDATE session SET stepped_up_at = stepped_up_at - 601000000");
}

/// Runs the same thing this many times at once and gives the statuses.
fn at_once(times: usize, call: impl Fn() -> Answer + Sync) -> Vec<u16> {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..times).map(|_| scope.spawn(|| call().status)).collect();
        all.into_iter().map(|one| one.join().expect("a status")).collect()
    })
}
