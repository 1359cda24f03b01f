//! Changes without end while traffic flows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portunus_testkit::load::{Load, Plan};
use portunus_testkit::{Upstream, eventually};
use serde_json::{Value, json};

use crate::{figure, median, ms, portunus};

const CHANGES: u64 = 10_000;
const RATE: u32 = 1_000;
/// Threads that change policies at the same time, each its own.
const HANDS: u64 = 4;
/// By then every cache and pool is warm, and memory should have stopped growing.
const WARM: u64 = 2_000;
/// How much memory may grow after that, in KiB: the noise of an allocator.
const NOISE: u64 = 12 * 1024;

#[test]
fn s34_ten_thousand_policy_changes_at_1000_rps() {
    let upstream = Upstream::start();
    upstream.forget();
    let process = portunus().start();
    let admin = process.api();
    let api = admin.create_api("orders", &upstream.url());
    let key = admin.subscribe("client", &api);
    let policies: Vec<Value> = (0..HANDS)
        .map(|hand| {
            let policy =
                admin.create_policy(&format!("limit-{hand}"), "rate_limit", &json!({"requests_per_second": 100_000}));
            admin.bind(&policy, &json!({"api_id": api["id"]}));
            policy
        })
        .collect();
    let load = Load::start(Plan {
        address: process.gw_address().to_owned(),
        target: "/orders/x".into(),
        headers: vec![("x-api-key".into(), key)],
        rate: RATE,
        connections: 32,
    });
    eventually(Duration::from_secs(30), "a flow", || (load.sent() > u64::from(RATE) * 2).then_some(()));
    let at_start = process.rss_kb();
    let done = AtomicU64::new(0);
    let warm = AtomicU64::new(0);
    let times = Mutex::new(Vec::new());
    let start = Instant::now();
    thread::scope(|scope| {
        for policy in &policies {
            let (admin, process, done, warm, times) = (&admin, &process, &done, &warm, &times);
            scope.spawn(move || {
                let path = format!("/v1/admin/policies/{}", policy["id"].as_str().expect("an id"));
                for i in 0..CHANGES / HANDS {
                    let change = json!({"config": {"requests_per_second": 100_000 + i, "burst": 50_000 + i}});
                    let sent = Instant::now();
                    admin.patch(&path, &change).is(200);
                    times.lock().expect("nobody panics").push(sent.elapsed());
                    let number = done.fetch_add(1, Ordering::SeqCst) + 1;
                    if number == WARM {
                        warm.store(process.rss_kb(), Ordering::SeqCst);
                    }
                    if number.is_multiple_of(500) {
                        process.stdout().clear();
                    }
                }
            });
        }
    });
    let took = start.elapsed();
    let at_end = process.rss_kb();
    let report = load.stop();
    let failed = report.total() - report.count(200);
    let warm = warm.into_inner();
    figure("s34_policy_changes", done.into_inner(), "changes");
    figure("s34_changes_per_second", format!("{:.0}", CHANGES as f64 / took.as_secs_f64()), "1/s");
    figure("s34_change_median", ms(median(times.into_inner().expect("nobody panics"))), "ms");
    figure("s34_requests", report.total(), "requests");
    figure("s34_requests_per_second", format!("{:.0}", report.total() as f64 / report.elapsed.as_secs_f64()), "1/s");
    figure("s34_failed_requests", failed, "requests");
    figure("s34_latency_p50", ms(report.percentile(0.5)), "ms");
    figure("s34_latency_p99", ms(report.percentile(0.99)), "ms");
    figure("s34_memory_before", at_start, "KiB");
    figure("s34_memory_after_2000_changes", warm, "KiB");
    figure("s34_memory_after_10000_changes", at_end, "KiB");
    assert_eq!(failed, 0, "{:?} {:?}", report.statuses, report.failures.iter().take(3).collect::<Vec<_>>());
    assert!(at_end < warm + NOISE, "memory grew from {warm} to {at_end} KiB over 8,000 changes");
}
