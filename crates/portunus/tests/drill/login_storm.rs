//! A thousand wrong logins a second: whoever guesses passwords must not slow the traffic down.

use std::time::Duration;

use portunus_testkit::load::{Load, Plan, Report};
use portunus_testkit::poll::pause;
use portunus_testkit::{Portunus, Upstream};
use serde_json::json;

use crate::{figure, median, ms, portunus};

const ROUNDS: usize = 5;
const FLOW: Duration = Duration::from_secs(10);
const RATE: u32 = 1_000;

/// What else goes on while the traffic is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Nothing.
    Nothing,
    /// As many calls of the control listener that cost nothing: what the machine, with the clients on it, makes of that.
    Calls,
    /// The storm.
    Storm,
}

impl Beside {
    fn start(self, process: &Portunus) -> Option<Load> {
        let plan = |target: &str| Plan {
            address: process.api_address().to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            rate: RATE,
            connections: 200,
        };
        match self {
            Self::Nothing => None,
            Self::Calls => Some(Load::start(plan("/health"))),
            Self::Storm => {
                // Half of them against one account, which is soon throttled; half against a new name each.
                let body = |number| {
                    let name = if number % 2 == 0 { "admin".to_owned() } else { format!("nobody-{number}") };
                    json!({"username": name, "password": "a wrong password"}).to_string()
                };
                Some(Load::posting(plan("/v1/login"), (0..20_000).map(body).collect()))
            }
        }
    }
}

/// The traffic through the gateway for a while.
fn traffic(process: &Portunus) -> Report {
    let load = Load::start(Plan {
        address: process.gw_address().to_owned(),
        target: "/orders/x".to_owned(),
        headers: Vec::new(),
        rate: RATE,
        connections: 16,
    });
    pause(FLOW);
    load.stop()
}

#[test]
fn login_storm() {
    let upstream = Upstream::start();
    upstream.forget();
    let process = portunus().env("PORTUNUS_LOG", "warn").start_silent();
    process.api().create_public_api("orders", &upstream.url());
    let mut p99 = [Vec::new(), Vec::new(), Vec::new()];
    let mut p50 = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (index, beside) in [Beside::Nothing, Beside::Calls, Beside::Storm].into_iter().enumerate() {
            let other = beside.start(&process);
            let report = traffic(&process);
            assert_eq!(report.count(200), report.total(), "{:?} {:?}", report.statuses, report.failures.first());
            p99[index].push(report.percentile(0.99));
            p50[index].push(report.percentile(0.5));
            if let Some(storm) = other.map(Load::stop).filter(|_| beside == Beside::Storm) {
                let is_refused = storm.statuses.keys().all(|status| matches!(status, 401 | 429 | 503));
                assert!(is_refused && storm.failures.is_empty(), "{:?} {:?}", storm.statuses, storm.failures.first());
                let rate = storm.total() as f64 / storm.elapsed.as_secs_f64();
                figure(&format!("login_storm_logins_{round}"), format!("{rate:.0}"), "1/s");
                for (status, count) in &storm.statuses {
                    figure(&format!("login_storm_answered_{status}_{round}"), count, "logins");
                }
            }
        }
    }
    let [quiet, calls, storm] = p99.map(median);
    for (name, value) in [("quiet", quiet), ("calls", calls), ("storm", storm)] {
        figure(&format!("login_storm_p99_{name}"), ms(value), "ms");
    }
    for (name, value) in ["quiet", "calls", "storm"].into_iter().zip(p50.map(median)) {
        figure(&format!("login_storm_p50_{name}"), ms(value), "ms");
    }
    // The clients share the machine, so the storm is compared with as many calls that cost nothing.
    let bound = calls.mul_f64(1.1) + Duration::from_micros(100);
    assert!(storm <= bound, "p99 {storm:?} with the storm, {calls:?} with other calls, {quiet:?} without");
    // Whoever knows the password gets in, a little later.
    assert!(process.api().get("/v1/tenants").status == 200);
}
