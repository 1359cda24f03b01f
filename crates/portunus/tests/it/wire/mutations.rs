//! Good messages with a few bytes changed: what a strict reader does not take for a request never becomes one, and
//! whatever an upstream answers, the client gets one well-formed answer or sees that it was cut short.

use std::time::Duration;

use portunus_testkit::raw::{Connection, End, exchange};
use portunus_testkit::upstream::Script;
use portunus_testkit::{Message, eventually};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::Wire;
use super::fidelity::cases::{Case, small_case};

/// How long a connection may take to its end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What follows the changed request on its connection.
const AFTER: &[u8] = b"GET /orders/after HTTP/1.1\r\nhost: x\r\n\r\n";

/// The bytes that matter to a reader of HTTP/1.
const BYTES: &[u8] = b"\r\n\0 \t:,-+x_5\"/#?%.\x0b\x7f\x80\xff";

/// One change of a request.
#[derive(Debug, Clone)]
enum Edit {
    Insert(Index, u8),
    Replace(Index, u8),
    Remove(Index),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = || any::<Index>();
    let byte = || proptest::sample::select(BYTES);
    prop_oneof![
        3 => (place(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        3 => (place(), byte()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        3 => place().prop_map(Edit::Remove),
        1 => (place(), place()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let at = |index: &Index, bytes: &[u8]| index.index(bytes.len());
    match edit {
        Edit::Insert(index, byte) => bytes.insert(at(index, bytes), *byte),
        Edit::Replace(index, byte) => {
            let at = at(index, bytes);
            bytes[at] = *byte;
        }
        Edit::Remove(index) if bytes.len() > 1 => drop(bytes.remove(at(index, bytes))),
        Edit::Remove(_) => {}
        Edit::Repeat(from, to) => {
            let lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (from, to) = (from.index(lines.len()), to.index(lines.len()));
            *bytes = [&lines[..to], &lines[from..=from], &lines[to..]].concat().concat();
        }
    }
}

/// How many requests a strict reader sees; none when it stumbles over something that may be taken all the same: zeros
/// before a length.
fn strict_count(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    loop {
        // Empty lines before a request line are skipped.
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        match Message::request(bytes) {
            Ok(Some(request)) if request.is_complete => {
                count += 1;
                bytes = &bytes[request.size..];
            }
            Ok(_) => return Some(count),
            Err(fault) if fault.starts_with("a bad length: \"0") => return None,
            Err(_) => return Some(count),
        }
    }
}

fn check(wire: &Wire, case: &Case, edits: &[Edit]) -> Result<(), TestCaseError> {
    let mut bytes = case.request("/orders");
    edits.iter().for_each(|edit| apply(&mut bytes, edit));
    bytes.extend_from_slice(AFTER);
    let Some(expected) = strict_count(&bytes) else { return Ok(()) };
    wire.upstream.take();
    let mut client = Connection::open(wire.process.gw_address());
    client.send(&bytes);
    client.finish();
    client.read_to_end(PATIENCE);
    prop_assert_ne!(client.end(), End::Open, "the connection stays open: {}", bytes.escape_ascii());
    let seen = wire.upstream.take().into_iter().filter(|request| request.is_complete).count();
    let sent = bytes.escape_ascii().to_string();
    let shown = client.received().escape_ascii().to_string();
    prop_assert!(seen <= expected, "{seen} requests out of {expected}: {sent}\nanswers: {shown}");
    let faults = wire.upstream.faults();
    prop_assert!(faults.is_empty(), "the upstream got {faults:?} from {sent}");
    Ok(())
}

/// What a client may see of an upstream's answer.
fn check_answer(wire: &Wire, case: &Case, edits: &[Edit]) -> Result<(), TestCaseError> {
    let mut bytes = case.answer();
    edits.iter().for_each(|edit| apply(&mut bytes, edit));
    let sent = bytes.escape_ascii().to_string();
    wire.upstream.set(Script::closing(bytes));
    let ask = b"GET /orders/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let client = exchange(wire.process.gw_address(), ask, PATIENCE);
    prop_assert_ne!(client.end(), End::Open, "the connection stays open: {}", sent);
    let shown = client.received().escape_ascii().to_string();
    let answers = Message::answers(client.received(), false);
    let answers = answers.map_err(|fault| TestCaseError::fail(format!("{fault}: {shown}\nsent: {sent}")))?;
    let size: usize = answers.iter().map(|answer| answer.size).sum();
    prop_assert_eq!(size, client.received().len(), "more than an answer: {}\nsent: {}", shown, sent);
    let last = answers.iter().filter(|answer| !answer.is_interim()).count();
    prop_assert_eq!(last, 1, "answers: {}\nsent: {}", shown, sent);
    Ok(())
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() }
}

#[test]
fn a_changed_request_is_never_read_as_more_than_it_is() {
    let wire = Wire::start();
    let cases = (small_case(), vec(edit(), 1..4));
    let outcome = TestRunner::new(config(1500)).run(&cases, |(case, edits)| check(&wire, &case, &edits));
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    wire.process.get("/orders/after").send().is(200);
    assert!(!wire.process.stdout().text().contains("PANIC"));
    eventually(PATIENCE, "a last line", || wire.process.stdout().text().contains("/orders/after").then_some(()));
}

#[test]
fn a_changed_answer_is_one_answer_or_none() {
    let wire = Wire::start();
    let cases = (small_case(), vec(edit(), 1..4));
    let outcome = TestRunner::new(config(1000)).run(&cases, |(case, edits)| check_answer(&wire, &case, &edits));
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    wire.upstream.set(Script::answer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    assert_eq!(wire.process.get("/orders/after").send().expect(200).text(), "ok");
    assert!(!wire.process.stdout().text().contains("PANIC"));
}
