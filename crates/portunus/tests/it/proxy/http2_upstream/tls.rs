//! Upstreams with `https`, where the connection negotiates what is spoken.

use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::tls::Authority;
use portunus_testkit::upstream::Speaks;
use portunus_testkit::{Portunus, Upstream};
use serde_json::json;

use super::orders;
use crate::portunus;

/// A gateway with one worker that trusts an authority.
fn trusting(authority: &Authority) -> Portunus {
    portunus().env("PORTUNUS_WORKERS", "1").env("SSL_CERT_FILE", authority.file()).start()
}

/// Whether the latest request came over HTTP/2.
fn came_over_http2(upstream: &Upstream) -> bool {
    upstream.last().header(":authority").is_some()
}

#[test]
fn a_target_chooses_what_it_speaks() {
    let authority = Authority::new();
    for (knows, version, is_http2) in [
        (&["h2", "http/1.1"][..], "auto", true),
        (&["http/1.1"], "auto", false),
        (&[], "auto", false),
        (&["h2", "http/1.1"], "http1", false),
        (&["http/1.1", "h2"], "http2", true),
    ] {
        let process = trusting(&authority);
        let upstream = Upstream::speaking(Speaks::tls(&authority, knows));
        orders(&process.api(), &upstream.url(), &json!({"http_version": version}));
        let client = Client::connect(process.gw_address());
        let pending: Vec<_> = (0..20).map(|_| client.begin(Ask::new("POST", "/orders/x").body("hello"))).collect();
        for one in pending {
            assert_eq!(one.wait().answer.expect(200).json["body"], "hello");
        }
        assert_eq!(came_over_http2(&upstream), is_http2, "{knows:?} {version}");
        let connections = upstream.connections();
        assert!(if is_http2 { connections == 1 } else { connections <= 20 }, "{knows:?} {version}: {connections}");
    }
}

#[test]
fn who_does_not_choose_http_2_where_it_has_to_is_refused() {
    let authority = Authority::new();
    let process = trusting(&authority);
    for (name, knows) in [("other", &["http/1.1"][..]), ("none", &[])] {
        let upstream = Upstream::speaking(Speaks::tls(&authority, knows));
        let fields = json!({"targets": [{"url": upstream.url()}], "http_version": "http2"});
        process.api().create_api_with(name, "", &json!({"access": "public", "upstream": fields}));
        let answer = process.get(&format!("/{name}/x")).send().problem(502, "upstream_unreachable");
        assert!(answer.text().contains("TLS failed"), "{}", answer.text());
        assert_eq!(upstream.count(), 0);
    }
}

#[test]
fn a_websocket_gets_http_1_1_from_a_target_that_would_choose_http_2() {
    let authority = Authority::new();
    let process = trusting(&authority);
    let upstream = Upstream::speaking(Speaks::tls(&authority, &["h2", "http/1.1"]));
    orders(&process.api(), &upstream.url(), &json!({"http_version": "auto"}));
    process.get("/orders/x").send().is(200);
    assert!(came_over_http2(&upstream));
    let mut client = Connection::open(process.gw_address());
    client.send(
        b"GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
          sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(client.read_text(SOON, "\r\n\r\n"), "{}", client.text());
    assert!(!came_over_http2(&upstream));
    assert_eq!(upstream.last().header("upgrade").as_deref(), Some("websocket"));
}

#[test]
fn a_certificate_of_a_stranger_is_refused() {
    let (known, stranger) = (Authority::new(), Authority::new());
    let process = trusting(&known);
    let upstream = Upstream::speaking(Speaks::tls(&stranger, &["h2"]));
    orders(&process.api(), &upstream.url(), &json!({"http_version": "auto"}));
    process.get("/orders/x").send().problem(502, "upstream_unreachable");
    assert_eq!(upstream.count(), 0);
}
