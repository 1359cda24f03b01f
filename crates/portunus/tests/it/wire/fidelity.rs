//! Random requests and answers: through the gateway they arrive as they do without it.

pub mod cases;

use std::cell::RefCell;
use std::time::Duration;

use portunus_testkit::message::Framing;
use portunus_testkit::poll::within;
use portunus_testkit::raw::{Connection, End};
use portunus_testkit::upstream::{Recorder, Script};
use portunus_testkit::{Message, Portunus};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Wire;
use cases::{Case, case};

/// How long one exchange may take. A failing case is tried again many times, to make it small.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the gateway sets itself: the framing and the fields between two hops, and what it tells the upstream and the client.
const OWN: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "host",
    "transfer-encoding",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// One exchange, seen from both ends.
#[derive(Debug)]
struct Exchange {
    request: Message,
    answer: Message,
}

/// The fields that are not the gateway's own, by name; those of one name in their order.
fn fields(message: &Message) -> Vec<(String, String)> {
    let own = |name: &str| OWN.contains(&name);
    let shown = |(name, value): &(String, Vec<u8>)| (name.clone(), value.escape_ascii().to_string());
    let mut fields: Vec<_> = message.fields.iter().filter(|(name, _)| !own(name)).map(shown).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// Sends the case's request to `path` and tells what both ends saw.
fn exchange(
    client: &mut Connection,
    upstream: &Recorder,
    case: &Case,
    prefix: &str,
) -> Result<Exchange, TestCaseError> {
    upstream.take();
    let start = client.received().len();
    for piece in case.request(prefix).chunks(case.piece) {
        if !client.send(piece) {
            break;
        }
    }
    let to_head = case.method == "HEAD";
    let read = |bytes: &[u8]| Message::answers(&bytes[start..], to_head).ok().and_then(|mut all| all.pop());
    client.read_until(PATIENCE, |bytes| read(bytes).is_some_and(|answer| answer.is_complete && !answer.is_interim()));
    let received = &client.received()[start..];
    let answers = Message::answers(received, to_head).map_err(TestCaseError::fail)?;
    let Some(mut answer) = answers.into_iter().find(|answer| !answer.is_interim()) else {
        return Err(TestCaseError::fail(format!("no answer, {:?}: {}", client.end(), received.escape_ascii())));
    };
    if answer.framing == Framing::UntilClose && client.end() == End::Closed {
        answer.is_complete = true;
    }
    let whole = || upstream.requests().into_iter().find(|request| request.is_complete);
    let Some(request) = within(PATIENCE, whole) else {
        return Err(TestCaseError::fail(format!("no request: {:?}, {}", upstream.faults(), received.escape_ascii())));
    };
    prop_assert_eq!(upstream.requests().len(), 1, "the upstream got more than one request");
    Ok(Exchange { request, answer })
}

/// Chunks may come in place of an end by closing; an empty body may be told in any way.
fn is_same_framing(direct: &Message, through: &Message) -> bool {
    direct.framing == through.framing
        || direct.body.is_empty()
        || (direct.framing == Framing::UntilClose && through.framing == Framing::Chunked)
}

fn compare(direct: &Message, through: &Message) -> Result<(), TestCaseError> {
    prop_assert_eq!(fields(direct), fields(through));
    prop_assert_eq!(&direct.body, &through.body);
    prop_assert_eq!(&direct.trailers, &through.trailers);
    prop_assert!(direct.is_complete && through.is_complete);
    let is_same = is_same_framing(direct, through);
    prop_assert!(is_same, "{:?} became {:?}", direct.framing, through.framing);
    Ok(())
}

/// A connection that stays open from case to case, so that a byte too much or too little harms the next one.
fn kept(held: Option<Connection>, address: &str) -> Connection {
    let mut connection = held.unwrap_or_else(|| Connection::open(address));
    connection.read_until(Duration::from_millis(1), |_| false);
    match connection.end() {
        End::Open => connection,
        _ => Connection::open(address),
    }
}

fn check(
    process: &Portunus,
    upstream: &Recorder,
    held: &RefCell<Option<Connection>>,
    case: &Case,
) -> Result<(), TestCaseError> {
    upstream.set(Script { closes: case.answer_closes(), ..Script::answer(case.answer()) });
    let address = upstream.url().replace("http://", "");
    let direct = exchange(&mut Connection::open(&address), upstream, case, "")?;
    let mut client = kept(held.take(), process.gw_address());
    let through = exchange(&mut client, upstream, case, "/orders")?;
    held.replace(Some(client));
    prop_assert_eq!(direct.request.method(), through.request.method());
    prop_assert_eq!(direct.request.target(), through.request.target());
    prop_assert_eq!(direct.answer.status(), through.answer.status());
    compare(&direct.request, &through.request)?;
    compare(&direct.answer, &through.answer)
}

#[test]
fn what_goes_through_the_gateway_arrives_as_it_was_sent() {
    let Wire { process, upstream } = Wire::start();
    let held = RefCell::new(None);
    let config = Config { cases: 300, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    let outcome = TestRunner::new(config).run(&case(), |case| check(&process, &upstream, &held, &case));
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    assert!(upstream.faults().is_empty(), "{:?}", upstream.faults());
}
