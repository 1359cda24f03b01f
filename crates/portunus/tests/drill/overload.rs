//! More requests than can be answered: as many as before are, the rest are told so at once.

use std::time::Duration;

use portunus_testkit::load::{Load, Plan, Report};
use portunus_testkit::poll::pause;
use portunus_testkit::{Portunus, Upstream, eventually};
use serde_json::json;

use crate::{figure, ms, portunus};

/// What the upstream can do: this many requests at once, each this long. Three times as much must not be too much for
/// the machine itself, or something else is measured.
const AT_ONCE: u32 = if cfg!(debug_assertions) { 20 } else { 100 };
const WORK: Duration = Duration::from_millis(20);
/// Requests that wait for it.
const PENDING: u32 = 2 * AT_ONCE;
/// How long each load flows.
const FLOW: Duration = Duration::from_secs(10);
/// The most that a refusal may take: it is what tells a client to stop.
const REFUSED_WITHIN: Duration = Duration::from_millis(100);

fn flow(process: &Portunus, target: &str, rate: u32, connections: usize) -> Report {
    let address = process.gw_address().to_owned();
    let load = Load::start(Plan { address, target: target.to_owned(), headers: Vec::new(), rate, connections });
    pause(FLOW);
    load.stop()
}

fn answered(report: &Report) -> f64 {
    report.count(200) as f64 / report.elapsed.as_secs_f64()
}

#[test]
fn overload_of_an_upstream() {
    let upstream = Upstream::start();
    upstream.forget();
    let process = portunus().start();
    let limits = json!({"targets": [{"url": upstream.url()}], "max_connections": AT_ONCE, "max_pending": PENDING});
    let fields = json!({"access": "public", "upstream": limits});
    process.api().create_api_with("slow", &upstream.url(), &fields);
    let target = format!("/slow/delay/{}", WORK.as_millis());

    // Everybody who is not answered waits, nobody is refused: what the upstream can do at most.
    let peak = flow(&process, &target, u32::MAX, (AT_ONCE + PENDING / 2) as usize);
    assert_eq!(peak.count(200), peak.total(), "{:?}", peak.statuses);
    let most = answered(&peak);
    figure("overload_peak", format!("{most:.0}"), "1/s");
    process.stdout().clear();

    let rate = (most * 3.0) as u32;
    let report = flow(&process, &target, rate, 1_000);
    let (accepted, refused) = (answered(&report), report.count(503));
    let allowed = (WORK + WORK * PENDING / AT_ONCE) * 2 + Duration::from_millis(100);
    figure("overload_offered", format!("{:.0}", report.total() as f64 / report.elapsed.as_secs_f64()), "1/s");
    figure("overload_accepted", format!("{accepted:.0}"), "1/s");
    figure("overload_accepted_p50", ms(report.percentile_of(200, 0.5)), "ms");
    figure("overload_accepted_p99", ms(report.percentile_of(200, 0.99)), "ms");
    figure("overload_refused", refused, "requests");
    figure("overload_refused_p99", ms(report.percentile_of(503, 0.99)), "ms");
    figure("overload_most_at_the_upstream", upstream.most_at_work(), "requests");
    assert_eq!(report.count(200) + refused, report.total(), "{:?} {:?}", report.statuses, report.failures.first());
    assert_eq!(report.without_retry_after.get(&503), None, "refusals that do not say when to come back");
    assert!(refused > 0, "nobody was refused at three times the peak");
    assert!(upstream.most_at_work() <= u64::from(AT_ONCE), "{} at the upstream", upstream.most_at_work());
    assert!(accepted >= most * 0.9, "{accepted:.0}/s accepted, {most:.0}/s at the peak");
    let slowest = report.percentile_of(200, 0.99);
    assert!(slowest <= allowed, "99 % of the accepted are answered in {slowest:?}, allowed is {allowed:?}");
    let refusals = report.percentile_of(503, 0.99);
    assert!(refusals <= REFUSED_WITHIN, "99 % of the refused are told so in {refusals:?}");
    eventually(Duration::from_secs(10), "rest", || (process.get("/slow/x").send().status == 200).then_some(()));
}
