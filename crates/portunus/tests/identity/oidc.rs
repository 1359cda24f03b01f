//! A certified OpenID provider outside (npm `oidc-provider`), and what comes from it.

mod bearer;
mod login;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use portunus_testkit::command::Run;
use portunus_testkit::{Answer, Builder, Call, Portunus};
use serde_json::{Value, json};

use crate::portunus;

/// Where the process says it is reached.
const PUBLIC: &str = "http://portunus.test";

/// The audience of access tokens for APIs.
const AUDIENCE: &str = "portunus-api";

/// The packages that scripts/setup has installed.
fn modules() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = cache.expect("there is a home").join("portunus/npm/node_modules");
    assert!(folder.join("oidc-provider").is_dir(), "{} is missing: run scripts/setup", folder.display());
    folder
}

/// A provider. Dropping it ends it.
struct Outside {
    child: Child,
    /// Read no more, but closed it would end the provider.
    _stdout: BufReader<ChildStdout>,
    issuer: String,
}

impl Drop for Outside {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Outside {
    fn start() -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/identity/oidc/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(modules())
            .arg(format!("{PUBLIC}/v1/login/oidc/callback"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("node is installed by scripts/setup");
        let mut issuer = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        stdout.read_line(&mut issuer).expect("the provider says where it listens");
        Self { child, _stdout: stdout, issuer: issuer.trim().to_owned() }
    }

    /// Opens one of the doors that a provider does not have.
    fn ask(&self, door: &str, body: &Value) -> String {
        Call::post(&format!("{}/test/{door}", self.issuer)).json(body).send().expect(200).text()
    }

    /// A token with these claims, signed as it should be unless `how` says otherwise.
    fn sign(&self, ask: &Value) -> String {
        self.ask("sign", ask)
    }

    /// An identity provider of the platform in a process, named `outside`, with these fields besides the necessary ones.
    fn connect(&self, process: &Portunus, fields: &Value) -> Value {
        let body = self.fields(fields);
        process.api().post("/v1/tenants/platform/identity-providers", &body).expect(201).json
    }

    fn fields(&self, fields: &Value) -> Value {
        let mut body = json!({
            "name": "outside", "issuer": self.issuer, "insecure_http": true, "audience": AUDIENCE,
            "client_id": "portunus", "client_secret": "a-secret-of-the-test",
            "rules": [
                {"claim": "realm_access.roles", "contains": "cpi-admin", "roles": ["operator"]},
                {"claim": "groups", "contains": "developers", "roles": ["developer"], "tenant": "default"},
            ],
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    }
}

/// A process that is not started yet, reached under [`PUBLIC`].
fn ours() -> Builder {
    portunus().env("PORTUNUS_PUBLIC_URL", PUBLIC)
}

/// Asks who calls with this token.
fn whoami(process: &Portunus, token: &str) -> Answer {
    Call::get(&process.api_url("/v1/me")).bearer(token).send()
}

/// Runs SQL on the store of a running process.
pub fn sql(process: &Portunus, sql: &str) -> String {
    let file = process.home().path().join("data/portunus.db");
    let file = file.to_str().expect("a path in UTF-8");
    Run::new("sqlite3").args(["-cmd", ".timeout 5000", file, sql]).output().expect(0).stdout.trim().to_owned()
}
