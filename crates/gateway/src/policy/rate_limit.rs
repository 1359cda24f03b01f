//! `rate_limit`: how often may be called (GCRA, the generic cell rate algorithm).

use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;
use http::header::{self, HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AnyPolicy, CompileEnv, Phase, Policy};
use crate::clock;
use crate::error::{Refusal, Rejection};
use crate::exchange::{Exchange, Flow};
use crate::limit::{Decision, LimitState, WINDOWS, Window};
use crate::problem::Problem;
use crate::telemetry::metrics::LimitMetrics;

/// Refuses calls past a rate with 429, `Retry-After` and the `RateLimit` fields. Each window refills evenly: a limit of
/// 60 a minute gives one call back every second. Of several rate limits the one with the lowest priority number
/// decides, unless they `stack`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimitConfig {
    /// Calls per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: Option<u32>,
    /// Calls per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub requests_per_minute: Option<u32>,
    /// Calls per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub requests_per_hour: Option<u32>,
    /// Calls per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub requests_per_day: Option<u32>,
    /// How many calls may come at once in the shortest window; left out, its whole limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// What is counted apart: each subscription, consumer, client address (IPv6 by /64) or value of `header`. Calls that
    /// have no subscription are counted by consumer, and calls without a consumer by address.
    pub key: LimitKey,
    /// The header to count by, with `key: header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Whether this limit holds beside others instead of competing with them.
    pub stack: bool,
}

/// What a limit counts apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKey {
    /// Each subscription.
    #[default]
    Subscription,
    /// Each consumer.
    Consumer,
    /// Each client address.
    Address,
    /// Each value of a header.
    Header,
}

const NAMES: [&str; WINDOWS] = ["requests_per_second", "requests_per_minute", "requests_per_hour", "requests_per_day"];

impl RateLimitConfig {
    fn limits(&self) -> [Option<u32>; WINDOWS] {
        [self.requests_per_second, self.requests_per_minute, self.requests_per_hour, self.requests_per_day]
    }

    /// Every fault that the schema cannot express.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.limits().iter().all(Option::is_none) {
            problems.push(Problem::new(
                "",
                "the limit limits nothing",
                format!("at least one of {}", NAMES.join(", ")),
            ));
        }
        match (&self.header, self.key) {
            (None, LimitKey::Header) => {
                problems.push(Problem::new(
                    "/header",
                    "`header` is missing",
                    "the header to count by, because `key` is `header`",
                ));
            }
            (Some(name), LimitKey::Header) if HeaderName::try_from(name.as_str()).is_err() => {
                problems
                    .push(Problem::new("/header", "not a header name", "a name such as X-Client").found(name.as_str()));
            }
            (Some(name), key) if key != LimitKey::Header => {
                problems.push(
                    Problem::new("/header", "`header` has no effect here", "`key: header` beside it")
                        .found(name.as_str()),
                );
            }
            _ => {}
        }
        problems
    }

    fn windows(&self) -> [Option<Window>; WINDOWS] {
        let mut burst = self.burst;
        let seconds = [1, 60, 3_600, 86_400];
        let limits = self.limits();
        std::array::from_fn(|index| {
            limits[index].map(|limit| Window::new(limit, seconds[index], burst.take().unwrap_or(limit)))
        })
    }
}

/// Counters by address or header value; bounded, the least used are forgotten first.
type Keyed = Cache<u64, Arc<LimitState>>;

const MOST_KEYS: usize = 100_000;

/// The compiled policy.
pub struct RateLimit {
    uid: u64,
    windows: [Option<Window>; WINDOWS],
    key: LimitKey,
    header: Option<HeaderName>,
    stack: bool,
    policy_field: HeaderValue,
    field_name: String,
    keyed: Arc<OnceLock<Keyed>>,
    metrics: Arc<LimitMetrics>,
}

impl Policy for RateLimit {
    const PHASE: Phase = Phase::Limit;
    const EXAMPLE: &'static str = "requests_per_minute: 100\nburst: 20\n";
    type Config = RateLimitConfig;

