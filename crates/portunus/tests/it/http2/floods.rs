//! Abuses that cost the sender little. Each is tried for a moment; meanwhile somebody else is served, and memory stays
//! bounded.

use std::time::Duration;

use portunus_testkit::http2::{Connection, END_HEADERS, END_STREAM, field, frame, kind, request};
use portunus_testkit::poll::SOON;
use portunus_testkit::prober::Prober;
use portunus_testkit::upstream::{Recorder, Script};
use portunus_testkit::{Portunus, Upstream, eventually};

use super::{INITIAL_WINDOW_SIZE, code, get};
use crate::Gate;

/// The most that anybody else waits meanwhile.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);
/// How long after its flood a connection is closed or served.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
/// The most memory that it takes, in KiB.
const MOST_MEMORY: u64 = 32 * 1024;
/// The stream of the request after the flood.
const LAST_STREAM: u32 = 0x7fff_fff1;

/// What a flood came to.
#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Served,
}

/// Sends this many rounds on one connection, as fast as they are taken, while somebody else asks. Gives what became of the
/// connection and how many requests the upstream saw of it.
fn flood(rounds: u32, round: impl Fn(&Portunus, u32) -> Vec<u8>) -> (End, u64) {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let other = Upstream::start();
    admin.create_public_api("other", &other.url());
    process.get("/other/x").send().is(200);
    let before = process.rss_kb();
    let prober = Prober::start(process.gw_address(), "/other/x");
    let mut connection = Connection::open(process.gw_address(), &[]);
    let mut bytes = Vec::new();
    for number in 0..rounds {
        bytes.extend(round(&process, number));
        if bytes.len() > 32 * 1024 {
            if !connection.send(&bytes) {
                break;
            }
            bytes.clear();
        }
    }
    bytes.extend(get(&process, LAST_STREAM, "/orders/last"));
    connection.send(&bytes);
    let answer = connection.wait(ENDED_WITHIN, |frame| frame.stream == LAST_STREAM && frame.is_ok());
    let grown = process.rss_kb().saturating_sub(before);
    let seen = prober.stop();
    assert!(seen.statuses.keys().all(|status| *status == 200), "{seen:?}");
    assert!(seen.slowest <= OTHERS_WITHIN, "{seen:?}");
    assert!(grown <= MOST_MEMORY, "memory grew by {grown} KiB");
    assert!(!process.stdout().text().contains("PANIC"));
    let end = match answer {
        Some(_) => End::Served,
        None if connection.is_closed() => End::Closed,
        None => panic!("the connection is neither closed nor served"),
    };
    (end, upstream.count())
}

fn stream(number: u32) -> u32 {
    number * 2 + 1
}

/// CVE-2023-44487: requests that are taken back at once.
#[test]
fn rapid_reset() {
    let (end, seen) = flood(20_000, |process, number| {
        let reset = frame(kind::RST_STREAM, 0, stream(number), &code::CANCEL.to_be_bytes());
        [get(process, stream(number), "/orders/x"), reset].concat()
    });
    assert_eq!(end, End::Closed);
    assert!(seen < 2_000, "{seen} requests were sent on");
}

/// CVE-2025-8671: requests that the gateway itself has to reset, because the client breaks a rule on their stream.
#[test]
fn made_you_reset() {
    let (end, seen) = flood(20_000, |process, number| {
        let wrong = frame(kind::WINDOW_UPDATE, 0, stream(number), &[0; 4]);
        [get(process, stream(number), "/orders/x"), wrong].concat()
    });
    assert_eq!(end, End::Closed);
    assert!(seen < 2_000, "{seen} requests were sent on");
}

/// CVE-2024-27316: a header block whose end never comes.
#[test]
fn continuation() {
    let fields: Vec<u8> = (0..400).flat_map(|i| field(&format!("x-{i}"), "v", false)).collect();
    let (end, _) = flood(10_000, |process, number| match number {
        0 => frame(kind::HEADERS, END_STREAM, 1, &request("GET", process.gw_address(), "/orders/x")),
        _ => frame(kind::CONTINUATION, 0, 1, &fields),
    });
    assert_eq!(end, End::Closed);
}

/// CVE-2019-9512: each is to be answered.
#[test]
fn ping() {
    flood(50_000, |_, number| frame(kind::PING, 0, 0, &u64::from(number).to_be_bytes()));
}

/// CVE-2019-9515: each is to be acknowledged.
#[test]
fn settings() {
    flood(50_000, |_, _| frame(kind::SETTINGS, 0, 0, &[]));
}

/// CVE-2016-6581: a large field in the dynamic table, and requests that name it thousands of times at a byte each.
#[test]
fn header_bomb() {
    let (_, seen) = flood(200, |process, number| {
        let start = request("GET", process.gw_address(), "/orders/x");
        let block = match number {
            0 => [start, field("x-bomb", &"b".repeat(3_900), true)].concat(),
            // Entry 62 is the first of the dynamic table; 0x80 says that name and value are those of an entry.
            _ => [start, vec![0x80 | 62; 16_000]].concat(),
        };
        frame(kind::HEADERS, END_HEADERS | END_STREAM, stream(number), &block)
    });
    assert!(seen <= 2, "{seen} requests were sent on: one before the bombs and one after");
}

/// A hundred answers of half a megabyte that nobody takes.
#[test]
fn zero_window() {
    let Gate { process, admin, upstream } = Gate::start();
    admin.create_public_api("orders", &upstream.url());
    let large = Recorder::start();
    admin.create_public_api("large", &large.url());
    let size = 500_000;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
    large.set(Script::answer([head.as_bytes(), &vec![b'a'; size]].concat()));
    process.get("/orders/x").send().is(200);
    process.get("/large/x").send().is(200);
    let before = process.rss_kb();
    let prober = Prober::start(process.gw_address(), "/orders/x");
    let mut connection = Connection::open(process.gw_address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    for number in 0..100 {
        connection.send(&get(&process, stream(number), "/large/x"));
    }
    eventually(SOON, "a hundred answers", || (connection.count(kind::HEADERS) == 100).then_some(()));
    let grown = process.rss_kb().saturating_sub(before);
    let seen = prober.stop();
    assert!(seen.statuses.keys().all(|status| *status == 200) && seen.slowest <= OTHERS_WITHIN, "{seen:?}");
    assert!(grown <= MOST_MEMORY, "memory grew by {grown} KiB");
    assert_eq!(connection.count(kind::DATA), 0);
}
