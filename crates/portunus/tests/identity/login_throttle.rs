//! How often passwords can be guessed, and what guessing tells.

use std::time::{Duration, Instant};

use portunus_testkit::session::log_in;
use portunus_testkit::{Answer, Call, Portunus, Session};
use serde_json::json;

use crate::portunus;

const PASSWORD: &str = "a password of ada, long enough";

fn with_ada(trusted: Option<&str>) -> Portunus {
    let mut builder = portunus();
    if let Some(trusted) = trusted {
        builder = builder.env("PORTUNUS_TRUSTED_PROXIES", trusted);
    }
    let process = builder.start();
    process.api().create_user("default", "ada", PASSWORD, &["api:read"]);
    process
}

/// A login as it comes through a proxy, or as an attacker pretends that it does.
fn forwarded(process: &Portunus, address: &str, name: &str, password: &str) -> Answer {
    let call = Call::post(&process.api_url("/v1/login"));
    let call = call
        .header("X-Forwarded-For", address)
        .header("X-Real-IP", address)
        .header("Forwarded", &format!("for={address}"));
    call.json(&json!({"username": name, "password": password})).send()
}

#[test]
fn no_header_dodges_the_throttle() {
    let process = with_ada(None);
    let tries: Vec<Answer> =
        (0..14).map(|number| forwarded(&process, &format!("198.51.100.{number}"), "ada", "wrong")).collect();
    let passed = tries.iter().filter(|answer| answer.status == 401).count();
    assert!((10..=11).contains(&passed), "{passed} of 14 were judged");
    let last = tries.last().expect("there were tries").clone().problem(429, "rate_limited");
    let wait: u64 = last.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    // The right one is not judged either.
    log_in(&process.api_url(""), "ada", PASSWORD).problem(429, "rate_limited");
    // Names that nobody has are no different.
    let unknown = (0..14).filter(|_| log_in(&process.api_url(""), "nobody", "wrong").status == 401).count();
    assert!((10..=11).contains(&unknown), "{unknown} of 14 were judged");
}

#[test]
fn an_address_is_throttled_whatever_the_names() {
    let process = with_ada(None);
    let judged =
        (0..80).filter(|number| log_in(&process.api_url(""), &format!("user{number}"), "wrong").status == 401).count();
    assert!((60..=75).contains(&judged), "{judged} of 80 were judged");
}

#[test]
fn a_stranger_cannot_keep_somebody_out() {
    let process = with_ada(Some("127.0.0.1"));
    forwarded(&process, "203.0.113.7", "ada", PASSWORD).is(200);
    // From a hundred addresses the name is used up for strangers.
    for number in 0..100 {
        forwarded(&process, &format!("198.51.{}.{}", number / 50, number % 50), "ada", "wrong").is(401);
    }
    forwarded(&process, "192.0.2.1", "ada", PASSWORD).problem(429, "rate_limited");
    forwarded(&process, "203.0.113.7", "ada", PASSWORD).is(200);
}

#[test]
fn addresses_of_one_network_are_one() {
    let process = with_ada(Some("127.0.0.1"));
    let judged = (0..14)
        .filter(|number| forwarded(&process, &format!("2001:db8::{number}"), "ada", "wrong").status == 401)
        .count();
    assert!((10..=11).contains(&judged), "{judged} of 14 were judged");
    forwarded(&process, "2001:db8:0:1::1", "ada", "wrong").is(401);
}

/// How long a login takes, the middle of several.
fn median(process: &Portunus, name: &str, network: u8) -> Duration {
    let mut times: Vec<Duration> = (0..7)
        .map(|number| {
            let start = Instant::now();
            forwarded(process, &format!("198.51.{network}.{number}"), name, "wrong password").is(401);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_login_tells_nothing_of_who_exists() {
    let process = with_ada(Some("127.0.0.1"));
    let admin = process.api();
    admin.create_user("default", "locked", PASSWORD, &["api:write"]);
    admin.post("/v1/tenants/default/users/locked/lock", &json!({})).is(200);
    let text = |name: &str, password: &str| {
        let mut answer = forwarded(&process, "203.0.113.9", name, password).problem(401, "login_failed");
        answer.json["request_id"] = json!("");
        (answer.json.to_string(), answer.header("www-authenticate").to_owned())
    };
    let known = text("ada", "wrong password");
    for (name, password) in
        [("nobody", "wrong password"), ("locked", "wrong password"), ("locked", PASSWORD), ("a@b.example", "x")]
    {
        assert_eq!(text(name, password), known, "{name}");
    }
    let times = [median(&process, "ada", 1), median(&process, "nobody", 2), median(&process, "locked", 3)];
    let (least, most) = (times.iter().min().expect("times"), times.iter().max().expect("times"));
    assert!(*most < *least * 3, "known, unknown, locked: {times:?}");
    for email in ["ada@example.com", "nobody@example.com"] {
        let call = Call::post(&process.api_url("/v1/login/forgot")).json(&json!({"email": email}));
        assert_eq!(call.send().expect(202).text(), "", "{email}");
    }
}

#[test]
fn a_right_password_is_never_too_often() {
    let process = with_ada(None);
    for _ in 0..25 {
        Session::log_in(&process.api_url(""), "ada", PASSWORD);
    }
}

#[test]
fn tenants_cannot_take_a_name_of_the_platform() {
    let process = with_ada(None);
    process.api().create_user("default", "admin", PASSWORD, &["*:*"]);
    let session = Session::log_in(&process.api_url(""), "admin", portunus_testkit::gateway::ADMIN_PASSWORD);
    assert_eq!(session.get("/v1/me").expect(200).json["tenant"]["name"], "platform");
    let session = Session::log_in(&process.api_url(""), "default/admin", PASSWORD);
    assert_eq!(session.get("/v1/me").expect(200).json["tenant"]["name"], "default");
}
