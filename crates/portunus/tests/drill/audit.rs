//! A long record: how long its verification takes, and what an event costs a commit.

use std::time::{Duration, Instant};

use portunus_control::audit::checkpoint::Last;
use portunus_control::audit::event::{Actor, NewEvent};
use portunus_control::store::Store;
use portunus_control::store::audit::keep::note_checkpoint;
use portunus_control::store::keys::MasterKeys;
use portunus_control::store::open::open;
use portunus_gateway::secret::reference::References;
use portunus_testkit::command::Run;
use portunus_testkit::gateway::DataFolder;
use serde_json::{Value, json};

use crate::{figure, median, ms, portunus};

const ROWS: usize = 100_000;
/// Consumers in one batch; each is a row.
const BATCH: usize = 5_000;
/// Commits of each sort.
const COMMITS: usize = 1_000;

#[test]
fn r08_a_hundred_thousand_rows_verify_in_five_seconds() {
    let process = portunus().start();
    let admin = process.api();
    for batch in 0..ROWS / BATCH {
        let manifests: Vec<Value> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|i| {
                json!({"apiVersion": "portunus.dev/v1", "kind": "Consumer",
                    "metadata": {"tenant": "default", "name": format!("consumer-{i}")}, "spec": {}})
            })
            .collect();
        let call = admin.call("POST", "/v1/apply").deadline(Duration::from_secs(120));
        call.json(&json!({"manifests": manifests})).send().is(200);
    }
    let started = Instant::now();
    let report = admin.call("GET", "/v1/audit/verify").deadline(Duration::from_secs(120)).send().expect(200).json;
    let running = started.elapsed();
    assert_eq!(report["intact"], true, "{report}");
    assert!(report["rows"].as_u64() >= Some(ROWS as u64), "{report}");
    figure("audit_verify_100000_rows_running", ms(running), "ms");
    figure("memory_after_verify_100000_rows", process.rss_kb(), "KiB");
    let data = process.home().path().join("data");
    let home = process.home().clone();
    assert_eq!(process.stop(), Some(0));
    let started = Instant::now();
    let folder = data.to_str().expect("a path in UTF-8");
    Run::new(env!("CARGO_BIN_EXE_portunus")).args(["audit", "verify", "--data-dir", folder]).output().expect(0);
    let stopped = started.elapsed();
    figure("audit_verify_100000_rows_stopped", ms(stopped), "ms");
    drop(home);
    for took in [running, stopped] {
        assert!(took < Duration::from_secs(5), "{took:?} for {ROWS} rows");
    }
}

/// How long a commit with this many events takes, in the middle.
async fn commit(store: &Store, events: usize) -> Duration {
    let mut took = Vec::with_capacity(COMMITS);
    for n in 0..COMMITS {
        let event = NewEvent::new(Actor::system("drill"), "drill.done").with(json!({ "n": n }));
        let key = store.keys.audit.clone();
        let started = Instant::now();
        let done = store.transact(move |write| {
            Box::pin(async move {
                // Each commit writes something, with an event or without.
                note_checkpoint(write.db, &key, &Last::default(), "drill").await?;
                write.events.extend(std::iter::repeat_n(event, events));
                Ok(())
            })
        });
        done.await.expect("it is written");
        took.push(started.elapsed());
    }
    median(took)
}

#[test]
fn r08_an_event_costs_a_commit_less_than_a_millisecond() {
    let folder = DataFolder::with_prefix("portunus-drill-").expect("a temporary folder can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let masters = MasterKeys::new(b"a secret key for this drill alone", &[]);
        let opened = open(&folder.path().join("portunus.db"), &masters, References::default()).await;
        let store = opened.map_err(|error| error.to_string()).expect("a store").store;
        let mut without = Vec::new();
        let mut with = Vec::new();
        // In turn, so that what else the machine does meets both.
        for _ in 0..3 {
            without.push(commit(&store, 0).await);
            with.push(commit(&store, 1).await);
        }
        let (without, with) = (median(without), median(with));
        figure("commit_without_event", ms(without), "ms");
        figure("commit_with_one_event", ms(with), "ms");
        let cost = with.saturating_sub(without);
        figure("audit_append_cost", ms(cost), "ms");
        assert!(cost < Duration::from_millis(1), "an event costs {cost:?}");
    });
}
