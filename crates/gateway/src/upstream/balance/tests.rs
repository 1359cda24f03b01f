//! Who is called how often, who is not, and what moves when something changes.

use std::collections::HashMap;

use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECOND: u64 = 1_000_000_000;

/// An upstream with `count` targets of weight 1 and further fields.
pub fn upstream(count: usize, fields: &str) -> CompiledUpstream {
    weighted(&vec![1; count], fields)
}

fn weighted(weights: &[u32], fields: &str) -> CompiledUpstream {
    compiled(&config(weights, fields), None)
}

fn compiled(config: &Value, before: Option<&CompiledUpstream>) -> CompiledUpstream {
    let config: Upstream = serde_json::from_value(config.clone()).expect("the test's configuration has the right form");
    CompiledUpstream::compile("test".into(), &config, None, before).expect("the test's configuration compiles")
}

fn config(weights: &[u32], fields: &str) -> Value {
    let mut config: Value = serde_json::from_str(fields).expect("the test's fields are JSON");
    let target = |(index, weight): (usize, &u32)| json!({"url": format!("http://10.0.0.{index}:80"), "weight": weight});
    config["targets"] = weights.iter().enumerate().map(target).collect();
    config
}

/// How often each target is picked in `times` requests that end at once.
fn counts(upstream: &CompiledUpstream, now: u64, times: usize) -> Vec<usize> {
    let mut counts = vec![0; upstream.targets.len()];
    for key in 0..times {
        counts[picked(upstream, key as u64, now).expect("there is a target")] += 1;
    }
    counts
}

fn picked(upstream: &CompiledUpstream, key: u64, now: u64) -> Result<usize, NotPicked> {
    upstream.pick_at(Some(key.wrapping_mul(0x9E37_79B9_7F4A_7C15)), &[], now).map(|picked| picked.index)
}

fn set_health(upstream: &CompiledUpstream, index: usize, health: Health) {
    upstream.targets[index].state.health.set(health);
}

const ALGORITHMS: [&str; 3] = ["round_robin", "least_loaded", "consistent_hash"];

