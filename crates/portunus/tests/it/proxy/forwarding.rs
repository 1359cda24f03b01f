//! Header fields on their way to the upstream and back.

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use serde_json::json;

use crate::{Gate, portunus};

/// Whether this is a UUID of version 7.
fn is_uuid7(text: &str) -> bool {
    let digits = text.chars().filter(|c| *c != '-').all(|c| c.is_ascii_hexdigit());
    text.len() == 36 && digits && text.as_bytes()[14] == b'7'
}

#[test]
fn hop_by_hop_fields_of_the_request_end_at_the_gateway() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let request = "GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close, X-Hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
                   te: trailers\r\nproxy-connection: close\r\nproxy-authorization: Basic eDp5\r\nx-kept: 2\r\n\r\n";
    let answer = exchange(process.gw_address(), request.as_bytes(), SOON);
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    let seen = upstream.last();
    for name in ["x-hop", "keep-alive", "te", "proxy-connection", "proxy-authorization", "upgrade"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    let connection = seen.header("connection").unwrap_or_default().to_lowercase();
    assert!(!connection.contains("x-hop") && !connection.contains("close"), "{connection}");
    assert_eq!(seen.header("x-kept").as_deref(), Some("2"));
}

#[test]
fn hop_by_hop_fields_of_the_answer_end_at_the_gateway() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let answer = process.get("/orders/hop").send().expect(200);
    for name in ["x-private", "keep-alive", "proxy-connection"] {
        assert_eq!(answer.header(name), "", "{name}");
    }
    assert_eq!(answer.header("x-public"), "1");
}

#[test]
fn the_upstream_learns_who_called_from_where_and_how() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    process.get("/orders/x").header("host", "shop.example.com").send().is(200);
    let seen = upstream.last();
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("shop.example.com"));
    assert!(seen.header("via").is_some_and(|via| via.starts_with("1.1 ")), "{seen:?}");
}

#[test]
fn forwarded_fields_of_strangers_are_not_believed() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let call = process.get("/orders/x").header("x-forwarded-for", "192.0.2.7");
    let call = call.header("x-forwarded-proto", "https").header("x-forwarded-host", "evil.example");
    let call = call.header("x-forwarded-port", "666").header("x-real-ip", "192.0.2.7");
    call.header("forwarded", "for=192.0.2.7").send().is(200);
    let seen = upstream.last();
    for name in ["x-forwarded-port", "x-real-ip", "forwarded"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_ne!(seen.header("x-forwarded-host").as_deref(), Some("evil.example"));
    let line = process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!(line["client_ip"], "127.0.0.1");
}

#[test]
fn forwarded_fields_of_a_trusted_proxy_are_carried_on() {
    let Gate { process, admin, upstream } =
        Gate::with(portunus().env("PORTUNUS_TRUSTED_PROXIES", "127.0.0.0/8,::1/128"));
    admin.create_public_api("orders", &upstream.url());
    let call = process.get("/orders/x").header("x-forwarded-for", "203.0.113.9, 192.0.2.7");
    call.header("x-forwarded-proto", "https").send().is(200);
    let seen = upstream.last();
    let list = seen.header("x-forwarded-for").unwrap_or_default();
    assert!(list.ends_with("192.0.2.7, 127.0.0.1"), "{list}");
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"));
    let line = process.wait_log(SOON, |entry| entry["message"] == "request completed");
    assert_eq!(line["client_ip"], "192.0.2.7", "the nearest address that is not a trusted proxy");
}

#[test]
fn a_good_request_id_is_kept_and_a_bad_one_replaced() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    process.get("/orders/x").header("x-request-id", "order-42_A.b").send().is(200);
    assert_eq!(upstream.last().header("x-request-id").as_deref(), Some("order-42_A.b"));
    let long = "x".repeat(500);
    for bad in ["", "a b", "a\"b", "<script>", long.as_str()] {
        process.get("/orders/x").header("x-request-id", bad).send().is(200);
        let id = upstream.last().header("x-request-id").unwrap_or_default();
        assert!(is_uuid7(&id), "{bad:?} became {id:?}");
    }
    process.get("/orders/x").send().is(200);
    let made = upstream.last().header("x-request-id").unwrap_or_default();
    assert!(is_uuid7(&made), "{made}");
    process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["request_id"] == made.as_str());
}

#[test]
fn a_refusal_carries_the_request_id_that_the_log_has() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_api("orders", &upstream.url());
    let call = process.get("/orders/x").header("x-request-id", "trace-me");
    let answer = call.send().problem(401, "missing_api_key");
    assert_eq!(answer.json["request_id"], "trace-me");
    process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["request_id"] == "trace-me");
}

#[test]
fn the_credential_stays_at_the_gateway() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    process.get("/orders/x").key(&key).header("x-other", "1").send().is(200);
    let seen = upstream.last();
    assert_eq!(seen.header("x-api-key"), None);
    assert_eq!(seen.header("x-other").as_deref(), Some("1"));
    process.get("/orders/x").bearer(&key).send().is(200);
    assert_eq!(upstream.last().header("authorization"), None);
    let all = format!("{:?}", upstream.seen());
    assert!(!all.contains(&key), "{all}");
}

#[test]
fn a_public_api_hands_on_the_callers_own_authorization() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("open", &upstream.url());
    process.get("/open/x").bearer("for-the-upstream").send().is(200);
    assert_eq!(upstream.last().header("authorization").as_deref(), Some("Bearer for-the-upstream"));
}

#[test]
fn the_answers_own_fields_come_through() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let answer = process.get("/orders/text").send().expect(200);
    assert_eq!(answer.header("x-upstream"), "kept");
    assert_eq!(answer.header("server"), "echo/1");
    assert_eq!(answer.header_list("set-cookie"), "a=1, b=2");
}

#[test]
fn path_and_query_reach_the_upstream_as_they_were_written() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    for rest in ["/x?a=1&b=%20c&&d=&a=2", "/x?", "/x?q=a/b?c", "/caf%C3%A9", "/a%20b", "/x;v=1", "/x/"] {
        let request = format!("GET /orders{rest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(process.gw_address(), request.as_bytes(), SOON);
        assert_eq!(answer.status(), Some(200), "{rest}: {}", answer.text());
        assert_eq!(upstream.last().target, rest);
    }
}

#[test]
fn each_method_is_handed_on() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let answer = process.call(method, "/orders/x").json(&json!({"a": 1})).send().expect(200);
        assert_eq!(answer.json["method"], method);
        assert_eq!(answer.json["body"], "{\"a\":1}", "{method}");
    }
}

#[test]
fn a_refusal_is_a_complete_problem_document() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_api_with("orders", &upstream.url(), &json!({"routes": [{"path": "/x", "methods": ["GET"]}]}));
    let refusals = [
        process.get("/orders/x").send().problem(401, "missing_api_key"),
        process.get("/orders/x").key("wrong").send().problem(401, "invalid_api_key"),
        process.get("/nowhere").send().problem(404, "no_route"),
        process.call("PUT", "/orders/x").send().problem(405, "method_not_allowed"),
    ];
    for refusal in refusals {
        assert!(refusal.json["detail"].as_str().is_some_and(|text| text.len() > 10), "{}", refusal.text());
        assert!(refusal.json["type"].as_str().is_some_and(|text| text.contains("://")), "{}", refusal.text());
        assert_eq!(refusal.header("x-request-id"), refusal.json["request_id"].as_str().unwrap_or_default());
    }
}
