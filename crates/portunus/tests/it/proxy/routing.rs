//! Which API and route a request belongs to.

use portunus_testkit::Upstream;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::exchange;
use serde_json::json;

use crate::Gate;

#[test]
fn a_template_matches_one_segment_and_a_catch_all_the_rest() {
    let Gate { process, admin, upstream } = Gate::start();
    let routes = json!({"access": "public", "routes": [
        {"path": "/items/{id}", "methods": ["GET"]},
        {"path": "/items/{id}/parts/{part}"},
        {"path": "/files/{*path}"},
    ]});
    admin.create_api_with("orders", &upstream.url(), &routes);
    let cases = [
        ("/orders/items/1", 200),
        ("/orders/items/a.b-c_d~e", 200),
        ("/orders/items/1/parts/2", 200),
        ("/orders/files/a/b/c", 200),
        ("/orders/items", 404),
        ("/orders/items/1/2", 404),
        ("/orders/items/1/parts", 404),
        ("/orders/other", 404),
        ("/orders", 404),
    ];
    for (path, status) in cases {
        let answer = process.get(path).send();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.json["path"], path["/orders".len()..], "{path}");
        } else {
            assert_eq!(answer.json["code"], "no_route", "{path}");
        }
    }
}

#[test]
fn a_base_path_ends_at_a_segment_boundary() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    assert_eq!(process.get("/orders").send().expect(200).json["path"], "/");
    assert_eq!(process.get("/orders/").send().expect(200).json["path"], "/");
    assert_eq!(process.get("/orders/a/").send().expect(200).json["path"], "/a/");
    for path in ["/ordersx", "/orders-old/a", "/order", "/", "/x/orders"] {
        process.get(path).send().problem(404, "no_route");
    }
    assert_eq!(upstream.count(), 3);
}

#[test]
fn the_longest_base_path_wins() {
    let Gate { process, admin, upstream } = Gate::start();
    let inner = Upstream::start();
    admin.create_public_api("shop", &upstream.url());
    admin.create_api_with("shop-v2", &inner.url(), &json!({"access": "public", "base_path": "/shop/v2"}));
    assert_eq!(process.get("/shop/v2/x").send().expect(200).json["port"], inner.port());
    assert_eq!(process.get("/shop/v2").send().expect(200).json["port"], inner.port());
    assert_eq!(process.get("/shop/v22").send().expect(200).json["port"], upstream.port());
    assert_eq!(process.get("/shop/x").send().expect(200).json["port"], upstream.port());
}

#[test]
fn a_base_path_of_one_slash_takes_what_nobody_else_owns() {
    let Gate { process, admin, upstream } = Gate::start();
    let rest = Upstream::start();
    admin.create_public_api("orders", &upstream.url());
    admin.create_api_with("rest", &rest.url(), &json!({"access": "public", "base_path": "/"}));
    assert_eq!(process.get("/a/b").send().expect(200).json["path"], "/a/b");
    assert_eq!(process.get("/a/b").send().expect(200).json["port"], rest.port());
    assert_eq!(process.get("/orders/b").send().expect(200).json["port"], upstream.port());
    assert_eq!(process.get("/health").send().expect(200).json["status"], "ok");
}