#[test]
fn every_algorithm_keeps_to_the_weights() {
    for balance in ALGORITHMS {
        let upstream = weighted(&[3, 1, 0, 4], &format!(r#"{{"balance": "{balance}"}}"#));
        let counts = counts(&upstream, 0, 16_000);
        assert_eq!(counts[2], 0, "{balance}: weight 0 takes it out");
        for (count, wanted) in counts.iter().zip([6_000_usize, 2_000, 0, 8_000]) {
            assert!(count.abs_diff(wanted) <= wanted / 10, "{balance}: {counts:?}");
        }
    }
}

#[test]
fn the_share_of_one_that_is_unwell_is_spread_over_all_others() {
    for balance in ALGORITHMS {
        let upstream = upstream(4, &format!(r#"{{"balance": "{balance}", "health_check": {{}}}}"#));
        set_health(&upstream, 1, Health::Unwell);
        let counts = counts(&upstream, 0, 12_000);
        assert_eq!(counts[1], 0, "{balance}");
        for index in [0, 2, 3] {
            assert!((3_600..4_400).contains(&counts[index]), "{balance}: {counts:?}");
        }
    }
}

#[test]
fn the_less_loaded_of_two_is_taken() {
    let upstream = weighted(&[1, 1, 3], r#"{"balance": "least_loaded"}"#);
    let mut held = Vec::new();
    for _ in 0..500 {
        held.push(upstream.pick_at(None, &[], 0).expect("there is a target"));
    }
    let taken: Vec<u32> = upstream.targets.iter().map(|target| target.state.slots.taken()).collect();
    assert_eq!(taken.iter().sum::<u32>(), 500);
    assert!((90..=110).contains(&taken[0]) && (90..=110).contains(&taken[1]), "in flight by weight: {taken:?}");
    held.retain(|picked| picked.index != 0);
    for _ in 0..20 {
        let picked = upstream.pick_at(None, &[2], 0).expect("there is a target");
        assert_eq!(picked.index, 0, "it has nothing to do");
    }
    drop(held);
    assert!(upstream.targets.iter().all(|target| target.state.slots.taken() == 0));
}

#[test]
fn what_was_tried_is_not_picked_again() {
    for balance in ALGORITHMS {
        let upstream = upstream(3, &format!(r#"{{"balance": "{balance}"}}"#));
        let mut tried = Vec::new();
        while let Ok(picked) = upstream.pick_at(Some(7), &tried, 0) {
            assert!(!tried.contains(&picked.index), "{balance}");
            tried.push(picked.index);
        }
        assert_eq!(tried.len(), 3, "{balance}");
    }
}

#[test]
fn without_a_target_that_is_well_there_is_none() {
    let upstream = upstream(2, r#"{"health_check": {"interval_ms": 2500}}"#);
    set_health(&upstream, 0, Health::Unwell);
    set_health(&upstream, 1, Health::Unwell);
    assert_eq!(picked(&upstream, 0, 0), Err(NotPicked::NoTarget));
    let rejection = upstream.refusal(NotPicked::NoTarget);
    assert_eq!(rejection.headers, [(header::RETRY_AFTER, HeaderValue::from(5))]);
    set_health(&upstream, 1, Health::Well);
    assert_eq!(picked(&upstream, 0, 0), Ok(1));
}

#[test]
fn findings_of_checks_that_are_no_longer_made_do_not_count() {
    let before = upstream(2, r#"{"health_check": {}, "ejection": {}}"#);
    set_health(&before, 0, Health::Unwell);
    before.targets[1].state.failures.out_until.store(u64::MAX, Ordering::Relaxed);
    let after = compiled(&config(&[1, 1], "{}"), Some(&before));
    assert_eq!(counts(&after, 0, 10), [5, 5]);
}

#[test]
fn when_all_are_ejected_all_are_called() {
    let upstream = upstream(3, r#"{"ejection": {}, "health_check": {}}"#);
    for target in &upstream.targets {
        target.state.failures.out_until.store(9 * SECOND, Ordering::Relaxed);
    }
    assert_eq!(counts(&upstream, SECOND, 9), [3, 3, 3]);
    set_health(&upstream, 0, Health::Unwell);
    assert_eq!(counts(&upstream, SECOND, 90)[0], 0, "but not those that are unwell");
    upstream.targets[2].state.failures.out_until.store(0, Ordering::Relaxed);
    assert_eq!(counts(&upstream, SECOND, 9), [0, 0, 9], "one is back");
    assert!(counts(&upstream, 10 * SECOND, 100)[1] > 30, "its time is over");
}

#[test]
fn a_target_that_comes_back_starts_slowly() {
    for balance in ALGORITHMS {
        let upstream = upstream(2, &format!(r#"{{"balance": "{balance}", "slow_start_ms": 10000}}"#));
        start_slowly(&upstream.targets[1].state, 100 * SECOND);
        let shares: Vec<usize> = [100, 105, 110].iter().map(|at| counts(&upstream, at * SECOND, 8_000)[1]).collect();
        assert!(shares[0] < 900, "{balance}: {shares:?}");
        assert!((shares[0] + 500..3_500).contains(&shares[1]), "{balance}: {shares:?}");
        assert!((3_700..4_300).contains(&shares[2]), "{balance}: {shares:?}");
    }
}

#[test]
fn only_targets_that_are_new_beside_others_start_slowly() {
    let fields = r#"{"slow_start_ms": 3600000}"#;
    let before = upstream(2, fields);
    assert_eq!(counts(&before, clock::monotonic_ns(), 10), [5, 5]);
    let after = compiled(&config(&[1, 1, 1], fields), Some(&before));
    assert!(Arc::ptr_eq(&before.targets[1].state, &after.targets[1].state));
    assert!(counts(&after, clock::monotonic_ns(), 3_000)[2] < 300);
}

#[test]
fn the_same_url_twice_is_two_targets() {
    let config = json!({"targets": [{"url": "http://a:80"}, {"url": "http://a:80"}, {"url": "http://a:80/b"}]});
    let before = compiled(&config, None);
    let after = compiled(&config, Some(&before));
    let states: Vec<_> = after.targets.iter().map(|target| Arc::as_ptr(&target.state)).collect();
    assert!(states[0] != states[1] && states[1] != states[2] && states[0] != states[2]);
    assert!(states.iter().all(|state| before.targets.iter().any(|target| Arc::as_ptr(&target.state) == *state)));
}

#[test]
fn a_target_that_is_full_is_passed_over_then_waited_for_then_refused() {
    let upstream = upstream(2, r#"{"max_connections": 2, "max_pending": 1}"#);
    let held: Vec<_> = (0..4).map(|_| upstream.pick_at(None, &[], 0).expect("there is room")).collect();
    assert!(upstream.targets.iter().all(|target| target.state.slots.taken() == 2));
    assert!(matches!(upstream.pick_at(None, &[], 0), Err(NotPicked::Full(_))));
    assert_eq!(upstream.pick_at(None, &[0], 0).err(), Some(NotPicked::Full(1)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be built");
    runtime.block_on(async {
        let waits = [upstream.choose(None, &[0], Duration::MAX), upstream.choose(None, &[1], Duration::MAX)];
        let mut waits = waits.map(Box::pin);
        for wait in &mut waits {
            assert!(wait.as_mut().now_or_never().is_none());
        }
        assert_eq!(upstream.pick_at(None, &[], 0).err(), Some(NotPicked::Overloaded));
        assert_eq!(upstream.choose(None, &[], Duration::MAX).await.err(), Some(NotPicked::Overloaded), "at once");
        drop(held);
        for wait in waits {
            assert!(wait.await.is_ok());
        }
    });
    let refusal = upstream.refusal(NotPicked::Overloaded);
    assert_eq!((refusal.refusal.status(), &refusal.headers[0].0), (503, &header::RETRY_AFTER));
}

#[test]
fn an_upstream_without_special_wishes_counts_nothing() {
    for count in [1, 3] {
        let upstream = upstream(count, "{}");
        assert!(upstream.pick_at(None, &[], 0).expect("there is a target").in_flight.is_none());
    }
    let alone = upstream(1, r#"{"balance": "least_loaded"}"#);
    assert!(alone.pick_at(None, &[], 0).expect("there is a target").in_flight.is_none());
}

proptest! {
    #[test]
    fn only_the_keys_of_a_target_that_leaves_move(weights in prop::collection::vec(1_u32..=100, 2..20), gone in any::<prop::sample::Index>(), keys in prop::collection::vec(any::<u64>(), 50)) {
        let before = weighted(&weights, r#"{"balance": "consistent_hash", "health_check": {}}"#);
        let placed: HashMap<u64, usize> = keys.iter().map(|key| (*key, picked(&before, *key, 0).expect("a target"))).collect();
        let gone = gone.index(weights.len());
        set_health(&before, gone, Health::Unwell);
        for (key, target) in &placed {
            let now = picked(&before, *key, 0).expect("a target");
            prop_assert!(now != gone);
            prop_assert!(now == *target || *target == gone);
        }
        set_health(&before, gone, Health::Well);
        for (key, target) in &placed {
            prop_assert_eq!(picked(&before, *key, 0), Ok(*target), "all come back");
        }
    }

    #[test]
    fn a_pick_is_always_one_that_may_be_called(weights in prop::collection::vec(0_u32..=5, 1..8), down in prop::collection::vec(any::<bool>(), 8), out in prop::collection::vec(any::<bool>(), 8), algorithm in 0_usize..3, key in any::<u64>()) {
        let fields = format!(r#"{{"balance": "{}", "health_check": {{}}, "ejection": {{}}, "slow_start_ms": 1000}}"#, ALGORITHMS[algorithm]);
        let upstream = weighted(&weights, &fields);
        for (index, target) in upstream.targets.iter().enumerate() {
            target.state.health.set(if down[index] { Health::Unwell } else { Health::Well });
            target.state.failures.out_until.store(u64::from(out[index]) * 2, Ordering::Relaxed);
        }
        let well: Vec<usize> = (0..weights.len()).filter(|index| weights[*index] > 0 && !down[*index]).collect();
        let usable: Vec<usize> = well.iter().copied().filter(|index| !out[*index]).collect();
        match picked(&upstream, key, 1) {
            Ok(index) if usable.is_empty() => prop_assert!(well.contains(&index)),
            Ok(index) => prop_assert!(usable.contains(&index)),
            Err(why) => prop_assert!(why == NotPicked::NoTarget && well.is_empty()),
        }
    }
}
