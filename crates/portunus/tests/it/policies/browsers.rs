//! `cors`, as seen by what a browser would send. The real browser is in `stoa.rs`.

use portunus_testkit::{Answer, Portunus};
use serde_json::json;

use crate::Gate;

const ORIGIN: &str = "https://app.example.com";

fn preflight(process: &Portunus, origin: &str, method: &str, headers: &str) -> Answer {
    let call = process.call("OPTIONS", "/shop/x").header("origin", origin);
    let call = call.header("access-control-request-method", method);
    call.header("access-control-request-headers", headers).send()
}

#[test]
fn a_preflight_is_answered_without_key_and_without_the_upstream() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("shop", &upstream.url());
    let config = json!({"origins": [ORIGIN], "methods": ["GET", "PUT"], "headers": ["Content-Type", "X-API-Key"], "max_age": 1234});
    admin.policy_on(&api, "cors", &config);
    let answer = preflight(&process, ORIGIN, "PUT", "x-api-key,content-type");
    assert!(matches!(answer.status, 200 | 204), "{}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert!(answer.header("access-control-allow-methods").contains("PUT"), "{answer:?}");
    assert!(answer.header("access-control-allow-headers").to_lowercase().contains("x-api-key"), "{answer:?}");
    assert_eq!(answer.header("access-control-max-age"), "1234");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert!(answer.header_list("vary").to_lowercase().contains("origin"), "{answer:?}");
    for origin in ["https://evil.example.com", "https://app.example.com.evil.org", "http://app.example.com", "null"] {
        let answer = preflight(&process, origin, "PUT", "x-api-key");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn answers_and_refusals_can_be_read_by_the_page() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_api("shop", &upstream.url());
    admin.policy_on(&api, "cors", &json!({"origins": [ORIGIN], "expose_headers": ["X-Upstream"]}));
    admin.policy_on(&api, "rate_limit", &json!({"requests_per_hour": 1}));
    let key = admin.subscribe("page", &api);
    let call = |origin: &str| process.get("/shop/text").header("origin", origin);
    let check = |answer: &Answer| {
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{}", answer.text());
        assert!(answer.header_list("vary").to_lowercase().contains("origin"), "{answer:?}");
    };
    let good = call(ORIGIN).key(&key).send().expect(200);
    check(&good);
    assert_eq!(good.header("access-control-expose-headers"), "X-Upstream");
    check(&call(ORIGIN).key(&key).send().expect(429));
    check(&call(ORIGIN).send().expect(401));
    let other = call("https://evil.example.com").send().expect(401);
    assert_eq!(other.header("access-control-allow-origin"), "");
    let plain = process.get("/shop/text").key("x").send().expect(401);
    assert_eq!(plain.header("access-control-allow-origin"), "");
}

#[test]
fn credentials_go_with_the_very_origin_that_asked() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("shop", &upstream.url());
    let config = json!({"origins": ["https://other.example.com", ORIGIN], "credentials": true});
    admin.policy_on(&api, "cors", &config);
    let answer = process.get("/shop/x").header("origin", ORIGIN).send().expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
}

#[test]
fn a_star_lets_every_origin_read() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("shop", &upstream.url());
    admin.policy_on(&api, "cors", &json!({"origins": ["*"]}));
    let answer = process.get("/shop/x").header("origin", ORIGIN).send().expect(200);
    let allowed = answer.header("access-control-allow-origin");
    assert!(allowed == "*" || allowed == ORIGIN, "{allowed}");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[test]
fn without_the_policy_options_belongs_to_the_upstream() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("shop", &upstream.url());
    let answer = preflight(&process, ORIGIN, "PUT", "x-api-key").expect(200);
    assert_eq!(answer.json["method"], "OPTIONS");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn the_upstreams_own_cors_fields_do_not_double_ours() {
    let Gate { process, admin, .. } = Gate::start();
    let canned = portunus_testkit::upstream::Canned::start(
        "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
    );
    let api = admin.create_public_api("shop", &canned.url());
    admin.policy_on(&api, "cors", &json!({"origins": [ORIGIN]}));
    let answer = process.get("/shop/x").header("origin", ORIGIN).send().expect(200);
    assert_eq!(answer.header_list("access-control-allow-origin"), ORIGIN);
}
