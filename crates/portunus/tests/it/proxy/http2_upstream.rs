//! Upstreams that speak HTTP/2.

mod bodies;
mod connections;
mod faults;
mod tls;

use portunus_testkit::Api;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use portunus_testkit::upstream::Speaks;
use portunus_testkit::{Portunus, Upstream};
use serde_json::{Value, json};

use crate::{Gate, portunus};

/// Makes the public API `orders` over one target that is spoken to over HTTP/2; `fields` are further ones of its
/// `upstream`.
fn orders(admin: &Api, url: &str, fields: &Value) -> Value {
    let mut upstream = fields.clone();
    upstream["targets"] = json!([{"url": url}]);
    if upstream["http_version"].is_null() {
        upstream["http_version"] = json!("http2");
    }
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": upstream}))
}

/// A gateway with one worker, so that connections can be counted.
fn one_worker() -> Portunus {
    portunus().env("PORTUNUS_WORKERS", "1").start()
}

#[test]
fn a_client_with_http_1_1_reaches_an_upstream_with_http_2() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &format!("{}/v3", upstream.url()), &json!({}));
    let call = process.call("PUT", "/orders/items/1?a=b%20c").header("x-kept", "2");
    let answer = call.header("host", "shop.example").body("hello").send().expect(200);
    assert_eq!(answer.json["body"], "hello");
    assert!(answer.header_list("via").contains("2.0 portunus"), "{:?}", answer.headers);
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/v3/items/1?a=b%20c"));
    for (name, value) in [
        (":authority", upstream.address().as_str()),
        ("x-kept", "2"),
        ("content-length", "5"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.example"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    for name in ["host", "te", "transfer-encoding", "connection"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[test]
fn each_method_and_status_is_handed_on() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({}));
    for method in ["GET", "POST", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        assert_eq!(process.call(method, "/orders/x").send().expect(200).json["method"], method);
    }
    for status in [204, 304, 404, 503] {
        process.get(&format!("/orders/status/{status}")).send().is(status);
    }
    let request = b"HEAD /orders/bytes/1234 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(process.gw_address(), request, SOON).text().to_lowercase();
    assert!(answer.contains("content-length: 1234\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(upstream.last().method, "HEAD");
    let text = process.get("/orders/text").send().expect(200);
    assert_eq!((text.header("x-upstream"), text.header_list("set-cookie").as_str()), ("kept", "a=1, b=2"));
}

#[test]
fn a_websocket_is_refused_where_only_http_2_is_spoken() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({}));
    let request = "GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = exchange(process.gw_address(), request.as_bytes(), SOON);
    assert_eq!(answer.status(), Some(502), "{}", answer.text());
    assert!(answer.text().contains("WebSocket"), "{}", answer.text());
    assert_eq!(upstream.count(), 0);
}

#[test]
fn health_is_asked_for_over_http_2() {
    let Gate { process, admin, .. } = Gate::start();
    let upstream = Upstream::speaking(Speaks::Http2(100));
    orders(&admin, &upstream.url(), &json!({"health_check": {"path": "/healthz", "interval_ms": 100}}));
    portunus_testkit::eventually(SOON, "three checks", || (upstream.count() > 2).then_some(()));
    assert_eq!(upstream.last().target, "/healthz");
    process.get("/orders/x").send().is(200);
    upstream.answer_with(500);
    process.wait_log(SOON, |entry| entry["message"] == "target_unhealthy" && entry["error"] == "status 500");
}
