//! A target that dies and comes back under load, again and again.

use std::time::Duration;

use portunus_testkit::load::{Load, Plan};
use portunus_testkit::{Upstream, eventually};
use serde_json::json;

use crate::{figure, ms, portunus};

const RATE: u32 = 1_000;
const FLAPS: usize = 10;
/// Requests between two changes of the target: half a second of the load.
const BETWEEN: u64 = 500;
const SOON: Duration = Duration::from_secs(20);

#[test]
fn flapping_target_fails_no_request() {
    let steady = Upstream::start();
    let mut flapping = Upstream::start();
    let port = flapping.port();
    steady.forget();
    flapping.forget();
    let process = portunus().start();
    let upstream = json!({
        "targets": [{"url": steady.url()}, {"url": flapping.url()}],
        "health_check": {"type": "tcp", "interval_ms": 100, "timeout_ms": 100, "healthy_after": 1, "unhealthy_after": 1},
        "ejection": {"consecutive_failures": 1, "base_time_ms": 200},
    });
    process.api().create_api_with("orders", "", &json!({"access": "public", "upstream": upstream}));
    let load = Load::start(Plan {
        address: process.gw_address().to_owned(),
        target: "/orders/delay/5".into(),
        headers: Vec::new(),
        rate: RATE,
        connections: 64,
    });
    let mut to_the_flapping = 0;
    for _ in 0..FLAPS {
        eventually(SOON, "its share", || (flapping.count() > BETWEEN / 4).then_some(()));
        to_the_flapping += flapping.count();
        drop(flapping);
        let (sent, before) = (load.sent(), steady.count());
        eventually(SOON, "requests without it", || (load.sent() > sent + BETWEEN).then_some(()));
        assert!(steady.count() > before, "the other target gets nothing");
        flapping = Upstream::start_at(port);
        flapping.forget();
    }
    let report = load.stop();
    let failed = report.total() - report.count(200);
    figure("flap_deaths", FLAPS, "deaths");
    figure("flap_requests", report.total(), "requests");
    figure("flap_requests_to_the_flapping_target", to_the_flapping, "requests");
    figure("flap_failed_requests", failed, "requests");
    figure("flap_latency_p99", ms(report.percentile(0.99)), "ms");
    figure("flap_latency_slowest", ms(report.percentile(1.0)), "ms");
    let errors = process.logs().into_iter().filter(|line| line.contains("backend_error")).take(3);
    assert_eq!(failed, 0, "{:?} {:?} {:?}", report.statuses, report.failures.first(), errors.collect::<Vec<_>>());
}
