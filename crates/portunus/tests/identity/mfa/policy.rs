//! Who must have a second factor, and what happens when somebody has lost theirs.

use serde_json::{Value, json};

use super::{Person, Session, events};
use crate::portunus;

/// The login policy as a manifest.
fn login_policy(spec: &Value) -> Value {
    json!({"manifests": [{
        "apiVersion": "portunus.dev/v1",
        "kind": "LoginPolicy",
        "metadata": {"tenant": "platform", "name": "default"},
        "spec": spec,
    }]})
}

#[test]
fn r13_who_must_have_a_factor_can_do_nothing_else_before() {
    let process = portunus().start();
    let admin = process.api();
    let ada = Person::new(&process, "ada", &["*:*"]);
    let bob = Person::new(&process, "bob", &["*:read"]);
    let (adas, bobs) = (ada.log_in(), bob.log_in());
    let choose = |policy: &Value| admin.post("/v1/apply", &login_policy(policy));
    choose(&json!({"second_factor": "admins"})).is(200);
    for path in ["/v1/tenants/default/users", "/v1/tenants", "/v1/export"] {
        adas.get(path).problem(403, "second_factor_enrolment_required");
        bobs.get(path).is(200);
    }
    // A new login is not refused, and can set a factor up.
    let adas = ada.log_in();
    adas.get("/v1/me").is(200);
    assert_eq!(adas.get("/v1/me/mfa").expect(200).json["must_have_one"], true);
    let mut app = adas.enrol();
    adas.post("/v1/tenants/default/consumers", &json!({"name": "acme"})).is(201);
    let own = adas.get("/v1/me/mfa").expect(200).json;
    let factor = format!("/v1/me/mfa/{}", own["items"][0]["id"].as_str().expect("an id"));
    adas.delete(&factor).refused(409);
    ada.log_in_with(&mut app).get("/v1/tenants/default/users").is(200);

    choose(&json!({"second_factor": "everybody"})).is(200);
    bobs.get("/v1/tenants/default/users").problem(403, "second_factor_enrolment_required");
    bobs.call("POST", "/v1/logout").send().is(204);
    choose(&json!({"second_factor": "nobody"})).is(200);
    adas.delete(&factor).is(204);
    ada.log_in().get("/v1/tenants/default/users").is(200);
    choose(&json!({"second_factor": "sometimes"})).refused(422);
    choose(&json!({"step_up_minutes": 0})).refused(422);
}

#[test]
fn r13_the_step_up_window_is_the_policys() {
    let process = portunus().start();
    process.api().post("/v1/apply", &login_policy(&json!({"step_up_minutes": 30}))).is(200);
    let ada = Person::new(&process, "ada", &["*:*"]);
    let (session, _) = ada.enrol();
    super::let_factors_grow_old(&process);
    session.post("/v1/tenants/default/roles", &json!({"name": "one", "permissions": []})).is(201);
    process.api().post("/v1/apply", &login_policy(&json!({"step_up_minutes": 5}))).is(200);
    let asked = session.post("/v1/tenants/default/roles", &json!({"name": "two", "permissions": []}));
    let asked = asked.problem(401, "step_up_required");
    assert!(asked.header("www-authenticate").contains("max_age=300"), "{asked:?}");
}

#[test]
fn r13_with_a_person_their_factors_go() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let (session, _) = ada.enrol();
    session.backup_codes();
    ada.half_way();
    process.api().delete(&format!("/v1/tenants/default/users/{}", ada.id)).is(200);
    let tables = ["mfa_method", "backup_code", "mfa_challenge", "mfa_failure"];
    let counts = tables.map(|table| super::sql(&process, &format!("SELECT COUNT(*) FROM {table}")).trim().to_owned());
    assert_eq!(counts, ["0", "0", "0", "0"]);
    session.get("/v1/me").refused(401);
}

#[test]
fn r13_an_administrator_can_take_lost_factors_away() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:read"]);
    let bob = Person::new(&process, "bob", &["*:read"]);
    let (session, _) = ada.enrol();
    session.backup_codes();
    let reset = format!("/v1/tenants/default/users/{}/reset-mfa", ada.id);
    bob.log_in().post(&reset, &json!({})).refused(403);
    session.get("/v1/me").is(200);
    let done = process.api().post(&reset, &json!({})).expect(200).json;
    assert_eq!((&done["removed"], &done["sessions"]), (&json!(1), &json!(1)));
    session.get("/v1/me").refused(401);
    let session: Session = ada.log_in();
    assert_eq!(session.get("/v1/me/mfa").expect(200).json["items"], json!([]));
    assert_eq!(events(&process, "mfa.reset"), 1);
    process.api().post("/v1/tenants/default/roles/bob-role/reset-mfa", &json!({})).refused(404);
}
