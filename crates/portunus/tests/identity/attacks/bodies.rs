//! Bodies and names that two readers could take for two things, or that are meant to break one.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use portunus_testkit::{Answer, Api};
use serde_json::json;

use crate::portunus;

const CONSUMERS: &str = "/v1/tenants/default/consumers";

fn post(admin: &Api, body: &str) -> Answer {
    admin.call("POST", CONSUMERS).header("content-type", "application/json").body(body).send()
}

#[test]
fn an_object_with_a_member_twice_is_refused() {
    let process = portunus().start();
    let admin = process.api();
    for body in [
        r#"{"name": "a", "name": "b"}"#,
        r#"{"name": "a", "n\u0061me": "b"}"#,
        r#"{"name": "a", "metadata": {"x": "1", "x": "2"}}"#,
    ] {
        let refused = post(&admin, body).refused(400);
        assert!(refused.text().contains("is there twice"), "{}", refused.text());
    }
    let patch = admin.call("PATCH", "/v1/tenants/default").header("content-type", "application/merge-patch+json");
    patch.body(r#"{"description": "a", "description": "b"}"#).send().refused(400);
    let apply = r#"{"manifests": [{"kind": "Consumer", "kind": "Role"}]}"#;
    admin.call("POST", "/v1/apply").header("content-type", "application/json").body(apply).send().refused(400);
    assert_eq!(admin.get(CONSUMERS).expect(200).json["total"], 0);
}

#[test]
fn numbers_and_characters_that_do_not_exist_are_refused() {
    let process = portunus().start();
    let admin = process.api();
    for body in [
        r#"{"name": "\ud800"}"#,
        r#"{"name": "a\udfffb"}"#,
        r#"{"name": "a\u0000b"}"#,
        r#"{"name": "a\u0085b"}"#,
        r#"{"name": "a\r\nX-Evil: 1"}"#,
        r#"{"name": "a\u001b[31mred"}"#,
        r#"{"name": 1e999}"#,
        r#"{"name": "a", "metadata": {"x": NaN}}"#,
        r#"{"name": "a", "metadata": {"x": 0x10}}"#,
        r#"{"name": "a", "metadata": {"x": 01}}"#,
    ] {
        let answer = post(&admin, body);
        assert!(matches!(answer.status, 400 | 422), "{body}: {}", answer.text());
    }
    let limit = |number: &str| {
        let body =
            format!(r#"{{"name": "p", "policy_type": "rate_limit", "config": {{"requests_per_minute": {number}}}}}"#);
        let call = admin.call("POST", "/v1/tenants/default/policies").header("content-type", "application/json");
        call.body(body).send()
    };
    for number in ["-1", "1e308", "-0.0", "99999999999999999999999", "18446744073709551616", "1e999", "4294967296"] {
        let answer = limit(number);
        assert!(matches!(answer.status, 400 | 422), "{number}: {}", answer.text());
    }
    assert_eq!(admin.get(CONSUMERS).expect(200).json["total"], 0);
    assert!(!process.stdout().text().contains("PANIC"));
}

#[test]
fn what_comes_back_cannot_break_out_of_a_header() {
    let process = portunus().start();
    let admin = process.api();
    let token = admin.token();
    for path in [
        "/v1/tenants/default/consumers/%0d%0aX-Evil:%201",
        "/v1/tenants/%0d%0aX-Evil:%201/consumers",
        "/v1/%0d%0aX-Evil:%201",
        "/v1/tenants/default/consumers?cursor=%0d%0aX-Evil:%201",
        "/v1/tenants/default/consumers?%0d%0aX-Evil:%201=1",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nx-request-id: a%0d%0aX-Evil\r\nconnection: close\r\n\r\n"
        );
        let answer = exchange(process.api_address(), request.as_bytes(), SOON);
        let head = answer.text().split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
        assert!(matches!(answer.status(), Some(400 | 404)), "{path}: {head}");
        assert!(!head.contains("\r\nx-evil"), "{path}: {head}");
    }
    let line = process.stdout().all().into_iter().find(|line| line.to_ascii_lowercase().starts_with("x-evil"));
    assert_eq!(line, None, "the log has a line of its own");
    // A name that is good text goes through answers unchanged.
    let odd = json!({"name": "a \"quoted\" <b>name' or 1=1 --"});
    let made = admin.post(CONSUMERS, &odd).expect(201).json;
    assert_eq!(made["name"], odd["name"]);
    assert_eq!(admin.get(&format!("{CONSUMERS}?q=%27%20or%201%3D1")).expect(200).json["total"], 1);
}

#[test]
fn a_search_is_no_statement() {
    let process = portunus().start();
    let admin = process.api();
    admin.post(CONSUMERS, &json!({"name": "one"})).is(201);
    for query in ["q=%25", "q=_", "q=%27%20OR%201%3D1%20--", "name=%27%20OR%20%271%27%3D%271", "q=%5C"] {
        let answer = admin.get(&format!("{CONSUMERS}?{query}")).expect(200);
        assert_eq!(answer.json["total"], 0, "{query}: {}", answer.text());
    }
    for query in ["%22%29%20OR%201%3D1%20--=x", "id%27=x", "page=1%3BDROP%20TABLE%20resource", "page_size=-1"] {
        admin.get(&format!("{CONSUMERS}?{query}")).refused(400);
    }
    assert_eq!(admin.get(CONSUMERS).expect(200).json["total"], 1);
}
