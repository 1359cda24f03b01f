//! Power cuts, again and again.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portunus_testkit::{Api, Upstream, eventually};
use serde_json::json;

use crate::{figure, median, ms, portunus};

const ROUNDS: usize = 30;
const WRITERS: usize = 4;

/// Writes consumers until the process is gone; notes the names whose writes were acknowledged.
fn write(admin: &Api, prefix: &str, is_over: &AtomicBool, written: &Mutex<Vec<String>>) {
    for i in 0.. {
        let name = format!("{prefix}-{i}");
        let call = admin.call("POST", "/v1/tenants/default/consumers").json(&json!({"name": name}));
        match call.try_send() {
            Ok(answer) if answer.status == 201 => written.lock().expect("no writer panics").push(name),
            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
            Err(error) => {
                assert!(is_over.load(Ordering::SeqCst), "no answer although the process lives: {error:?}");
                return;
            }
        }
    }
}

/// The names of all stored consumers.
fn stored(admin: &Api) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let list = admin.get(&format!("/v1/tenants/default/consumers?page_size=100{cursor}")).expect(200).json;
        let items = list["items"].as_array().expect("items");
        names.extend(items.iter().filter_map(|item| item["name"].as_str()).map(str::to_owned));
        match list["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

#[test]
fn kill_loop() {
    let upstream = Upstream::start();
    let mut process = portunus().start();
    let api = process.api().create_api("orders", &upstream.url());
    let key = process.api().subscribe("client", &api);
    let mut acknowledged: Vec<String> = Vec::new();
    let mut restarts = Vec::new();
    for round in 0..ROUNDS {
        let admin = process.api();
        admin.token();
        let written = Mutex::new(Vec::new());
        let is_over = AtomicBool::new(false);
        // Each round is cut off at another moment of the writers' work.
        let wanted = 5 + round * 7 % 60;
        let data = thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (admin, is_over, written) = (&admin, &is_over, &written);
                scope.spawn(move || write(admin, &format!("r{round}-w{writer}"), is_over, written));
            }
            eventually(Duration::from_secs(60), "some writes", || {
                (written.lock().expect("no writer panics").len() >= wanted).then_some(())
            });
            is_over.store(true, Ordering::SeqCst);
            process.kill9()
        });
        acknowledged.extend(written.into_inner().expect("no writer panics"));
        let start = Instant::now();
        process = portunus().data(&data).start();
        process.get("/orders/x").key(&key).send().is(200);
        restarts.push(start.elapsed());
        let there = stored(&process.api());
        let lost: Vec<_> = acknowledged.iter().filter(|name| !there.contains(*name)).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    }
    figure("kill_rounds", ROUNDS, "rounds");
    figure("kill_acknowledged_writes", acknowledged.len(), "writes");
    figure("kill_lost_writes", 0, "writes");
    figure("kill_restart_median", ms(median(restarts)), "ms");
}
