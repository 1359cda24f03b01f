//! Rubbish of every sort: refused with the place of every fault, and nothing stored.

use std::collections::BTreeMap;

use portunus_testkit::Api;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, exchange};
use serde_json::{Value, json};

use crate::{Gate, portunus};

/// How many resources of each kind there are.
fn inventory(admin: &Api) -> BTreeMap<&'static str, Value> {
    let plurals = ["apis", "upstreams", "policies", "bindings", "plans", "consumers", "subscriptions", "credentials"];
    let count = |plural| admin.get(&format!("/v1/tenants/default/{plural}")).expect(200).json["total"].clone();
    plurals.into_iter().map(|plural| (plural, count(plural))).collect()
}

fn api(fields: &Value) -> Value {
    let mut body =
        json!({"name": "new", "base_path": "/new", "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}});
    for (field, value) in fields.as_object().expect("an object") {
        body[field] = value.clone();
    }
    body
}

fn policy(policy_type: &str, config: Value) -> Value {
    let mut body = json!({"name": "new", "policy_type": policy_type});
    body["config"] = config;
    body
}

/// What is posted to which plural, and the places of the faults in it.
fn rubbish() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    vec![
        ("apis", api(&json!({"colour": "red"})), vec!["/colour"]),
        ("apis", api(&json!({"base_path": 7})), vec!["/base_path"]),
        ("apis", api(&json!({"base_path": "new"})), vec!["/base_path"]),
        ("apis", api(&json!({"base_path": "/a/../b"})), vec!["/base_path"]),
        ("apis", api(&json!({"base_path": "/health"})), vec!["/base_path"]),
        ("apis", api(&json!({"base_path": "/taken"})), vec!["/base_path"]),
        ("apis", api(&json!({"protocol": "carrier-pigeon"})), vec!["/protocol"]),
        ("apis", api(&json!({"access": "everybody"})), vec!["/access"]),
        ("apis", api(&json!({"upstream": null})), vec!["/upstream"]),
        ("apis", api(&json!({"upstream": {"targets": []}})), vec!["/upstream/targets"]),
        ("apis", api(&json!({"upstream": {"targets": [{"url": "ftp://x"}]}})), vec!["/upstream/targets/0/url"]),
        ("apis", api(&json!({"upstream": {"targets": [{"url": "http://u:p@x"}]}})), vec!["/upstream/targets/0/url"]),
        (
            "apis",
            api(&json!({"upstream": {"targets": [{"url": "http://x", "weight": -1}]}})),
            vec!["/upstream/targets/0/weight"],
        ),
        ("apis", api(&json!({"upstream_id": "no-such", "upstream": null})), vec!["/upstream_id"]),
        ("apis", api(&json!({"hosts": ["Bad Host"]})), vec!["/hosts/0"]),
        ("apis", api(&json!({"routes": [{"path": "items"}]})), vec!["/routes/0/path"]),
        ("apis", api(&json!({"routes": [{"path": "/{a}"}, {"path": "/{b}"}]})), vec!["/routes/1/path"]),
        ("apis", api(&json!({"routes": [{"path": "/a", "methods": ["G E T"]}]})), vec!["/routes/0/methods/0"]),
        ("apis", api(&json!({"routes": [{"path": "/a/{x"}]})), vec!["/routes/0/path"]),
        ("apis", api(&json!({"name": "bad\u{0}name"})), vec!["/name"]),
        ("apis", api(&json!({"name": "a/b"})), vec!["/name"]),
        ("apis", api(&json!({"name": ""})), vec!["/name"]),
        ("apis", api(&json!({"name": "n".repeat(129)})), vec!["/name"]),
        ("apis", json!({}), vec!["/name", "/base_path"]),
        (
            "apis",
            api(&json!({"base_path": 7, "colour": 1, "access": "x", "upstream": {"targets": [{"uri": "x"}]}})),
            vec!["/base_path", "/colour", "/access", "/upstream/targets/0/uri", "/upstream/targets/0/url"],
        ),
        ("policies", policy("teleport", json!({})), vec!["/policy_type"]),
        ("policies", policy("rate_limit", json!({})), vec!["/config"]),
        ("policies", policy("rate_limit", json!({"requests_per_minute": 0})), vec!["/config/requests_per_minute"]),
        ("policies", policy("rate_limit", json!({"requests_per_minute": 1.5})), vec!["/config/requests_per_minute"]),
        (
            "policies",
            policy("rate_limit", json!({"requests_per_minute": "5", "brust": 1})),
            vec!["/config/requests_per_minute", "/config/brust"],
        ),
        ("policies", policy("rate_limit", json!({"requests_per_minute": 5, "key": "header"})), vec!["/config/header"]),
        ("policies", policy("cors", json!({"origins": ["https://a.example/path"]})), vec!["/config/origins/0"]),
        ("policies", policy("cors", json!({"origins": ["*"], "credentials": true})), vec!["/config/origins/0"]),
        (
            "policies",
            policy("ip_filter", json!({"allow": ["10.0.0.0/33", "ten"]})),
            vec!["/config/allow/0", "/config/allow/1"],
        ),
        (
            "policies",
            policy("headers", json!({"request": {"set": {"bad name": "x"}}})),
            vec!["/config/request/set/bad name"],
        ),
        (
            "policies",
            policy("headers", json!({"request": {"set": {"X-A": "line\nbreak"}}})),
            vec!["/config/request/set/X-A"],
        ),
        ("policies", policy("body_limit", json!({"max_bytes": -1})), vec!["/config/max_bytes"]),
        ("policies", policy("timeout", json!({})), vec!["/config"]),
        (
            "policies",
            json!({"name": "new", "policy_type": "cors", "config": [], "priority": 10_001}),
            vec!["/config", "/priority"],
        ),
        ("bindings", json!({"policy_id": "no-such"}), vec!["/policy_id"]),
        ("bindings", json!({"policy_id": "limit", "route": "/x"}), vec!["/route"]),
        ("bindings", json!({"policy_id": "limit", "api_id": "taken", "consumer_id": "client"}), vec!["/consumer_id"]),
        ("bindings", json!({"policy_id": "limit", "api_id": "taken", "route": "/no-such-route"}), vec!["/route"]),
        ("bindings", json!({"policy_id": "for-apis"}), vec!["/policy_id"]),
        ("consumers", json!({"name": "new", "email": "not an address"}), vec!["/email"]),
        ("consumers", json!({"name": "new", "status": "asleep"}), vec!["/status"]),
        ("subscriptions", json!({"consumer_id": "nobody", "api_id": "nothing"}), vec!["/consumer_id", "/api_id"]),
        (
            "subscriptions",
            json!({"consumer_id": "client", "api_id": "taken", "expires_at": "tomorrow"}),
            vec!["/expires_at"],
        ),
        ("credentials", json!({"consumer_id": "client", "key_sha256": "abc"}), vec!["/key_sha256"]),
        ("plans", json!({"name": "new", "rate_limit": {"burst": 1}}), vec!["/rate_limit"]),
    ]
}

/// What the rubbish refers to.
fn prepare(admin: &Api) {
    admin.create_public_api("taken", "http://127.0.0.1:9");
    admin.create_consumer("client");
    admin.create_policy("limit", "rate_limit", &json!({"requests_per_minute": 5}));
    admin.create(
        "policies",
        &json!({"name": "for-apis", "policy_type": "rate_limit", "scope": "api", "config": {"requests_per_minute": 5}}),
    );
}

#[test]
fn each_fault_is_refused_with_its_place_and_nothing_is_stored() {
    let process = portunus().start();
    let admin = process.api();
    prepare(&admin);
    let before = inventory(&admin);
    let mut wrong = Vec::new();
    for (plural, body, paths) in rubbish() {
        let answer = admin.post(&format!("/v1/tenants/default/{plural}"), &body);
        let found = answer.fault_paths();
        let complete = answer.json["errors"].as_array().is_some_and(|errors| {
            errors.iter().all(|e| {
                let is_text = |member: &str| e[member].as_str().is_some_and(|text| !text.is_empty());
                e["path"].is_string() && is_text("message") && is_text("expected")
            })
        });
        let is_refused = answer.status == 422 || (answer.status == 409 && body["base_path"] == "/taken");
        if !is_refused || !complete || paths.iter().any(|path| !found.contains(&(*path).to_owned())) {
            wrong.push(format!("{plural} {body}: {} wanted {paths:?}, got {}", answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(inventory(&admin), before);
}

#[test]
fn a_fault_in_a_change_leaves_the_resource_as_it_was() {
    let Gate { process, admin, upstream } = Gate::start();
    let api = admin.create_public_api("orders", &upstream.url());
    let one = format!("/v1/tenants/default/apis/{}", api["id"].as_str().expect("an id"));
    let before = admin.get(&one).expect(200).json;
    for change in
        [json!({"base_path": "x"}), json!({"colour": 1}), json!({"upstream_id": "no-such"}), json!({"upstream": null})]
    {
        let answer = admin.patch(&one, &change).refused(422);
        assert!(!answer.fault_paths().is_empty(), "{}", answer.text());
        admin.put(&one, &change).refused(422);
    }
    for change in [json!({"id": "00000000-0000-7000-8000-000000000000"}), json!({"tenant_id": "platform"})] {
        let answer = admin.patch(&one, &change);
        assert!((400..500).contains(&answer.status), "{change}: {}", answer.text());
    }
    assert_eq!(admin.get(&one).expect(200).json, before);
    process.get("/orders/x").send().is(200);
}

#[test]
fn bodies_that_are_no_json_are_refused_plainly() {
    let process = portunus().start();
    let admin = process.api();
    let before = inventory(&admin);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!("{{\"name\":\"a\",\"metadata\":{}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let bodies: Vec<(Vec<u8>, &[u16])> = vec![
        (b"{\"name\": ".to_vec(), &[400]),
        (b"".to_vec(), &[400, 422]),
        (b"name=a".to_vec(), &[400]),
        (b"{\"name\": \"a\"} trailing".to_vec(), &[400]),
        (b"\xff\xfe\x00".to_vec(), &[400]),
        (b"[1, 2]".to_vec(), &[400, 422]),
        (b"\"text\"".to_vec(), &[400, 422]),
        (b"null".to_vec(), &[400, 422]),
        (deep.into_bytes(), &[400, 422]),
        (nested.into_bytes(), &[400, 422]),
    ];
    for (body, statuses) in bodies {
        let start = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
        for method in ["POST", "PUT", "PATCH"] {
            let path = if method == "POST" { "consumers" } else { "consumers/a" };
            let call = admin.call(method, &format!("/v1/tenants/default/{path}"));
            let answer = call.header("content-type", "application/json").body(body.clone()).send();
            let is_expected = statuses.contains(&answer.status) || (method != "POST" && answer.status == 404);
            assert!(is_expected, "{method} {start}: {} {}", answer.status, answer.text());
            answer.clone().refused(answer.status);
        }
    }
    let head = format!(
        "POST /v1/tenants/default/consumers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 10000000\r\n\r\n",
        admin.token()
    );
    let mut client = Connection::open(process.api_address());
    client.send(&[head.as_bytes(), &vec![b' '; 1024 * 1024 + 1]].concat());
    assert!(client.read_text(SOON, "request_id"), "{}", client.text());
    assert_eq!(client.status(), Some(413), "{}", client.text());
    assert!(client.text().contains("application/problem+json"), "{}", client.text());
    let xml = admin.call("POST", "/v1/tenants/default/consumers").header("content-type", "application/xml");
    let answer = xml.body("<a/>").send();
    assert!(matches!(answer.status, 400 | 415), "{}", answer.text());
    assert_eq!(inventory(&admin), before);
    assert!(!process.stdout().text().contains("PANIC"));
}

#[test]
fn odd_but_good_names_are_kept_as_they_are() {
    let process = portunus().start();
    let admin = process.api();
    for name in ["Zoë's café", "a b", "日本語", "a%20b", "x'; DROP TABLE resource; --", "😀", "a+b&c=d", "..."] {
        let made = admin.create_consumer(name);
        assert_eq!(made["name"], name);
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let read = admin.get(&format!("/v1/tenants/default/consumers/{encoded}")).expect(200).json;
        assert_eq!(read["id"], made["id"], "{name}");
    }
}

#[test]
fn no_bytes_from_the_network_bring_either_listener_down() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let long_path = format!("GET /orders/{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000));
    let many_fields = format!("GET /orders/x HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(5_000));
    let rubbish: Vec<Vec<u8>> = vec![
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET /orders/x HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /orders/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_vec(),
        b"GET /orders/x HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n".to_vec(),
        b"GET /orders/%zz%0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET /orders/%00%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET http:///orders HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"CONNECT orders:80 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n".to_vec(),
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_vec(),
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_vec(),
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n".to_vec(),
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_vec(),
        b"POST /orders/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, foo\r\n\r\n".to_vec(),
        b"GET /orders/x HTTP/1.1\r\nhost: x\r\nx-api-key: \x80\x81\r\nauthorization: Bearer\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET /orders/x HTTP/1.1\r\nhost: x\r\norigin: \x80\r\nx-forwarded-for: ,,,\r\nconnection: ,,close\r\n\r\n".to_vec(),
        b"GET /v1/tenants/%00/apis?page=%ff HTTP/1.1\r\nhost: x\r\nauthorization: Basic !!!\r\nconnection: close\r\n\r\n".to_vec(),
        b"POST /realms/x/protocol/openid-connect/token HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\n%%%".to_vec(),
        long_path.into_bytes(),
        many_fields.into_bytes(),
    ];
    for address in [process.gw_address(), process.api_address()] {
        for bytes in &rubbish {
            let mut client = Connection::open(address);
            client.send(bytes);
            client.read_until(std::time::Duration::from_millis(300), |read| read.ends_with(b"}"));
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
            assert_ne!(client.status(), Some(500), "{shown}: {}", client.text());
        }
    }
    process.get("/orders/x").send().is(200);
    admin.get("/v1/tenants").is(200);
    let log = process.stdout().text() + &process.stderr().text();
    assert!(!log.contains("PANIC") && !log.contains("panicked"), "{log}");
}

#[test]
fn s08_a_panic_in_one_request_is_answered_500_and_harms_no_other() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_DRILL_PANIC_PATH", "/orders/drill"));
    admin.create_public_api("orders", &upstream.url());
    let mut client = Connection::open(process.gw_address());
    client.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(client.read_text(SOON, "first"));
    for _ in 0..5 {
        process.get("/orders/drill").send().problem(500, "internal_error");
        process.get("/orders/x").send().is(200);
    }
    upstream.release();
    assert!(client.read_text(SOON, "last"), "a request that was under way goes on");
    let line = process.wait_log(SOON, |entry| entry["message"] == "PANIC recovery triggered");
    assert_eq!(line["level"], "error");
    process.wait_log(SOON, |entry| entry["message"] == "request completed" && entry["status"] == 500);
    let raw =
        exchange(process.gw_address(), b"GET /orders/drill HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", SOON);
    assert!(!raw.text().contains(".rs"), "an answer tells nothing about the code: {}", raw.text());
}
