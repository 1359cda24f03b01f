//! Credentials of Portunus's own towards upstreams, over every protocol.

use portunus_testkit::Upstream;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use portunus_testkit::upstream::Speaks;
use serde_json::json;

use super::{bearer, orders};
use crate::portunus;

#[test]
fn the_credential_takes_the_place_of_what_the_client_sent() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    let call = || {
        let call = process.get("/orders/x").header("authorization", "Bearer of-the-client");
        let call = call.header("x-key", "client-1").header("x-key", "client-2").header("connection", "x-key");
        call.send().is(200);
        upstream.last()
    };
    orders(&admin, &upstream.url(), &bearer("abc"));
    let seen = call();
    assert_eq!(seen.header("authorization").as_deref(), Some("Bearer abc"));
    let set = |authentication| {
        admin.patch(super::API, &json!({"upstream": {"authentication": authentication}})).is(200);
    };
    set(json!({"bearer": null, "basic": {"username": "ada", "password": "lovelace"}}));
    assert_eq!(call().header("authorization").as_deref(), Some("Basic YWRhOmxvdmVsYWNl"));
    set(json!({"basic": null, "header": {"name": "X-Key", "value": "ours"}}));
    let seen = call();
    assert_eq!(seen.header("x-key").as_deref(), Some("ours"));
    assert_eq!(seen.header("authorization").as_deref(), Some("Bearer of-the-client"));
    set(json!(null));
    assert_eq!(call().header("authorization").as_deref(), Some("Bearer of-the-client"));
}

#[test]
fn a_shared_upstream_over_http_2_gets_it_as_well() {
    let upstream = Upstream::speaking(Speaks::Http2(100));
    let process = portunus().start();
    let admin = process.api();
    let body = json!({"name": "pool", "targets": [{"url": upstream.url()}], "http_version": "http2",
        "authentication": bearer("abc")});
    admin.create("upstreams", &body);
    let api = json!({"name": "orders", "base_path": "/orders", "access": "public", "upstream_id": "pool"});
    admin.create("apis", &api);
    process.get("/orders/x").header("authorization", "Bearer of-the-client").send().is(200);
    assert_eq!(upstream.last().header("authorization").as_deref(), Some("Bearer abc"));
}

#[test]
fn a_websocket_gets_it_as_well() {
    let upstream = Upstream::start();
    let process = portunus().start();
    orders(&process.api(), &upstream.url(), &bearer("abc"));
    let request = format!(
        "GET /orders/x HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer client\r\n\r\n",
        process.gw_address()
    );
    exchange(process.gw_address(), request.as_bytes(), SOON);
    let seen = upstream.last();
    assert_eq!(seen.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(seen.header("authorization").as_deref(), Some("Bearer abc"));
}

#[test]
fn no_answer_to_trace_repeats_it() {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin = process.api();
    orders(&admin, &upstream.url(), &bearer("abc"));
    process.call("TRACE", "/orders/x").send().problem(405, "method_not_allowed");
    assert_eq!(upstream.count(), 0);
    admin.patch(super::API, &json!({"upstream": {"authentication": null}})).is(200);
    process.call("TRACE", "/orders/x").send().is(200);
}

#[test]
fn what_cannot_be_sent_is_refused_and_not_repeated() {
    let process = portunus().start();
    let admin = process.api();
    for (authentication, path) in [
        (bearer("planted\r\nX-Evil: 1"), "/authentication/bearer/token"),
        (json!({"header": {"name": "Host", "value": "planted"}}), "/authentication/header/name"),
        (json!({"header": {"name": "a b", "value": "planted"}}), "/authentication/header/name"),
        (json!({"basic": {"username": "a:b", "password": "planted"}}), "/authentication/basic/username"),
        (bearer("enc:1:planted:planted:planted"), "/authentication/bearer/token"),
        (bearer("enc:1:planted:planted"), "/authentication/bearer/token"),
        (bearer("file:planted"), "/authentication/bearer/token"),
        (json!({"bearer": {"token": ["planted"]}}), "/authentication/bearer/token"),
        (json!({"bearer": {"token": "planted", "tocken": "planted"}}), "/authentication/bearer/tocken"),
        (json!({"bearer": "planted"}), "/authentication/bearer"),
        (json!("planted"), "/authentication"),
    ] {
        let body = json!({"name": "u", "targets": [{"url": "http://127.0.0.1:9"}], "authentication": authentication});
        let refused = admin.post("/v1/tenants/default/upstreams", &body).refused(422);
        assert_eq!(refused.fault_paths(), [path], "{}", refused.text());
        assert!(!refused.text().contains("planted"), "{}", refused.text());
        assert!(!process.stdout().text().contains("planted"));
    }
}
