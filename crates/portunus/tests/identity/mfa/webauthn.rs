//! WebAuthn in a real browser, with the virtual authenticators that WebDriver brings.

use portunus_testkit::authenticator::SecurityKey;
use portunus_testkit::browser::Browser;
use portunus_testkit::{Call, Portunus};
use serde_json::{Value, json};

use super::{Person, Session, events};
use crate::portunus;

/// A browser with a page of the control listener, at a host name that WebAuthn takes.
fn browser_at(process: &Portunus) -> Browser {
    let port = process.api_address().rsplit(':').next().expect("a port");
    let browser = Browser::start();
    browser.goto(&format!("http://localhost:{port}/health"));
    browser
}

/// Has the browser make a credential for these options.
fn create(browser: &Browser, options: &Value) -> Value {
    browser.run(&format!(
        "const options = PublicKeyCredential.parseCreationOptionsFromJSON({});
         return (await navigator.credentials.create({{publicKey: options}})).toJSON();",
        options["publicKey"]
    ))
}

/// Has the browser prove that it has one of the credentials of these options.
fn assertion(browser: &Browser, options: &Value) -> Value {
    browser.run(&format!(
        "const options = PublicKeyCredential.parseRequestOptionsFromJSON({});
         return (await navigator.credentials.get({{publicKey: options}})).toJSON();",
        options["publicKey"]
    ))
}

/// Registers the authenticator of a browser.
#[track_caller]
fn register(session: &Session, browser: &Browser) {
    let question = session.post("/v1/me/mfa/webauthn", &json!({"label": "blue key"})).expect(201).json;
    let credential = create(browser, &question["options"]);
    let confirm = format!("/v1/me/mfa/webauthn/{}/confirm", question["challenge"].as_str().expect("a challenge"));
    let body = json!({"credential": credential});
    session.post(&confirm, &body).is(201);
    // A challenge is good for one use.
    session.post(&confirm, &body).refused(404);
}

#[track_caller]
fn step_up_question(session: &Session) -> Value {
    session.post("/v1/me/step-up/webauthn-options", &json!({})).expect(200).json
}

fn answer(question: &Value, credential: &Value) -> Value {
    json!({"webauthn": {"challenge": question["challenge"], "credential": credential}})
}

#[test]
fn r13_a_security_key_completes_a_login_and_steps_up() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:*"]);
    let session = ada.log_in();
    let browser = browser_at(&process);
    let _key = SecurityKey::plug_in(&browser);
    register(&session, &browser);
    let listed = session.get("/v1/me/mfa").expect(200).json;
    assert_eq!((&listed["items"][0]["type"], &listed["items"][0]["label"]), (&json!("webauthn"), &json!("blue key")));

    let asked = ada.password().problem(401, "second_factor_required");
    assert_eq!(asked.json["methods"], json!(["webauthn"]));
    let token = asked.json["mfa_token"].as_str().expect("a token");
    let options = process.api_url("/v1/login/mfa/webauthn-options");
    let question = Call::post(&options).json(&json!({"mfa_token": token})).send().expect(200).json;
    let credential = assertion(&browser, &question["options"]);
    let shown = answer(&question, &credential);
    let session = Session::of(&process, &ada.second_half(token, &shown).expect(200));
    assert_eq!(session.get("/v1/me").expect(200).json["session"]["methods"], json!(["password", "webauthn"]));

    // The same assertion again, with the old challenge and with a new one.
    let token = ada.half_way();
    ada.second_half(&token, &shown).problem(401, "second_factor_refused");
    let other = Call::post(&options).json(&json!({"mfa_token": token})).send().expect(200).json;
    ada.second_half(&token, &answer(&other, &credential)).problem(401, "second_factor_refused");

    let question = step_up_question(&session);
    let shown = answer(&question, &assertion(&browser, &question["options"]));
    session.step_up(&shown).is(200);
    session.step_up(&shown).problem(401, "second_factor_refused");
    assert_eq!(events(&process, "mfa.webauthn_enrolled"), 1);
    assert_eq!(events(&process, "mfa.failed"), 3);
}

