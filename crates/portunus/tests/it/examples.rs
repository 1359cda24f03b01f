//! Each file in `examples/`, started as its first lines say, and called.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use portunus_testkit::gateway::new_data;
use portunus_testkit::poll::SOON;
use portunus_testkit::{Portunus, Upstream, eventually};

use crate::portunus;

const KEY: &str = "ptn_live_ExampleKeyForDocumentationOnly0130a8ST";
const PREMIUM: &str = "ptn_live_ExampleKeyForDocumentationOnly0217fxYF";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Starts Portunus with one example whose upstream is ours instead of port 9000.
fn start(file: &str) -> (Portunus, Upstream) {
    let upstream = Upstream::start();
    let text = fs::read_to_string(folder().join(file)).expect("the example is there");
    let home = new_data();
    let copy = home.path().join(file);
    fs::write(&copy, text.replace("127.0.0.1:9000", &upstream.address())).expect("a file can be written");
    (portunus().data(&home).arg("--manifests").arg(&copy).start(), upstream)
}

#[test]
fn every_example_is_tried_here() {
    let found: BTreeSet<String> = fs::read_dir(folder())
        .expect("there are examples")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    let this = include_str!("examples.rs");
    assert!(found.len() >= 5, "{found:?}");
    for name in found {
        assert!(this.contains(&format!("start(\"{name}\")")), "{name} has no test");
    }
}

#[test]
fn public_api() {
    let (process, upstream) = start("01-public-api.yaml");
    process.get("/files/a.txt").send().is(200);
    assert_eq!(upstream.last().target, "/a.txt");
    process.get("/elsewhere").send().problem(404, "no_route");
}

#[test]
fn keys_and_plan() {
    let (process, _upstream) = start("02-keys-and-plan.yaml");
    process.get("/orders/").key(KEY).send().is(200);
    process.get("/orders/").bearer(KEY).send().is(200);
    process.get("/orders/").send().problem(401, "missing_api_key");
    process.get("/orders/").key("wrong").send().problem(401, "invalid_api_key");
    let statuses: Vec<u16> = (0..20).map(|_| process.get("/orders/").key(KEY).send().status).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[test]
fn rate_limit_tiers() {
    let (process, _upstream) = start("03-rate-limit-tiers.yaml");
    let call = |key: &str| (0..7).map(|_| process.get("/search/").key(key).send().status).collect::<Vec<_>>();
    assert_eq!(call(KEY), [200, 200, 200, 200, 200, 429, 429]);
    assert_eq!(call(PREMIUM), [200; 7]);
    assert!(process.get("/search/").key(KEY).send().header("retry-after").parse::<u64>().is_ok());
}

#[test]
fn browser_cors() {
    let (process, _upstream) = start("04-browser-cors.yaml");
    let preflight = |origin: &str| {
        let call = process.call("OPTIONS", "/shop/").header("origin", origin);
        call.header("access-control-request-method", "PUT").send()
    };
    let good = preflight("https://app.example.com").expect(204);
    assert_eq!(good.header("access-control-allow-origin"), "https://app.example.com");
    assert!(good.header("access-control-allow-methods").contains("PUT"));
    assert_eq!(preflight("https://evil.example.com").header("access-control-allow-origin"), "");
    let call = process.get("/shop/").header("origin", "https://app.example.com").send().expect(200);
    assert_eq!(call.header("access-control-allow-origin"), "https://app.example.com");
}

#[test]
fn many_targets() {
    let (process, upstream) = start("05-many-targets.yaml");
    for _ in 0..8 {
        process.get("/reports/daily").send().is(200);
    }
    let blue = upstream.seen().iter().filter(|seen| seen.target == "/blue/daily").count();
    let green = upstream.seen().iter().filter(|seen| seen.target == "/green/daily").count();
    assert_eq!(blue + green, 8);
    assert!((5..=7).contains(&blue), "three to one: {blue} and {green}");
    drop(upstream);
    process.get("/reports/daily").send().problem(502, "upstream_unreachable");
}

#[test]
fn routes_and_hosts() {
    let (process, upstream) = start("06-routes-and-hosts.yaml");
    let call = |method: &str, path: &str, host: &str| process.call(method, path).header("host", host).send();
    call("GET", "/catalog/items/1", "api.example.com").is(200);
    assert_eq!(upstream.last().target, "/items/1");
    call("GET", "/catalog/items/1", "eu.shop.example.com").is(200);
    let refused = call("DELETE", "/catalog/items/1", "api.example.com").problem(405, "method_not_allowed");
    assert_eq!(refused.header_list("allow"), "GET, HEAD");
    call("GET", "/catalog/secrets", "api.example.com").problem(404, "no_route");
    call("GET", "/catalog/items/1", "127.0.0.1").problem(404, "no_route");
    call("DELETE", "/catalog/images/a/b.png", "api.example.com").is(200);
}

#[test]
fn ip_filter_headers_and_body_limit() {
    let (process, upstream) = start("07-ip-filter-headers-body-limit.yaml");
    let answer = process.get("/inside/text").send().expect(200);
    assert_eq!(answer.header("x-served-by"), "portunus");
    assert_eq!(answer.header("server"), "");
    assert_eq!(upstream.last().header("x-api-version").as_deref(), Some("2"));
    let large = process.call("POST", "/inside/").body(vec![0; 2000]).send();
    large.problem(413, "body_too_large");
}

#[test]
fn healthy_targets() {
    let (process, upstream) = start("08-healthy-targets.yaml");
    process.get("/shop/").send().is(200);
    process.get("/carts/").header("cookie", "cart=7").send().is(200);
    drop(upstream);
    let no_target = || (process.get("/shop/").send().json["code"] == "no_target").then_some(());
    eventually(SOON, "the checks to notice", no_target);
}
