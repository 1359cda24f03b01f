//! Clients that are slow on purpose, and ends that stop reading: others are served all the same, and memory stays bounded.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use portunus_testkit::command::Run;
use portunus_testkit::poll::{SOON, pause};
use portunus_testkit::raw::{Connection, exchange};
use portunus_testkit::upstream::Flood;
use portunus_testkit::{Portunus, eventually};

use crate::{Gate, portunus};

/// How many slow connections there are at once.
const SLOW: usize = 400;
/// How long an attack lasts, in seconds.
const ATTACK: &str = "8";
/// What the upstream would send, or the client, if the other end read it.
const LARGE: u64 = 100_000_000;

/// What everybody else notices while `slowhttptest` runs with these options: nothing.
fn nobody_else_notices(options: &[&str], path: &str) {
    let Gate { process, admin, upstream } = Gate::start();
    let flood = Flood::start(1_000_000);
    admin.create_public_api("orders", &upstream.url());
    admin.create_public_api("flood", &flood.url());
    let connections = SLOW.to_string();
    let url = process.gw_url(path);
    let mut args = vec!["-c", &connections, "-r", "200", "-l", ATTACK, "-p", "1", "-u", &url];
    args.extend_from_slice(options);
    let attack = Run::new("slowhttptest").args(&args);
    let attack = thread::spawn(move || attack.output());
    let (mut probes, mut slowest) = (0, Duration::ZERO);
    while !attack.is_finished() {
        let start = Instant::now();
        let request = b"GET /orders/probe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = exchange(process.gw_address(), request, Duration::from_secs(1));
        assert_eq!(answer.status(), Some(200), "probe {probes} after {:?}: {}", start.elapsed(), answer.text());
        slowest = slowest.max(start.elapsed());
        probes += 1;
        pause(Duration::from_millis(20));
    }
    let output = attack.join().expect("the attack ran").stdout;
    assert!(most_connected(&output) >= SLOW / 2, "the attack was none: {output}");
    assert!(probes > 50 && slowest < Duration::from_secs(1), "{probes} probes, the slowest took {slowest:?}");
    assert!(!process.stdout().text().contains("PANIC"));
}

/// The most connections that `slowhttptest` had open at once, by its own account.
fn most_connected(output: &str) -> usize {
    let counts = output.lines().filter_map(|line| line.split_once("connected:"));
    let number = |(_, rest): (&str, &str)| {
        // What stands between are codes for colours; the number stands last.
        rest.split(|c: char| !c.is_ascii_digit()).rfind(|text| !text.is_empty())?.parse().ok()
    };
    counts.filter_map(number).max().unwrap_or_default()
}

#[test]
fn slow_heads_harm_nobody_else() {
    nobody_else_notices(&["-H", "-i", "1", "-x", "24"], "/orders/slow");
}

#[test]
fn slow_bodies_harm_nobody_else() {
    nobody_else_notices(&["-B", "-i", "1", "-x", "24", "-s", "8192"], "/orders/slow");
}

#[test]
fn slow_readers_harm_nobody_else() {
    nobody_else_notices(&["-X", "-w", "16", "-y", "64", "-n", "1", "-z", "16"], "/flood/x");
}

/// Waits until a counter stands still for half a second, and gives it.
fn standstill(deadline: Duration, read: impl Fn() -> u64) -> u64 {
    let (mut last, mut since) = (read(), Instant::now());
    eventually(deadline, "a standstill", || {
        let now = read();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_millis(500)).then_some(last)
    })
}

/// Insists that the process holds no more than `before` and 2 MB, now and a moment later.
fn insist_on_memory(process: &Portunus, before: u64, what: &str) {
    let grown = process.rss_kb().saturating_sub(before);
    assert!(grown < 2_000, "{what}: {grown} KiB more");
}

#[test]
fn a_reader_that_stalls_costs_a_bounded_buffer() {
    let (process, flood) = (portunus().start(), Flood::start(LARGE));
    process.api().create_public_api("flood", &flood.url());
    let request = b"GET /flood/x HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut whole = Connection::open(process.gw_address());
    whole.send(request);
    assert!(whole.read_until(SOON, |read| read.len() > 1_000_000), "the API answers");
    drop(whole);
    eventually(SOON, "the end of the first call", || (flood.open() == 0).then_some(()));
    let (before, sent_before) = (process.rss_kb(), flood.sent());
    let mut client = Connection::open(process.gw_address());
    client.send(request);
    eventually(SOON, "the begin of the second call", || (flood.sent() > sent_before).then_some(()));
    let sent = standstill(SOON, || flood.sent()) - sent_before;
    assert!(sent < LARGE / 2, "the upstream is not held back: {sent} bytes were taken");
    insist_on_memory(&process, before, "a client that does not read");
    drop(client);
    eventually(SOON, "the end of the upstream's connection", || (flood.open() == 0).then_some(()));
    insist_on_memory(&process, before, "a client that is gone");
}

#[test]
fn an_upstream_that_stalls_costs_a_bounded_buffer() {
    let (process, deaf) = (portunus().start(), Flood::deaf());
    process.api().create_public_api("deaf", &deaf.url());
    let before = process.rss_kb();
    let mut client = TcpStream::connect(process.gw_address()).expect("the listener accepts");
    client.set_write_timeout(Some(Duration::from_secs(1))).expect("a TCP option can be set");
    let head = format!("POST /deaf/x HTTP/1.1\r\nhost: x\r\ncontent-length: {LARGE}\r\n\r\n");
    client.write_all(head.as_bytes()).expect("the head is taken");
    let block = [b'x'; 65536];
    let mut taken = 0;
    let stopped = loop {
        match client.write(&block) {
            Ok(n) => taken += n as u64,
            Err(error) => break error,
        }
        assert!(taken < LARGE / 2, "the client is not held back: {taken} bytes were taken");
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{stopped}");
    insist_on_memory(&process, before, "an upstream that does not read");
}
