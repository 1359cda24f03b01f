//! What compiles, what wins, what is refused, and that a refusal leaves nothing behind.

use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::kind::Meta;
use crate::snapshot::policy::resolve;

const PLATFORM: u128 = 1;
const TENANT: u128 = 2;
const OTHER: u128 = 3;

fn id(number: u128) -> Id {
    Uuid::from_u128(number)
}

fn put(kind: &str, number: u128, tenant: u128, name: &str, spec: &Value) -> Change {
    let meta = Meta { id: id(number), tenant_id: id(tenant), name: name.into() };
    Change::Put(AnyEntry::read(kind, meta, spec).expect("the spec fits its kind").expect("the kind shapes traffic"))
}

fn api(number: u128, tenant: u128, name: &str, base_path: &str) -> Change {
    let spec = json!({"base_path": base_path, "routes": [{"path": "/items/{id}", "methods": ["GET"]}, {"path": "/items"}],
        "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}});
    put("Api", number, tenant, name, &spec)
}

fn policy(number: u128, tenant: u128, name: &str, priority: u32) -> Change {
    let spec = json!({"policy_type": "rate_limit", "config": {"requests_per_minute": 60}, "priority": priority, "scope": "gateway"});
    put("Policy", number, tenant, name, &spec)
}

/// Two tenants, an API, a plan, a consumer with a subscription.
fn compiler() -> Compiler {
    let mut compiler = Compiler::new(Keyring::ephemeral());
    let changes = vec![
        put("Tenant", PLATFORM, PLATFORM, PLATFORM_TENANT, &json!({})),
        put("Tenant", TENANT, PLATFORM, "shop", &json!({})),
        put("Tenant", OTHER, PLATFORM, "rival", &json!({})),
        api(10, TENANT, "orders", "/orders"),
        put("Plan", 11, TENANT, "gold", &json!({})),
        put("Consumer", 12, TENANT, "acme", &json!({})),
        put(
            "Subscription",
            13,
            TENANT,
            "s",
            &json!({"consumer_id": id(12), "api_id": id(10), "plan_id": id(11), "status": "active"}),
        ),
    ];
    assert!(compiler.apply(changes).is_ok());
    compiler
}

/// The name of the rate limit that decides for `acme` on `GET /orders/items/1`.
fn winner(compiler: &Compiler) -> Option<String> {
    let snapshot = compiler.snapshot(1);
    let api = snapshot.router.find("any.host", "/orders/items/1")?;
    let route = api.route("/items/1", &Method::GET).ok()?;
    let consumer = snapshot.consumers.get(&id(12))?;
    let subscription = consumer.subscription_to(api.id)?;
    let plan = snapshot.plans.get(&subscription.plan_id?)?;
    let all = route.chain.iter().chain(&plan.policies).chain(&subscription.policies).chain(&consumer.policies);
    let applied = resolve(all);
    assert!(applied.len() <= 1, "rate limits compete: {applied:?}");
    applied.first().map(|bound| bound.policy.name.to_string())
}

#[test]
fn the_most_specific_target_wins_at_equal_priority() {
    let targets = [
        (PLATFORM, json!({}), "platform"),
        (TENANT, json!({}), "tenant"),
        (TENANT, json!({"api_id": id(10)}), "api"),
        (TENANT, json!({"api_id": id(10), "route": "/items/{id}"}), "route"),
        (TENANT, json!({"plan_id": id(11)}), "plan"),
        (TENANT, json!({"consumer_id": id(12)}), "consumer"),
        (TENANT, json!({"subscription_id": id(13)}), "subscription"),
    ];
    let mut compiler = compiler();
    assert_eq!(winner(&compiler), None);
    for (step, (tenant, target, name)) in targets.into_iter().enumerate() {
        let number = 100 + 2 * step as u128;
        let mut binding = target;
        binding["policy_id"] = json!(id(number));
        let changes = vec![policy(number, tenant, name, 100), put("Binding", number + 1, tenant, name, &binding)];
        assert!(compiler.apply(changes).is_ok(), "{name}");
        assert_eq!(winner(&compiler).as_deref(), Some(name));
    }
    // And in reverse, when the more specific ones go.
    for (step, name) in ["consumer", "plan", "route", "api", "tenant", "platform"].into_iter().enumerate() {
        let number = 113 - 2 * step as u128;
        assert!(compiler.apply(vec![Change::Remove(id(number))]).is_ok());
        assert_eq!(winner(&compiler).as_deref(), Some(name));
    }
}

#[test]
fn the_lowest_priority_number_wins_over_every_target() {
    let mut compiler = compiler();
    let changes = vec![
        policy(100, TENANT, "default", 100),
        put("Binding", 101, TENANT, "b1", &json!({"policy_id": id(100), "subscription_id": id(13)})),
        policy(102, TENANT, "urgent", 50),
        put("Binding", 103, TENANT, "b2", &json!({"policy_id": id(102)})),
    ];
    assert!(compiler.apply(changes).is_ok());
    assert_eq!(winner(&compiler).as_deref(), Some("urgent"));
    assert!(compiler.apply(vec![policy(102, TENANT, "urgent", 100)]).is_ok());
    assert_eq!(winner(&compiler).as_deref(), Some("default"));
}

#[test]
fn a_disabled_policy_does_not_apply() {
    let mut compiler = compiler();
    let spec = json!({"policy_type": "rate_limit", "config": {"requests_per_minute": 60}, "enabled": false});
    let changes = vec![
        put("Policy", 100, TENANT, "off", &spec),
        put("Binding", 101, TENANT, "b", &json!({"policy_id": id(100)})),
    ];
    assert!(compiler.apply(changes).is_ok());
    assert_eq!(winner(&compiler), None);
}

#[test]
fn a_taken_path_is_refused_and_nothing_is_left_behind() {
    let mut compiler = compiler();
    for (tenant, owner) in [(TENANT, "by the API orders"), (OTHER, "by another tenant")] {
        let faults = compiler.apply(vec![api(20, tenant, "second", "/orders")]).err().expect("the path is taken");
        assert_eq!((faults[0].id, faults[0].is_conflict), (id(20), true));
        assert!(faults[0].problem.message.contains(owner), "{}", faults[0].problem);
        assert!(!compiler.tables().apis.contains_key(&id(20)));
        assert_eq!(compiler.snapshot(1).router.find("", "/orders/x").map(|api| api.id), Some(id(10)));
    }
    // Two APIs can swap their paths in one change.
    assert!(compiler.apply(vec![api(20, TENANT, "second", "/second")]).is_ok());
    assert!(compiler.apply(vec![api(20, TENANT, "second", "/orders"), api(10, TENANT, "orders", "/second")]).is_ok());
    assert_eq!(compiler.snapshot(1).router.find("", "/orders").map(|api| api.id), Some(id(20)));
}

#[test]
fn base_paths_match_on_segment_boundaries_and_the_longest_wins() {
    let mut compiler = compiler();
    assert!(compiler.apply(vec![api(20, TENANT, "v2", "/orders/v2"), api(21, TENANT, "all", "/")]).is_ok());
    let snapshot = compiler.snapshot(1);
    for (path, expected) in [
        ("/orders", 10),
        ("/orders/", 10),
        ("/orders/v2", 20),
        ("/orders/v2/x", 20),
        ("/orders/v21", 10),
        ("/ordersx", 21),
        ("/", 21),
        ("/x/y/z", 21),
    ] {
        assert_eq!(snapshot.router.find("", path).map(|api| api.id), Some(id(expected)), "{path}");
    }
}

#[test]
fn hosts_come_before_no_host_and_exact_before_wildcard() {
    let mut compiler = compiler();
    let with = |number, name: &str, host: &str| {
        put(
            "Api",
            number,
            TENANT,
            name,
            &json!({"base_path": "/orders", "hosts": [host], "upstream": {"targets": [{"url": "http://127.0.0.1:9"}]}}),
        )
    };
    assert!(compiler.apply(vec![with(20, "exact", "api.example.com"), with(21, "wild", "*.example.com")]).is_ok());
    let snapshot = compiler.snapshot(1);
    for (host, expected) in
        [("api.example.com", 20), ("other.example.com", 21), ("a.b.example.com", 21), ("example.com", 10), ("", 10)]
    {
        assert_eq!(snapshot.router.find(host, "/orders/x").map(|api| api.id), Some(id(expected)), "{host}");
    }
    assert!(compiler.apply(vec![Change::Remove(id(21)), Change::Remove(id(20))]).is_ok());
    assert_eq!(compiler.snapshot(1).router.find("api.example.com", "/orders").map(|api| api.id), Some(id(10)));
}

#[test]
fn bindings_that_cannot_be_enforced_are_refused() {
    let mut compiler = compiler();
    let cors = json!({"policy_type": "cors", "config": {"origins": ["*"]}});
    let narrow = json!({"policy_type": "rate_limit", "config": {"requests_per_minute": 1}, "scope": "api"});
    let changes = || vec![put("Policy", 100, TENANT, "cors", &cors), put("Policy", 101, TENANT, "narrow", &narrow)];
    assert!(compiler.apply(changes()).is_ok());
    for (spec, path) in [
        (json!({"policy_id": id(100), "consumer_id": id(12)}), "/policy_id"),
        (json!({"policy_id": id(101)}), "/policy_id"),
        (json!({"policy_id": id(101), "api_id": id(10), "route": "/nothing"}), "/route"),
    ] {
        let faults =
            compiler.apply(vec![put("Binding", 200, TENANT, "b", &spec)]).err().expect("the binding is refused");
        assert_eq!((faults[0].id, faults[0].problem.path.as_str()), (id(200), path), "{spec}");
        assert!(!compiler.tables().bindings.contains_key(&id(200)));
    }
}

#[test]
fn limits_keep_counting_across_changes() {
    let mut compiler = compiler();
    let limits = |compiler: &Compiler| {
        compiler.snapshot(1).consumers.get(&id(12)).expect("acme is compiled").subscriptions[0].limits.clone()
    };
    let before = limits(&compiler);
    assert!(compiler.apply(vec![put("Consumer", 12, TENANT, "acme", &json!({"display_name": "Acme"}))]).is_ok());
    assert!(Arc::ptr_eq(&before, &limits(&compiler)));
}

#[test]
fn a_second_live_subscription_is_a_conflict() {
    let mut compiler = compiler();
    let spec = json!({"consumer_id": id(12), "api_id": id(10), "status": "pending"});
    let faults = compiler.apply(vec![put("Subscription", 30, TENANT, "s2", &spec)]).err().expect("one is enough");
    assert!(faults[0].is_conflict && faults[0].id == id(30));
}

#[test]
fn apis_of_one_upstream_share_it_and_what_is_known_of_its_targets_stays() {
    let mut compiler = compiler();
    let upstream = |weight: u32| {
        let targets = json!([{"url": "http://127.0.0.1:8"}, {"url": "http://127.0.0.1:9", "weight": weight}]);
        put("Upstream", 30, TENANT, "pool", &json!({"targets": targets}))
    };
    let shares =
        |number, path: &str| put("Api", number, TENANT, path, &json!({"base_path": path, "upstream_id": id(30)}));
    let upstream_of = |compiler: &Compiler, number| {
        compiler.snapshot(1).apis.get(&id(number)).expect("the API is there").upstream.clone()
    };
    assert!(compiler.apply(vec![shares(31, "/one"), shares(32, "/two"), upstream(1)]).is_ok());
    let before = upstream_of(&compiler, 31);
    assert!(Arc::ptr_eq(&before, &upstream_of(&compiler, 32)));
    assert!(compiler.apply(vec![upstream(5)]).is_ok());
    let after = upstream_of(&compiler, 31);
    assert!(Arc::ptr_eq(&after, &upstream_of(&compiler, 32)));
    assert_eq!((before.targets[1].weight, after.targets[1].weight), (1, 5));
    assert!(before.targets.iter().zip(&after.targets).all(|(a, b)| Arc::ptr_eq(&a.state, &b.state)));
}
