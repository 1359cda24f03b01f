//! One health check: asks a target, judges the answer, notes what changed.

use std::fmt;

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;

use super::balance::{CompiledUpstream, start_slowly};
use super::connect;
use super::target::{CompiledTarget, Health, Speaks};
use crate::body::Body;
use crate::clock;
use crate::config::upstream::health_check::{HealthCheck, HealthCheckType};
use crate::http1::Stream;
use crate::http2::OnThisThread;

/// Why a check is bad, for the log.
pub(super) struct Bad(String);

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks a target whether it is well.
pub(super) async fn ask(check: &HealthCheck, target: &CompiledTarget) -> Result<(), Bad> {
    match tokio::time::timeout(check.timeout(), ask_unbounded(check, target)).await {
        Ok(answer) => answer,
        Err(_) => Err(Bad(format!("no answer within {} ms", check.timeout_ms))),
    }
}

async fn ask_unbounded(check: &HealthCheck, target: &CompiledTarget) -> Result<(), Bad> {
    let connected = connect::connect(target, target.speaks, check.timeout()).await;
    let (stream, _) = connected.map_err(|error| Bad(error.to_string()))?;
    if check.check_type == HealthCheckType::Tcp {
        return Ok(());
    }
    let speaks_http2 = target.speaks == Speaks::Http2 || connect::has_chosen_http2(&stream);
    let asked = match speaks_http2 {
        true => get_over_http2(check, target, stream).await,
        false => get(check, target, stream).await,
    };
    let status = asked.map_err(|error| Bad(format!("no HTTP answer: {error}")))?;
    match check.statuses.iter().any(|statuses| statuses.has(status)) {
        true => Ok(()),
        false => Err(Bad(format!("status {status}"))),
    }
}

async fn get(check: &HealthCheck, target: &CompiledTarget, stream: Stream) -> Result<u16, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = question(check.path.parse().unwrap_or_default());
    request.headers_mut().insert(header::HOST, target.authority.clone());
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer_of(sender.send_request(request), connection).await
}

async fn get_over_http2(check: &HealthCheck, target: &CompiledTarget, stream: Stream) -> Result<u16, hyper::Error> {
    let (mut sender, connection) = http2::handshake(OnThisThread, TokioIo::new(stream)).await?;
    let uri = Uri::builder().scheme(target.scheme.clone()).authority(target.authority.as_bytes());
    let request = question(uri.path_and_query(check.path.as_str()).build().unwrap_or_default());
    answer_of(sender.send_request(request), connection).await
}

fn question(uri: Uri) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("portunus-health-check"));
    request
}

async fn answer_of(
    answering: impl Future<Output = Result<Response<Incoming>, hyper::Error>>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<u16, hyper::Error> {
    tokio::select! {
        biased;
        answer = answering => Ok(answer?.status().as_u16()),
        Err(error) = connection => Err(error),
    }
}

/// The checks of one target in a row.
#[derive(Debug, Default)]
pub(super) struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    /// What a target is after another check. The first one decides by itself.
    fn judge(&mut self, check: &HealthCheck, before: Health, is_good: bool) -> Health {
        let is_first = (self.good, self.bad) == (0, 0);
        (self.good, self.bad) =
            if is_good { (self.good.saturating_add(1), 0) } else { (0, self.bad.saturating_add(1)) };
        match before {
            _ if is_first && is_good => Health::Well,
            _ if is_first => Health::Unwell,
            Health::Unwell if self.good >= check.healthy_after => Health::Well,
            Health::Well | Health::Unchecked if self.bad >= check.unhealthy_after => Health::Unwell,
            unchanged => unchanged,
        }
    }

    /// Notes a check; a change is logged, once.
    pub(super) fn note(
        &mut self,
        check: &HealthCheck,
        upstream: &CompiledUpstream,
        target: &CompiledTarget,
        found: &Result<(), Bad>,
    ) {
        let health = &target.state.health;
        let before = health.get();
        let now = self.judge(check, before, found.is_ok());
        if now == before {
            return;
        }
        if before == Health::Unwell {
            start_slowly(&target.state, clock::monotonic_ns());
        }
        health.set(now);
        match found {
            Err(why) => {
                tracing::warn!(target: "gateway", upstream = %upstream.name, target = %target.origin, error = %why, "target_unhealthy");
            }
            Ok(()) if before == Health::Unwell => {
                tracing::info!(target: "gateway", upstream = %upstream.name, target = %target.origin, "target_healthy");
            }
            Ok(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::balance::tests::upstream;
    use super::*;

    /// The states after each check (`+` good, `-` bad), with 2 good and 3 bad in a row needed.
    fn course(begins: Health, checks: &str) -> String {
        let check = HealthCheck { healthy_after: 2, unhealthy_after: 3, ..HealthCheck::default() };
        let mut streak = Streak::default();
        let mut health = begins;
        checks
            .chars()
            .map(|one| {
                health = streak.judge(&check, health, one == '+');
                if health == Health::Well { 'w' } else { 'u' }
            })
            .collect()
    }

    #[test]
    fn checks_in_a_row_decide_and_the_first_alone() {
        assert_eq!(course(Health::Unchecked, "+--+---+-+-+++"), "wwwwwwuuuuuuww");
        assert_eq!(course(Health::Unchecked, "-++"), "uuw");
        assert_eq!(course(Health::Well, "-"), "u");
        assert_eq!(course(Health::Unwell, "+-"), "ww");
    }

    #[test]
    fn one_that_is_well_again_starts_slowly_and_one_that_was_well_does_not() {
        let upstream = upstream(2, r#"{"health_check": {"healthy_after": 1}}"#);
        let check = upstream.health_check.as_ref().expect("the test checks");
        for (target, findings, is_slow) in [(0, vec![true, true], false), (1, vec![false, true], true)] {
            let target = &upstream.targets[target];
            let mut streak = Streak::default();
            for is_good in findings {
                let found = if is_good { Ok(()) } else { Err(Bad("a reason".to_owned())) };
                streak.note(check, &upstream, target, &found);
            }
            assert_eq!(target.state.health.get(), Health::Well);
            assert_eq!(target.state.warm_from.load(std::sync::atomic::Ordering::Relaxed) > 0, is_slow);
        }
    }
}
