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
use crate::telemetry::counters::LimitMetrics;

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

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The compiled policy.
pub struct RateLimit {
    uid: u64,
    windows: [Option<Window>; WINDOWS],
    key: LimitKey,
    header: Option<HeaderName>,
    stack: bool,
    /// `"name";q=100;w=60`: the limit.
    policy_field: String,
    /// `"name";r=`: what is said of its state, up to the first number.
    state_start: String,
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
            policy_field,
            state_start: format!("\"{field_name}\";r="),
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
        let wait = decision.retry_seconds();
        let detail =
            format!("the limit is {} requests per {}; try again in {wait} s", decision.limit, period(decision.seconds));
        let rejection = Rejection::new(Refusal::RateLimited, detail).with(header::RETRY_AFTER, number(wait));
        Flow::Refuse(Box::new(rejection))
    }
}

impl RateLimit {
    fn decide(&self, x: &Exchange<'_>) -> Decision {
        let now = clock::monotonic_ns();
        let subscription = x.caller.and_then(|caller| caller.subscription);
        match (self.key, subscription, x.caller) {
            (LimitKey::Subscription, Some(subscription), _) => subscription.limits.take(self.uid, &self.windows, now),
            (LimitKey::Subscription | LimitKey::Consumer, _, Some(caller)) => {
                caller.consumer.limits.take(self.uid, &self.windows, now)
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

    /// The fields of the `RateLimit` draft, and the older ones that many clients know.
    fn describe(&self, decision: &Decision, x: &mut Exchange<'_>) {
        let reset = decision.reset_seconds();
        let mut state = Vec::with_capacity(self.state_start.len() + 40);
        state.extend_from_slice(self.state_start.as_bytes());
        state.extend_from_slice(itoa::Buffer::new().format(decision.remaining).as_bytes());
        state.extend_from_slice(b";t=");
        state.extend_from_slice(itoa::Buffer::new().format(reset).as_bytes());
        let fields = &mut x.response_headers;
        // Made anew, because a copy would write to memory that all workers share.
        fields.add(RATELIMIT_POLICY, value(self.policy_field.as_bytes()));
        fields.add(RATELIMIT, value(&state));
        fields.set(X_RATELIMIT_LIMIT, number(decision.limit.into()));
        fields.set(X_RATELIMIT_REMAINING, number(decision.remaining.into()));
        fields.set(X_RATELIMIT_RESET, number(reset));
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

fn number(number: u64) -> HeaderValue {
    value(itoa::Buffer::new().format(number).as_bytes())
}

fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("a policy writes graphic ASCII only")
}

fn period(seconds: u32) -> &'static str {
    match seconds {
        1 => "second",
        60 => "minute",
        3_600 => "hour",
        _ => "day",
    }
}
