//! Least loaded, consistent hash, slow start. Round robin is in `proxy/upstreams.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::{Call, Upstream, eventually};
use serde_json::{Value, json};

use super::{orders, over};
use crate::{Gate, portunus};

/// The target that answered.
fn port(call: Call) -> u64 {
    call.send().expect(200).json["port"].as_u64().expect("the echo tells its port")
}

#[test]
fn the_target_with_less_to_do_is_called() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "2"));
    let other = Upstream::start();
    orders(&admin, &[&upstream, &other], &json!({"balance": "least_loaded"}));
    let mut held: Vec<Connection> = (0..6)
        .map(|_| {
            let mut connection = Connection::open(process.gw_address());
            connection.send(b"GET /orders/held HTTP/1.1\r\nhost: x\r\n\r\n");
            assert!(connection.read_text(SOON, "first"));
            connection
        })
        .collect();
    assert_eq!([upstream.count(), other.count()], [3, 3]);
    other.release();
    eventually(SOON, "an end of those of the other", || {
        let ended = held.iter_mut().filter_map(|one| one.read_text(Duration::from_millis(1), "last").then_some(()));
        (ended.count() == 3).then_some(())
    });
    for _ in 0..10 {
        process.get("/orders/x").send().is(200);
    }
    assert_eq!([upstream.count(), other.count()], [3, 3 + 10]);
}

#[test]
fn a_header_decides_and_nobody_moves_who_need_not() {
    let Gate { process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_WORKERS", "3"));
    let others = [Upstream::start(), Upstream::start()];
    let fields = json!({"balance": "consistent_hash", "hash_on": "header", "hash_header": "X-Session"});
    let api = orders(&admin, &[&upstream, &others[0], &others[1]], &fields);
    let all = || -> Vec<u64> {
        (0..40).map(|i| port(process.get("/orders/x").header("x-session", &format!("session {i}")))).collect()
    };
    let before = all();
    assert_eq!(all(), before, "the same header leads to the same target");
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 3, "{before:?}");
    let gone = u64::from(others[1].port());
    let path = format!("/v1/tenants/default/apis/{}", api["id"].as_str().expect("an id"));
    let smaller = over(&[&upstream, &others[0]], &fields);
    admin.patch(&path, &json!({"upstream": {"targets": smaller["targets"]}})).is(200);
    for (after, before) in all().into_iter().zip(before) {
        assert!(after == before || before == gone, "{before} is still there, and its calls went to {after}");
    }
}

#[test]
fn a_cookie_a_path_a_consumer_or_the_address_can_decide() {
    let Gate { process, admin, upstream } = Gate::start();
    let others = [Upstream::start(), Upstream::start(), Upstream::start()];
    let targets = [&upstream, &others[0], &others[1], &others[2]];
    let mut keys = Vec::new();
    for (name, access, more) in [
        ("cookie", "public", json!({"hash_on": "cookie", "hash_cookie": "session"})),
        ("path", "public", json!({"hash_on": "path"})),
        ("address", "public", json!({})),
        ("consumer", "subscription", json!({"hash_on": "consumer"})),
    ] {
        let mut fields = more;
        fields["balance"] = "consistent_hash".into();
        let api = admin.create_api_with(name, "", &json!({"access": access, "upstream": over(&targets, &fields)}));
        if name == "consumer" {
            keys = (0..12).map(|i| admin.subscribe(&format!("client-{i}"), &api)).collect();
        }
    }
    let spread = |call: &dyn Fn(usize) -> Call| {
        let once: Vec<u64> = (0..12).map(|i| port(call(i))).collect();
        assert_eq!((0..12).map(|i| port(call(i))).collect::<Vec<_>>(), once);
        once.iter().collect::<BTreeSet<_>>().len()
    };
    let cookie = |i: usize| process.get("/cookie/x").header("cookie", &format!("a=b; session={i}; c=d{}", i % 2));
    assert!(spread(&cookie) > 1);
    assert!(spread(&|i| process.get(&format!("/path/{i}?q=1"))) > 1);
    assert!(spread(&|i| process.get("/consumer/x").key(&keys[i])) > 1);
    assert_eq!(spread(&|i| process.get(&format!("/address/{i}"))), 1, "all calls come from one address");
    assert_eq!(spread(&|i| process.get(&format!("/cookie/{i}"))), 1, "without the cookie, the address decides");
}

#[test]
fn a_dead_targets_keys_go_elsewhere() {
    let Gate { process, admin, upstream } = Gate::start();
    let other = Upstream::start();
    orders(&admin, &[&upstream, &other], &json!({"balance": "consistent_hash", "hash_on": "path"}));
    let all = |expected: &Value| {
        for i in 0..20 {
            let answer = process.get(&format!("/orders/{i}")).send().expect(200);
            assert!(expected.is_null() || answer.json["port"] == *expected);
        }
    };
    all(&Value::Null);
    let left = json!(upstream.port());
    drop(other);
    all(&left);
}

#[test]
fn the_share_of_a_new_target_grows() {
    let Gate { process, admin, upstream } = Gate::start();
    let new = Upstream::start();
    let fields = json!({"slow_start_ms": 6000});
    let api = orders(&admin, &[&upstream], &fields);
    process.get("/orders/x").send().is(200);
    let path = format!("/v1/tenants/default/apis/{}", api["id"].as_str().expect("an id"));
    admin.patch(&path, &json!({"upstream": over(&[&upstream, &new], &fields)})).is(200);
    let of_new = || {
        let before = new.count();
        for _ in 0..40 {
            process.get("/orders/x").send().is(200);
        }
        new.count() - before
    };
    let at_first = of_new();
    assert!(at_first <= 14, "{at_first} of 40 at once");
    eventually(3 * SOON, "its whole share", || (of_new() >= 17).then_some(()));
}
