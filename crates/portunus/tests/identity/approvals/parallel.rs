//! Many at once: nothing is approved or used twice.

use std::collections::BTreeSet;
use std::thread;

use serde_json::json;

use super::{approve, asked, events, rule, status};
use crate::portunus;

const MANY: usize = 200;

#[test]
fn r14_many_decisions_and_uses_at_once_count_once() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    let checker = admin.account("default", "checker", &["approval:write"]);
    rule(&admin, "consumers", &["consumer:write"], &json!({"approvals": 2}));
    let call = || maker.post("/v1/tenants/default/consumers", &json!({"name": "acme"}));
    let requests: BTreeSet<String> = at_once(|| asked(call())).into_iter().collect();
    assert_eq!(requests.len(), 1, "one call waits once");
    let id = requests.first().expect("a request");

    let decided = at_once(|| approve(&checker, id).status);
    assert_eq!(decided.iter().filter(|status| **status == 200).count(), 1, "each account decides once");
    assert_eq!(status(&admin, id), "pending");
    let decided = at_once(|| approve(&admin, id).status);
    assert_eq!(decided.iter().filter(|status| **status == 200).count(), 1);

    let used = at_once(|| call().status);
    assert_eq!(used.iter().filter(|status| **status == 201).count(), 1, "{used:?}");
    assert_eq!(used.iter().filter(|status| **status == 201 || **status == 403 || **status == 409).count(), MANY);
    assert_eq!(events(&process, id), ["approval.requested", "approval.approved", "approval.approved", "approval.used"]);
}

#[test]
fn r14_no_account_can_fill_the_store_with_requests() {
    let process = portunus().start();
    let admin = process.api();
    let maker = admin.account("default", "maker", &["consumer:*"]);
    rule(&admin, "consumers", &["consumer:write"], &json!({}));
    let call = |number: usize| maker.post("/v1/tenants/default/consumers", &json!({"name": format!("c{number}")}));
    for number in 0..100 {
        asked(call(number));
    }
    let refused = call(100).problem(409, "conflict");
    assert!(refused.text().contains("cancel"), "{}", refused.text());
    asked(call(3));
}

fn at_once<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    const THREADS: usize = 20;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| (0..MANY / THREADS).map(|_| work()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no call panics")).collect()
    })
}
