//! Logins at a provider outside, as a browser does them.

use portunus_testkit::{Answer, Call, Portunus};
use serde_json::json;

use super::{Outside, PUBLIC, ours, sql};

/// What a browser keeps.
#[derive(Default)]
struct Jar(Vec<(String, String)>);

impl Jar {
    fn keep(&mut self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            self.0.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    fn send(&mut self, call: Call) -> Answer {
        let cookies: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = call.header("Cookie", &cookies.join("; ")).send();
        self.keep(&answer);
        answer
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Outside {
    /// Logs in at the provider as a person would; gives where the browser is sent back to.
    fn visit(&self, url: &str, person: &str) -> String {
        let mut jar = Jar::default();
        let mut answer = jar.send(Call::get(url));
        let mut place = url.to_owned();
        for _ in 0..12 {
            let to = answer.header("location").to_owned();
            if to.starts_with(PUBLIC) {
                return to;
            }
            if !to.is_empty() {
                place = if to.starts_with('/') { format!("{}{to}", self.issuer) } else { to };
                answer = jar.send(Call::get(&place));
                continue;
            }
            let page = answer.text();
            let is_login = page.contains("name=\"login\"");
            let form = [("prompt", if is_login { "login" } else { "consent" }), ("login", person), ("password", "any")];
            answer = jar.send(Call::post(&place).form(if is_login { &form } else { &form[..1] }));
        }
        panic!("the provider does not send the browser back; last: {} {}", answer.status, answer.text());
    }
}

/// A browser that has begun a login: what it keeps, and where it was sent.
fn begin(process: &Portunus, return_to: &str) -> (Jar, String) {
    let mut jar = Jar::default();
    let path = format!("/v1/login/oidc/outside/start?return_to={return_to}");
    let answer = jar.send(Call::get(&process.api_url(&path))).expect(303);
    assert!(answer.header("set-cookie").contains("HttpOnly"), "{answer:?}");
    (jar, answer.header("location").to_owned())
}

fn finish(process: &Portunus, jar: &mut Jar, back: &str) -> Answer {
    let path = back.strip_prefix(PUBLIC).expect("it comes back to us");
    jar.send(Call::get(&process.api_url(path)))
}

fn log_in(process: &Portunus, outside: &Outside, person: &str) -> (Jar, Answer) {
    let (mut jar, url) = begin(process, "/console");
    let back = outside.visit(&url, person);
    let answer = finish(process, &mut jar, &back);
    (jar, answer)
}

fn parameter<'u>(url: &'u str, name: &str) -> &'u str {
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value).unwrap_or_default()
}

#[test]
fn a_person_logs_in_by_code_flow_and_becomes_a_user() {
    let outside = Outside::start();
    let process = ours().start();
    outside.connect(&process, &json!({"provision": true}));
    let (mut jar, url) = begin(&process, "/console%3Ftab%3D1");
    for (name, value) in [("response_type", "code"), ("code_challenge_method", "S256"), ("client_id", "portunus")] {
        assert_eq!(parameter(&url, name), value);
    }
    assert!(!parameter(&url, "nonce").is_empty() && parameter(&url, "code_challenge").len() == 43);
    let back = outside.visit(&url, "ada");
    let answer = finish(&process, &mut jar, &back).expect(303);
    assert_eq!(answer.header("location"), "/console?tab=1");
    assert_eq!(jar.0.len(), 2, "the session's two cookies are left: {:?}", jar.0);
    let me = jar.send(Call::get(&process.api_url("/v1/me"))).expect(200).json;
    assert_eq!(
        (&me["name"], &me["email"], &me["everywhere"]),
        (&json!("ada"), &json!("ada@example.com"), &json!(true))
    );
    let user = process.api().get("/v1/tenants/platform/users/ada").expect(200).json;
    assert_eq!((&user["id"], &user["display_name"]), (&me["id"], &json!("Ada L.")));
    // The session is one like any other: it takes a CSRF value, and it can be ended.
    jar.send(Call::post(&process.api_url("/v1/logout"))).problem(403, "csrf_failed");
    let csrf = jar.value("csrf_token").expect("a CSRF value").to_owned();
    jar.send(Call::post(&process.api_url("/v1/logout")).header("X-CSRF-Token", &csrf)).is(204);
    // The second time it is the same user.
    let (mut jar, answer) = log_in(&process, &outside, "ada");
    answer.is(303);
    assert_eq!(jar.send(Call::get(&process.api_url("/v1/me"))).expect(200).json["id"], me["id"]);
    // Once more with the same answer: it is used up.
    finish(&process, &mut jar, &back).problem(400, "bad_request");
    let log = process.stdout().text();
    for secret in ["a-secret-of-the-test", parameter(&back, "code")] {
        assert!(!log.contains(secret), "the log tells {secret}");
    }
}

