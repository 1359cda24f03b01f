//! The operator's key: changing it, losing it, giving a wrong one.

use std::fs;

use portunus_testkit::gateway::new_data;
use portunus_testkit::{Portunus, Upstream};

use super::{bearer, orders};
use crate::portunus;

const FIRST: &str = "the first key of the operator";
const SECOND: &str = "the second key of the operator";

/// Whether the upstream gets its secret.
fn works(process: &Portunus, upstream: &Upstream) -> bool {
    process.get("/orders/x").send().is(200);
    upstream.last().header("authorization").as_deref() == Some("Bearer planted-secret")
}

#[test]
fn d04_the_operators_key_can_be_changed() {
    let upstream = Upstream::start();
    let data = new_data();
    let begin = || portunus().data(&data);
    let process = begin().env("TOKEN_ENCRYPTION_KEY", FIRST).start();
    orders(&process.api(), &upstream.url(), &bearer("planted-secret"));
    assert!(works(&process, &upstream));
    assert_eq!(process.stop(), Some(0));
    let refused = begin().env("PORTUNUS_SECRET_KEY", SECOND).start_expecting_failure();
    assert_eq!(refused.code, Some(78), "{refused:?}");
    for part in ["the secret key does not open the store", "PORTUNUS_PREVIOUS_SECRET_KEYS"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    assert!(!refused.stderr.contains(SECOND));
    let both = begin().env("PORTUNUS_SECRET_KEY", SECOND).env("PORTUNUS_PREVIOUS_SECRET_KEYS", FIRST);
    let process = both.start();
    assert!(works(&process, &upstream));
    drop(process);
    let process = begin().env("PORTUNUS_SECRET_KEY", SECOND).start();
    assert!(works(&process, &upstream));
    drop(process);
    let refused = begin().env("PORTUNUS_SECRET_KEY", FIRST).start_expecting_failure();
    assert_eq!(refused.code, Some(78), "the old key opens nothing any more: {refused:?}");
}

#[test]
fn a_store_without_its_key_gets_no_new_one() {
    let data = new_data();
    let process = portunus().data(&data).start();
    assert_eq!(process.stop(), Some(0));
    let key = data.path().join("data/secret.key");
    let text = fs::read_to_string(&key).expect("a key was made");
    fs::remove_file(&key).expect("it can be removed");
    let refused = portunus().data(&data).start_expecting_failure();
    assert_eq!(refused.code, Some(78), "{refused:?}");
    assert!(refused.stderr.contains("the secret key of the store"), "{}", refused.stderr);
    assert!(!key.exists(), "a new key would hide that the old one is missing");
    // The file can be set as well.
    fs::write(data.path().join("kept"), text).expect("it can be written");
    let file = format!("file:{}", data.path().join("kept").display());
    portunus().data(&data).env("PORTUNUS_SECRET_KEY", file).start().api().get("/v1/tenants").is(200);
}
