//! Calls of the control plane that others must approve first.

mod decisions;
mod life;
mod parallel;
mod routes;
mod webhooks;

use portunus_testkit::command::Run;
use portunus_testkit::{Answer, Api, Portunus};
use serde_json::{Value, json};

/// Makes a rule of the tenant `default` that these permissions fall under.
fn rule(admin: &Api, name: &str, permissions: &[&str], fields: &Value) -> Value {
    let mut body = json!({"name": name, "permissions": permissions});
    for (field, value) in fields.as_object().expect("fields are an object") {
        body[field] = value.clone();
    }
    admin.create("approval-rules", &body)
}

/// The id of the request that a call made.
#[track_caller]
fn asked(answer: Answer) -> String {
    let answer = answer.problem(403, "approval_required");
    let id = answer.json["approval_id"].as_str().expect("the request is named").to_owned();
    assert!(answer.header("link").contains(&id), "{}", answer.header("link"));
    assert!(answer.json["expires_at"].is_string());
    id
}

fn approve(by: &Api, id: &str) -> Answer {
    by.post(&format!("/v1/approvals/{id}/approve"), &json!({}))
}

fn reject(by: &Api, id: &str) -> Answer {
    by.post(&format!("/v1/approvals/{id}/reject"), &json!({"comment": "no"}))
}

fn status(admin: &Api, id: &str) -> String {
    admin.get(&format!("/v1/approvals/{id}")).expect(200).json["status"].as_str().expect("a status").to_owned()
}

/// The actions of the events about a request, in order.
fn events(process: &Portunus, id: &str) -> Vec<String> {
    let sql = format!("SELECT action FROM event WHERE kind = 'Approval' AND resource_id = '{id}' ORDER BY sequence");
    let path = process.home().path().join("data/portunus.db");
    let output = Run::new("sqlite3").args([path.to_str().expect("UTF-8"), &sql]).output();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout.lines().map(str::to_owned).collect()
}