#[test]
fn an_answer_that_is_not_the_one_asked_for_is_refused() {
    let outside = Outside::start();
    let process = ours().start();
    outside.connect(&process, &json!({"provision": true}));
    let state = |back: &str| parameter(back, "state").to_owned();
    // Another state, none, and another browser.
    let (mut jar, url) = begin(&process, "/");
    let back = outside.visit(&url, "ada");
    let other = back.replace(&state(&back), &state(&back).chars().rev().collect::<String>());
    finish(&process, &mut jar, &other).problem(400, "bad_request");
    finish(&process, &mut jar, &format!("{PUBLIC}/v1/login/oidc/callback?code=x")).problem(400, "bad_request");
    finish(&process, &mut Jar::default(), &back).problem(400, "bad_request");
    finish(&process, &mut jar, &back).problem(400, "bad_request");
    // Another nonce.
    let (mut jar, url) = begin(&process, "/");
    let back = outside.visit(&url.replace(parameter(&url, "nonce"), "another-nonce-altogether"), "ada");
    finish(&process, &mut jar, &back).problem(401, "login_failed");
    // Another issuer (RFC 9207), and none although the provider always says it.
    for wrong in ["https%3A%2F%2Felsewhere.example", ""] {
        let (mut jar, url) = begin(&process, "/");
        let back = outside.visit(&url, "ada");
        let iss = format!("iss={}", parameter(&back, "iss"));
        let with = if wrong.is_empty() { String::new() } else { format!("iss={wrong}") };
        finish(&process, &mut jar, &back.replace(&iss, &with)).problem(401, "login_failed");
    }
    // Another code: PKCE binds it to the login.
    let (_, first) = begin(&process, "/");
    let foreign = outside.visit(&first, "ada");
    let (mut jar, url) = begin(&process, "/");
    let back = outside.visit(&url, "ada");
    let mixed = back.replace(parameter(&back, "code"), parameter(&foreign, "code"));
    finish(&process, &mut jar, &mixed).problem(401, "login_failed");
    // The provider says no.
    let (mut jar, url) = begin(&process, "/");
    let no = format!(
        "{PUBLIC}/v1/login/oidc/callback?error=access_denied&state={}&iss={}",
        parameter(&url, "state"),
        outside.issuer
    );
    finish(&process, &mut jar, &no).problem(401, "login_failed");
    assert_eq!(process.api().get("/v1/tenants/platform/users").expect(200).json["total"], 1, "nobody was made a user");
    for bad in ["//evil.example", "https://evil.example", "/%5Cevil.example"] {
        let path = process.api_url(&format!("/v1/login/oidc/outside/start?return_to={bad}"));
        Call::get(&path).send().problem(400, "bad_request");
    }
    Call::get(&process.api_url("/v1/login/oidc/nowhere/start")).send().problem(404, "not_found");
}

#[test]
fn an_id_token_that_is_not_right_is_refused() {
    let outside = Outside::start();
    let process = ours().start();
    outside.connect(&process, &json!({"provision": true}));
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("a date");
    for (what, tamper) in [
        ("signature", json!({"how": "unknown"})),
        ("alg none", json!({"how": "none"})),
        ("HS256 with the public key as secret", json!({"how": "confused"})),
        ("audience", json!({"claims": {"aud": "another"}})),
        ("one more audience", json!({"claims": {"aud": ["portunus", "another"]}})),
        ("issuer", json!({"claims": {"iss": "https://elsewhere.example"}})),
        ("authorized party", json!({"claims": {"azp": "another"}})),
        ("nonce", json!({"claims": {"nonce": "another"}})),
        ("no nonce", json!({"claims": {"nonce": null}})),
        ("end", json!({"claims": {"exp": now - 60}})),
        ("access token", json!({"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}})),
        ("subject", json!({"claims": {"sub": "bob"}})),
    ] {
        outside.ask("tamper", &tamper);
        let answer = log_in(&process, &outside, "ada").1;
        assert_eq!((answer.status, &answer.json["code"]), (401, &json!("login_failed")), "{what}: {}", answer.text());
    }
    outside.ask("tamper", &json!({"claims": {}}));
    log_in(&process, &outside, "ada").1.is(303);
    outside.ask("tamper", &json!({}));
    // A new key at the provider is found, once the pause is over; a process that has not asked takes it at once.
    outside.ask("rotate", &json!({"alg": "ES256"}));
    let process = ours().start();
    outside.connect(&process, &json!({"provision": true}));
    log_in(&process, &outside, "ada").1.is(303);
}

#[test]
fn only_those_are_let_in_who_should_be() {
    let outside = Outside::start();
    let process = ours().start();
    let admin = process.api();
    outside.connect(&process, &json!({"provision": true, "email_domains": ["example.com"]}));
    let refused = |person: &str| {
        let answer = log_in(&process, &outside, person).1.problem(401, "login_failed");
        answer.json["detail"].as_str().expect("a reason").to_owned()
    };
    assert!(refused("eve").contains("domain"));
    assert!(refused("nil").contains("role"));
    log_in(&process, &outside, "bob").1.is(303);
    admin.get("/v1/tenants/default/users/bob").is(200);
    admin.patch("/v1/tenants/default/users/bob", &json!({"status": "locked"})).is(200);
    assert!(refused("bob").contains("locked"));
    // A name that somebody has already is not given away, unless the provider may.
    let user = json!({"name": "ada", "email": "ada@elsewhere.example"});
    let id = admin.post("/v1/tenants/platform/users", &user).expect(201).json["id"].clone();
    assert!(refused("ada").contains("exists"));
    let provider = "/v1/tenants/platform/identity-providers/outside";
    admin.patch(provider, &json!({"link_existing": true, "provision": false})).is(200);
    let (mut jar, answer) = log_in(&process, &outside, "ada");
    answer.is(303);
    assert_eq!(jar.send(Call::get(&process.api_url("/v1/me"))).expect(200).json["id"], id);
    // Whoever is deleted is a stranger again.
    admin.delete("/v1/tenants/platform/users/ada").is(200);
    assert!(refused("ada").contains("no user"));
    let event = |action: &str| format!("SELECT COUNT(*) FROM event WHERE action = '{action}'");
    let count = |action: &str| sql(&process, &event(action));
    assert_ne!(count("user.linked"), "0");
    assert_ne!(count("login.failed"), "0");
}
