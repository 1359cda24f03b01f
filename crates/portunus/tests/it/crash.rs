//! A power cut at any moment: what was acknowledged is there afterwards.

use std::sync::Mutex;
use std::thread;

use portunus_testkit::eventually;
use portunus_testkit::poll::SOON;
use serde_json::json;

use crate::portunus;

#[test]
fn kill_9_under_writes_loses_no_acknowledged_write() {
    let mut process = portunus().start();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..3 {
        let admin = process.api();
        let written = Mutex::new(Vec::new());
        let data = thread::scope(|scope| {
            for writer in 0..4 {
                let (admin, written) = (&admin, &written);
                scope.spawn(move || {
                    for i in 0.. {
                        let name = format!("r{round}-w{writer}-{i}");
                        let call = admin.call("POST", "/v1/tenants/default/consumers").json(&json!({"name": name}));
                        match call.try_send() {
                            Ok(answer) if answer.status == 201 => written.lock().expect("no writer panics").push(name),
                            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
                            Err(_) => return,
                        }
                    }
                });
            }
            eventually(SOON, "40 writes", || (written.lock().expect("no writer panics").len() >= 40).then_some(()));
            process.kill9()
        });
        acknowledged.extend(written.into_inner().expect("no writer panics"));
        process = portunus().data(&data).start();
        let admin = process.api();
        for name in &acknowledged {
            let answer = admin.get(&format!("/v1/tenants/default/consumers/{name}"));
            assert_eq!(answer.status, 200, "{name} was acknowledged and is lost");
        }
    }
}

#[test]
fn a_half_applied_batch_is_never_seen() {
    let process = portunus().start();
    let admin = process.api();
    let manifests: Vec<_> = (0..3000)
        .map(|i| json!({"apiVersion": "portunus.dev/v1", "kind": "Consumer", "metadata": {"tenant": "default", "name": format!("c{i}")}, "spec": {}}))
        .collect();
    let body = json!({"manifests": manifests});
    let data = thread::scope(|scope| {
        let call = admin.call("POST", "/v1/apply").json(&body);
        let apply = scope.spawn(move || call.try_send().is_ok_and(|answer| answer.status == 200));
        let wal = process.home().path().join("data/portunus.db-wal");
        let before = std::fs::metadata(&wal).map_or(0, |meta| meta.len());
        eventually(SOON, "the write", || {
            let grown = std::fs::metadata(&wal).map_or(0, |meta| meta.len()) > before + 100_000;
            (grown || apply.is_finished()).then_some(())
        });
        let data = process.kill9();
        (data, apply.join().expect("the call ends"))
    });
    let (data, was_acknowledged) = data;
    let process = portunus().data(&data).start();
    let total = process.api().get("/v1/tenants/default/consumers").expect(200).json["total"].as_u64();
    let whole = total == Some(3000) || (total == Some(0) && !was_acknowledged);
    assert!(whole, "{total:?} of 3000, acknowledged: {was_acknowledged}");
}
