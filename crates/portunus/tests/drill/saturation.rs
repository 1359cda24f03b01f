//! A thousand clients that never rest, and more than the gateway can do: it goes on answering.

use std::time::Duration;

use portunus_testkit::prober::Prober;
use portunus_testkit::{Builder, Upstream, wrk};

use crate::{figure, ms, portunus};

const CLIENTS: usize = 1_000;
const FLOW: Duration = Duration::from_secs(10);

/// Floods a gateway; what is not 200 must be 503, and one more client never waits longer than `others_within`.
fn saturate(name: &str, builder: Builder, others_within: Duration) {
    let upstream = Upstream::start();
    upstream.forget();
    let process = builder.start_silent();
    process.api().create_public_api("orders", &upstream.url());
    let before = process.rss_kb();
    let prober = Prober::start(process.gw_address(), "/orders/x");
    let outcome = wrk::flood(&process.gw_url("/orders/x"), CLIENTS, FLOW);
    let seen = prober.stop();
    let (answered, refused) = (outcome.count(200), outcome.count(503));
    figure(&format!("{name}_answered"), format!("{:.0}", answered as f64 / outcome.seconds()), "1/s");
    figure(&format!("{name}_refused"), format!("{:.0}", refused as f64 / outcome.seconds()), "1/s");
    figure(&format!("{name}_unanswered"), outcome.unanswered(), "requests");
    figure(&format!("{name}_others_slowest"), ms(seen.slowest), "ms");
    figure(&format!("{name}_memory_before"), before, "KiB");
    figure(&format!("{name}_memory_after"), process.rss_kb(), "KiB");
    assert_eq!(answered + refused, outcome.total(), "{outcome:?}");
    assert!(answered > 0 && outcome.unanswered() == 0, "{outcome:?}");
    assert!(seen.statuses.keys().all(|status| matches!(status, 200 | 503)), "{seen:?}");
    assert!(seen.slowest <= others_within, "{seen:?}");
    process.get("/orders/x").send().is(200);
    process.api().get("/v1/tenants").is(200);
}

/// The log would cost the machine more than the requests.
fn quiet() -> Builder {
    portunus().env("PORTUNUS_LOG", "warn")
}

#[test]
fn saturation_of_the_gateway() {
    // Everybody is let in, so everybody waits for a thousand others, at the gateway and at the upstream.
    saturate("saturation", quiet(), Duration::from_secs(5));
}

#[test]
fn saturation_with_a_bound() {
    let bounded = quiet().env("PORTUNUS_MAX_REQUESTS_IN_FLIGHT", "200");
    saturate("saturation_bounded", bounded, Duration::from_secs(1));
}
