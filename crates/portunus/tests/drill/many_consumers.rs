//! A hundred thousand consumers: how long a start takes, and how long a change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portunus_testkit::{Api, Portunus, Upstream};
use serde_json::{Value, json};

use crate::{figure, median, ms, portunus};

const CONSUMERS: usize = 100_000;
/// Consumers in one batch; each comes with its subscription and its key.
const BATCH: usize = 2_000;
const MEASUREMENTS: usize = 20;

fn manifest(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "portunus.dev/v1", "kind": kind, "metadata": {"tenant": "default", "name": name}, "spec": spec})
}

/// Stores the consumers in batches; gives one of their keys.
fn load(admin: &Api) -> String {
    let mut key = String::new();
    for batch in 0..CONSUMERS / BATCH {
        let manifests: Vec<Value> = (batch * BATCH..(batch + 1) * BATCH)
            .flat_map(|i| {
                let name = format!("consumer-{i}");
                [
                    manifest("Consumer", &name, &json!({"email": format!("c{i}@example.com")})),
                    manifest("Subscription", &format!("sub-{i}"), &json!({"consumer_id": name, "api_id": "orders"})),
                    manifest("Credential", &format!("key-{i}"), &json!({"consumer_id": name})),
                ]
            })
            .collect();
        let call = admin.call("POST", "/v1/apply").deadline(Duration::from_secs(120));
        let answer = call.json(&json!({"manifests": manifests})).send().expect(200);
        let changes = answer.json["changes"].as_array().expect("changes");
        assert_eq!(changes.len(), BATCH * 3);
        let secret = changes.iter().rev().map(|change| &change["secret"]).find(|secret| !secret.is_null());
        let secret = secret.expect("a new key is shown");
        let text = [secret, &secret["api_key"], &secret["value"]].into_iter().find_map(Value::as_str);
        key = text.expect("a key").to_owned();
    }
    key
}

/// From sending a change to the first request that shows it.
fn until_seen(process: &Portunus, key: &str, wanted: u16, change: impl FnOnce()) -> Duration {
    let start = Instant::now();
    change();
    while process.get("/orders/x").key(key).send().status != wanted {
        assert!(start.elapsed() < Duration::from_secs(10), "the change is never seen");
    }
    start.elapsed()
}

#[test]
fn s22_hundred_thousand_consumers_cold_start() {
    let upstream = Upstream::start();
    upstream.forget();
    let process = portunus().start();
    let admin = process.api();
    admin.create_api("orders", &upstream.url());
    let start = Instant::now();
    let key = load(&admin);
    figure("bulk_load_100000_consumers", format!("{:.1}", start.elapsed().as_secs_f64()), "s");
    process.get("/orders/x").key(&key).send().is(200);
    let data = Arc::clone(process.home());
    let stop = Instant::now();
    assert_eq!(process.stop(), Some(0));
    let stopped = stop.elapsed();

    let mut starts = Vec::new();
    let mut process = portunus().data(&data).deadline(Duration::from_secs(120)).start();
    for _ in 0..3 {
        process.get("/orders/x").key(&key).send().is(200);
        starts.push(process.started().elapsed());
        assert_eq!(process.stop(), Some(0));
        process = portunus().data(&data).deadline(Duration::from_secs(120)).start();
    }
    let cold = median(starts.clone());
    figure("cold_start_100000_consumers", ms(cold), "ms");
    figure("cold_start_100000_consumers_slowest", ms(starts.into_iter().max().unwrap_or_default()), "ms");
    figure("stop_100000_consumers", ms(stopped), "ms");
    figure("memory_100000_consumers", process.rss_kb(), "KiB");

    let admin = process.api();
    let name = format!("/v1/tenants/default/consumers/consumer-{}", CONSUMERS - 1);
    let mut changes = Vec::new();
    for i in 0..MEASUREMENTS {
        let (status, wanted) = if i % 2 == 0 { ("suspended", 403) } else { ("active", 200) };
        changes.push(until_seen(&process, &key, wanted, || admin.patch(&name, &json!({"status": status})).is(200)));
    }
    let mut subscriptions = Vec::new();
    for i in 0..MEASUREMENTS {
        admin.create_consumer(&format!("late-{i}"));
        let body = json!({"consumer_id": format!("late-{i}"), "api_id": "orders", "tenant_id": "default"});
        let start = Instant::now();
        let made = admin.post("/v1/subscriptions", &body).expect(201).json;
        let key = made["api_key"].as_str().expect("a key");
        while process.get("/orders/x").key(key).send().status != 200 {
            assert!(start.elapsed() < Duration::from_secs(10), "the key never works");
        }
        subscriptions.push(start.elapsed());
    }
    let (change, subscription) = (median(changes.clone()), median(subscriptions));
    figure("change_live_among_100000_median", ms(change), "ms");
    figure("change_live_among_100000_slowest", ms(changes.into_iter().max().unwrap_or_default()), "ms");
    figure("new_key_live_among_100000_median", ms(subscription), "ms");
    assert!(cold <= Duration::from_secs(2), "{cold:?} from the start of the process to the first answer");
    assert!(change <= Duration::from_millis(50), "{change:?} from a change to the first request that shows it");
    assert!(subscription <= Duration::from_millis(50), "{subscription:?} from a subscription to its first call");
}