    fn compile(config: &RateLimitConfig, env: &CompileEnv<'_>) -> Result<Self, Vec<Problem>> {
        let problems = config.check();
        if !problems.is_empty() {
            return Err(problems);
        }
        let windows = config.windows();
        let field_name: String =
            env.name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' }).collect();
        let policy_field = windows
            .iter()
            .flatten()
            .map(|window| format!("\"{field_name}\";q={};w={}", window.limit, window.seconds))
            .collect::<Vec<_>>()
            .join(", ");
        let (keyed, metrics) = match env.before {
            Some(AnyPolicy::RateLimit(before)) => (before.keyed.clone(), before.metrics.clone()),
            _ => Default::default(),
        };
        Ok(Self {
            uid: env.uid,
            windows,
            key: config.key,
            header: config.header.as_deref().and_then(|name| name.try_into().ok()),
            stack: config.stack,
            policy_field: HeaderValue::from_str(&policy_field).expect("graphic ASCII only"),
            field_name,
            keyed,
            metrics,
        })
    }

    fn stacks(&self) -> bool {
        self.stack
    }

    async fn request(&self, x: &mut Exchange<'_>) -> Flow {
        let decision = self.decide(x);
        self.metrics.count(decision.allowed);
        tracing::debug!(
            target: "gateway",
            consumer = x.consumer_name(),
            remaining = %format_args!("{}/{}", decision.remaining, decision.burst),
            "rate_limit_check"
        );
        self.describe(&decision, x);
        if decision.allowed {
            return Flow::Next;
        }
        tracing::warn!(target: "gateway", consumer = x.consumer_name(), path = x.path, "rate_limit_exceeded");
        let wait = decision.retry_after.as_nanos().div_ceil(1_000_000_000).max(1);
        let detail =
            format!("the limit is {} requests per {}; try again in {wait} s", decision.limit, period(decision.seconds));
        let rejection = Rejection::new(Refusal::RateLimited, detail).with(header::RETRY_AFTER, number(wait as u64));
        Flow::Refuse(Box::new(rejection))
    }
}

impl RateLimit {
    fn decide(&self, x: &Exchange<'_>) -> Decision {
        let now = clock::monotonic_ns();
        let subscription = x.caller.and_then(|caller| caller.subscription);
        match (self.key, subscription, x.caller) {
            (LimitKey::Subscription, Some(subscription), _) => {
                subscription.limits.of(self.uid, now).take(&self.windows, now)
            }
            (LimitKey::Subscription | LimitKey::Consumer, _, Some(caller)) => {
                caller.consumer.limits.of(self.uid, now).take(&self.windows, now)
            }
            (LimitKey::Header, ..) => {
                let value = self.header.as_ref().and_then(|name| x.head.headers.get(name)).map(HeaderValue::as_bytes);
                self.keyed(value.unwrap_or_default(), now)
            }
            _ => self.keyed(network(x.client_ip), now),
        }
    }

    fn keyed<K: Hash>(&self, key: K, now: u64) -> Decision {
        let keyed = self.keyed.get_or_init(|| Cache::new(MOST_KEYS));
        let hash = FixedState::with_seed(self.uid).hash_one(key);
        let state = keyed.get_or_insert_with(&hash, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(state) = state;
        state.take(&self.windows, now)
    }

    fn describe(&self, decision: &Decision, x: &mut Exchange<'_>) {
        let headers = &mut x.response_headers;
        let reset = decision.reset_after.as_nanos().div_ceil(1_000_000_000) as u64;
        let state = format!("\"{}\";r={};t={reset}", self.field_name, decision.remaining);
        headers.append(HeaderName::from_static("ratelimit-policy"), self.policy_field.clone());
        if let Ok(state) = HeaderValue::try_from(state) {
            headers.append(HeaderName::from_static("ratelimit"), state);
        }
        headers.insert(HeaderName::from_static("x-ratelimit-limit"), number(u64::from(decision.limit)));
        headers.insert(HeaderName::from_static("x-ratelimit-remaining"), number(u64::from(decision.remaining)));
        headers.insert(HeaderName::from_static("x-ratelimit-reset"), number(reset));
    }

    /// What it decided so far.
    pub fn metrics(&self) -> &LimitMetrics {
        &self.metrics
    }
}

/// One household has one IPv6 /64, and may use any address in it.
pub fn network(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0xff, 0xff, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let mut network = [0; 8];
            network.copy_from_slice(&v6.octets()[..8]);
            network
        }
    }
}

fn number(value: u64) -> HeaderValue {
    HeaderValue::from(value)
}

fn period(seconds: u32) -> &'static str {
    match seconds {
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    }
}