#[test]
fn a_missing_method_is_405_with_the_methods_that_exist() {
    let Gate { process, admin, upstream } = Gate::start();
    let routes = json!({"access": "public", "routes": [
        {"path": "/items/{id}", "methods": ["GET", "DELETE"]},
        {"path": "/items", "methods": ["POST"]},
    ]});
    admin.create_api_with("orders", &upstream.url(), &routes);
    let answer = process.call("PUT", "/orders/items/1").send().problem(405, "method_not_allowed");
    let allow = answer.header_list("allow");
    let allow: Vec<&str> = allow.split(", ").collect();
    assert!(allow.contains(&"GET") && allow.contains(&"DELETE") && !allow.contains(&"POST"), "{allow:?}");
    let answer = process.get("/orders/items").send().problem(405, "method_not_allowed");
    assert!(answer.header_list("allow").contains("POST"), "{answer:?}");
    process.call("DELETE", "/orders/items/1").send().is(200);
    process.call("POST", "/orders/items").send().is(200);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_written_out_segment_wins_over_a_template() {
    let Gate { process, admin, upstream } = Gate::start();
    let routes = json!({"access": "public", "routes": [
        {"path": "/items/{id}", "methods": ["GET"]},
        {"path": "/items/search", "methods": ["POST"]},
    ]});
    admin.create_api_with("orders", &upstream.url(), &routes);
    process.call("POST", "/orders/items/search").send().is(200);
    process.get("/orders/items/7").send().is(200);
    process.call("POST", "/orders/items/7").send().is(405);
}

#[test]
fn hosts_are_kept_apart() {
    let Gate { process, admin, upstream } = Gate::start();
    let (two, wild) = (Upstream::start(), Upstream::start());
    let on = |name: &str, url: &str, host: &str| {
        let fields = json!({"access": "public", "base_path": "/shop", "hosts": [host]});
        admin.create_api_with(name, url, &fields);
    };
    on("one", &upstream.url(), "one.example.com");
    on("two", &two.url(), "two.example.com");
    on("wild", &wild.url(), "*.example.org");
    let port = |host: &str| process.get("/shop/x").header("host", host).send().expect(200).json["port"].clone();
    assert_eq!(port("one.example.com"), upstream.port());
    assert_eq!(port("ONE.Example.com:8080"), upstream.port());
    assert_eq!(port("two.example.com"), two.port());
    assert_eq!(port("a.b.example.org"), wild.port());
    for host in ["three.example.com", "example.org", "evil-one.example.com", "127.0.0.1"] {
        process.get("/shop/x").header("host", host).send().problem(404, "no_route");
    }
}

#[test]
fn the_base_path_stays_when_it_is_not_to_be_stripped() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_api_with("orders", &upstream.url(), &json!({"access": "public", "strip_path": false}));
    assert_eq!(process.get("/orders/items/1").send().expect(200).json["path"], "/orders/items/1");
    assert_eq!(process.get("/orders").send().expect(200).json["path"], "/orders");
}

#[test]
fn a_path_cannot_climb_out_of_its_api() {
    let Gate { process, admin, upstream } = Gate::start();
    let secret = Upstream::start();
    admin.create_public_api("open", &upstream.url());
    admin.create_api("secret", &secret.url());
    for path in [
        "/open/../secret/x",
        "/open/%2e%2e/secret/x",
        "/open/.%2E/secret/x",
        "/open/a/../../secret/x",
        "/open/..%2fsecret/x",
        "/open/..;/secret/x",
        "//secret/x",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(process.gw_address(), request.as_bytes(), SOON);
        let status = answer.status().expect("a status");
        for seen in upstream.seen() {
            let decoded = seen.target.to_lowercase().replace("%2e", ".").replace("%2f", "/");
            let climbs = decoded.split('/').any(|segment| segment == "..");
            assert!(!climbs, "{path} reached the upstream as {}", seen.target);
        }
        assert_ne!(status, 500, "{path}");
    }
    assert_eq!(secret.count(), 0, "no key was sent, so nothing may arrive");
}

#[test]
fn a_change_of_routes_is_seen_by_the_next_request() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let path = format!("/v1/tenants/default/apis/{}", api["id"].as_str().expect("an id"));
    process.get("/orders/x").send().is(200);
    admin.patch(&path, &json!({"base_path": "/bills"})).is(200);
    process.get("/orders/x").send().is(404);
    process.get("/bills/x").send().is(200);
    admin.patch(&path, &json!({"routes": [{"path": "/y"}]})).is(200);
    process.get("/bills/x").send().is(404);
    process.get("/bills/y").send().is(200);
    admin.delete(&path);
    process.get("/bills/y").send().is(404);
}

#[test]
fn an_absolute_request_target_names_the_host() {
    let Gate { process, admin, upstream } = Gate::start();
    let fields = json!({"access": "public", "base_path": "/shop", "hosts": ["api.example.com"]});
    admin.create_api_with("shop", &upstream.url(), &fields);
    let request =
        b"GET http://api.example.com/shop/x?a=b HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n";
    let answer = exchange(process.gw_address(), request, SOON);
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    assert_eq!(upstream.last().target, "/x?a=b");
    let request = b"GET http://api.example.com/shop/x?a=b HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n";
    let answer = exchange(process.gw_address(), request, SOON);
    assert_eq!(answer.status(), Some(400), "two hosts: {}", answer.text());
}
