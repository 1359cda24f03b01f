//! What many small changes lead to must be what a start from the store leads to.

use std::sync::Arc;

use portunus_testkit::{Api, Portunus, Upstream};
use serde_json::{Value, json};

use crate::portunus;

const APIS: u64 = 4;
const CONSUMERS: u64 = 4;
const POLICIES: u64 = 5;
const BINDINGS: u64 = 8;
const PLANS: u64 = 2;

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        let index = self.below(list.len() as u64);
        list[usize::try_from(index).expect("a small number")].clone()
    }
}

/// One change of a random sort; many are refused, and that is part of the game.
fn change(dice: &mut Dice, upstream: &str) -> (&'static str, String, Value) {
    let base = "/v1/tenants/default";
    let (api, consumer) = (dice.below(APIS), dice.below(CONSUMERS));
    let (policy, binding, plan) = (dice.below(POLICIES), dice.below(BINDINGS), dice.below(PLANS));
    let routes = dice.one_of(&[json!([]), json!([{"path": "/items/{id}"}, {"path": "/x", "methods": ["GET"]}])]);
    let access = dice.one_of(&["public", "subscription", "subscription"]);
    let (other, extra) = (dice.below(APIS), dice.below(1000));
    let path = dice.one_of(&[format!("/a{api}"), format!("/a{api}"), format!("/a{other}")]);
    let body = json!({"name": format!("a{api}"), "base_path": path, "access": access, "routes": routes, "upstream": {"targets": [{"url": upstream}]}});
    let config = match dice.below(3) {
        0 => {
            json!({"policy_type": "headers", "config": {"response": {"add": {"X-Policy": format!("{policy}.{}", dice.below(9))}}}})
        }
        _ => json!({"policy_type": "rate_limit", "config": {"requests_per_day": 10_000 + dice.below(1000)}}),
    };
    let mut rule = json!({"name": format!("p{policy}"), "priority": 98 + dice.below(4), "enabled": dice.below(8) > 0});
    rule["policy_type"] = config["policy_type"].clone();
    rule["config"] = config["config"].clone();
    let mut target = dice.one_of(&[
        json!({}),
        json!({"api_id": format!("a{api}")}),
        json!({"api_id": format!("a{api}"), "route": "/items/{id}"}),
        json!({"consumer_id": format!("c{consumer}")}),
        json!({"subscription_id": format!("s{consumer}{api}")}),
        json!({"plan_id": format!("plan{plan}")}),
    ]);
    target["name"] = json!(format!("b{binding}"));
    target["policy_id"] = json!(format!("p{policy}"));
    let mut subscription = json!({"name": format!("s{consumer}{api}"), "consumer_id": format!("c{consumer}"), "api_id": format!("a{api}")});
    if dice.below(2) == 0 {
        subscription["plan_id"] = json!(format!("plan{plan}"));
    }
    let limit = dice.one_of(&[json!(null), json!({"requests_per_day": 20_000 + extra})]);
    match dice.below(28) {
        0..=2 => ("POST", format!("{base}/apis"), body),
        3 => ("PUT", format!("{base}/apis/a{api}"), body),
        4 => ("PATCH", format!("{base}/apis/a{api}"), json!({"base_path": path, "access": access})),
        5 => ("DELETE", format!("{base}/apis/a{api}?cascade=true"), Value::Null),
        6..=8 => ("POST", format!("{base}/subscriptions"), subscription),
        9 => {
            let step = dice.one_of(&["suspend", "resume", "suspend", "resume", "revoke"]);
            ("POST", format!("{base}/subscriptions/s{consumer}{api}/{step}"), json!({}))
        }
        10 => ("DELETE", format!("{base}/subscriptions/s{consumer}{api}?cascade=true"), Value::Null),
        11..=13 => ("POST", format!("{base}/policies"), rule),
        14 => ("PUT", format!("{base}/policies/p{policy}"), rule),
        15 => ("DELETE", format!("{base}/policies/p{policy}?cascade=true"), Value::Null),
        16..=22 => ("POST", format!("{base}/bindings"), target),
        23 | 24 => ("PUT", format!("{base}/bindings/b{binding}"), target),
        25 => {
            let status = dice.one_of(&["active", "active", "suspended"]);
            ("PATCH", format!("{base}/consumers/c{consumer}"), json!({"status": status}))
        }
        _ => ("PATCH", format!("{base}/plans/plan{plan}"), json!({"rate_limit": limit})),
    }
}

/// What every caller gets on every path.
fn observe(process: &Portunus, keys: &[String]) -> Vec<String> {
    let mut seen = Vec::new();
    for api in 0..APIS {
        for path in ["x", "items/1"] {
            for key in keys.iter().map(String::as_str).chain([""]) {
                let call = process.get(&format!("/a{api}/{path}"));
                let answer = if key.is_empty() { call.send() } else { call.key(key).send() };
                let who = keys.iter().position(|known| known == key);
                seen.push(format!(
                    "/a{api}/{path} by {who:?}: {} {} limit {:?} rules {:?}",
                    answer.status,
                    answer.json["code"],
                    answer.header("x-ratelimit-limit"),
                    answer.header_list("x-policy"),
                ));
            }
        }
    }
    seen
}

/// Makes changes, restarts, compares; gives what was seen.
fn play(seed: u64, changes: usize) -> Vec<String> {
    let upstream = Upstream::start();
    let process = portunus().start();
    let admin: Api = process.api();
    for plan in 0..PLANS {
        admin.create("plans", &json!({"name": format!("plan{plan}")}));
    }
    let key = |consumer: u64| {
        admin.create_consumer(&format!("c{consumer}"));
        let made = admin.create("credentials", &json!({"consumer_id": format!("c{consumer}")}));
        made["api_key"].as_str().expect("a key").to_owned()
    };
    let keys: Vec<String> = (0..CONSUMERS).map(key).collect();
    let mut dice = Dice(seed);
    let mut done = Vec::new();
    for _ in 0..changes {
        let (method, path, body) = change(&mut dice, &upstream.url());
        let call = admin.call(method, &path);
        let answer = if body.is_null() { call.send() } else { call.json(&body).send() };
        assert!(answer.status < 500, "{method} {path} {body}: {}", answer.text());
        if answer.status < 300 {
            done.push(format!("{method} {path} {body}"));
        }
    }
    assert!(done.len() > changes / 5, "the game is too hard: {} of {changes} changes were made", done.len());
    let live = observe(&process, &keys);
    let data = Arc::clone(process.home());
    assert_eq!(process.stop(), Some(0));
    let process = portunus().data(&data).start();
    let fresh = observe(&process, &keys);
    let different: Vec<_> = live.iter().zip(&fresh).filter(|(live, fresh)| live != fresh).collect();
    assert!(different.is_empty(), "seed {seed}: live and restarted differ: {different:#?}\nafter {done:#?}");
    live
}

#[test]
fn a_long_run_of_changes_ends_where_a_restart_begins() {
    let seen: Vec<String> = (1..=4).flat_map(|seed| play(seed, 200)).collect();
    for part in [": 200 ", ": 401 ", ": 403 ", ": 404 ", "limit \"10", "limit \"20"] {
        assert!(seen.iter().any(|line| line.contains(part)), "{part:?} never came up, so it was never compared");
    }
    assert!(seen.iter().any(|line| !line.ends_with("rules \"\"")), "no header rule was ever in force");
}