#[test]
fn r13_only_challenges_of_the_server_are_answered() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:*"]);
    let session = ada.log_in();
    let browser = browser_at(&process);
    let _key = SecurityKey::plug_in(&browser);
    register(&session, &browser);

    // The client made the challenge up that its authenticator signed.
    let question = step_up_question(&session);
    let mut made_up = question["options"].clone();
    made_up["publicKey"]["challenge"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let credential = assertion(&browser, &made_up);
    session.step_up(&answer(&question, &credential)).problem(401, "second_factor_refused");
    let unknown = json!({"challenge": "ptn_mfa_made_up"});
    session.step_up(&answer(&unknown, &credential)).problem(401, "second_factor_refused");

    // What was wrong has used the challenge up.
    let right = assertion(&browser, &question["options"]);
    session.step_up(&answer(&question, &right)).problem(401, "second_factor_refused");

    // The challenge of a login is none for a step-up, and neither is that of another person.
    let token = ada.half_way();
    let options = process.api_url("/v1/login/mfa/webauthn-options");
    let question = Call::post(&options).json(&json!({"mfa_token": token})).send().expect(200).json;
    let credential = assertion(&browser, &question["options"]);
    session.step_up(&answer(&question, &credential)).problem(401, "second_factor_refused");
    ada.second_half(&token, &answer(&question, &credential)).is(200);
}

#[test]
fn r13_a_copied_authenticator_is_found_out() {
    let process = portunus().start();
    let ada = Person::new(&process, "ada", &["*:*"]);
    let session = ada.log_in();
    let browser = browser_at(&process);
    let key = SecurityKey::plug_in(&browser);
    register(&session, &browser);
    let copy = key.credentials().pop().expect("a credential");
    for _ in 0..2 {
        let question = step_up_question(&session);
        let shown = answer(&question, &assertion(&browser, &question["options"]));
        session.step_up(&shown).is(200);
    }
    // The copy counts on from where it was made.
    key.unplug();
    let thief = SecurityKey::plug_in(&browser);
    thief.add(&copy);
    let question = step_up_question(&session);
    let shown = answer(&question, &assertion(&browser, &question["options"]));
    session.step_up(&shown).problem(401, "second_factor_refused");
    let why = super::sql(&process, "SELECT reason FROM event WHERE action = 'mfa.failed'");
    assert_eq!(why.trim(), "cloned_authenticator");
}

#[test]
fn r13_a_page_of_another_origin_gets_nowhere() {
    let process = portunus().env("PORTUNUS_PUBLIC_URL", "https://gate.example.org").start();
    let ada = Person::new(&process, "ada", &["*:*"]);
    let session = ada.log_in();
    let question = session.post("/v1/me/mfa/webauthn", &json!({})).expect(201).json;
    assert_eq!(question["options"]["publicKey"]["rp"]["id"], "gate.example.org");
    let browser = browser_at(&process);
    let _key = SecurityKey::plug_in(&browser);
    // A page that asks for itself what was meant for the right one.
    let mut options = question["options"].clone();
    options["publicKey"]["rp"]["id"] = json!("localhost");
    let credential = create(&browser, &options);
    let confirm = format!("/v1/me/mfa/webauthn/{}/confirm", question["challenge"].as_str().expect("a challenge"));
    session.post(&confirm, &json!({"credential": credential})).refused(422);
    assert_eq!(events(&process, "mfa.failed"), 1);
    // Trying on and on fills no record.
    for _ in 0..6 {
        let question = session.post("/v1/me/mfa/webauthn", &json!({})).expect(201).json;
        let confirm = format!("/v1/me/mfa/webauthn/{}/confirm", question["challenge"].as_str().expect("a challenge"));
        let status = session.post(&confirm, &json!({"credential": {}})).status;
        assert!(matches!(status, 422 | 429), "{status}");
    }
    assert_eq!(events(&process, "mfa.failed"), 5);
    ada.password().is(200);

    let process = portunus().env("PORTUNUS_PUBLIC_URL", "http://127.0.0.1:8000").start();
    let bob = Person::new(&process, "bob", &["*:*"]);
    let refused = bob.log_in().post("/v1/me/mfa/webauthn", &json!({})).refused(409);
    assert!(refused.text().contains("PORTUNUS_PUBLIC_URL"), "{}", refused.text());
}
