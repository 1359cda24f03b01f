//! Request smuggling against real servers: whatever a client sends, none of them sees a request that the gateway did not.
//!
//! Each payload is a first request with a second one hidden in it, written so that a server with one of the faults that
//! HTTP Garden collects would see two. The servers' own logs are the evidence.

mod payloads;

use std::time::Duration;

use portunus_testkit::origin::{Kind, Origin};
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::{Connection, exchange};
use portunus_testkit::{Portunus, eventually};

use crate::portunus;
use payloads::{Payload, payloads};

/// When nothing has come for so long after a payload, nothing more will.
const QUIET: Duration = Duration::from_millis(150);

/// Sends a payload and reads until the connection is closed or silent.
fn attack(process: &Portunus, bytes: &[u8]) -> String {
    let mut client = Connection::open(process.gw_address());
    client.send(bytes);
    let mut length = usize::MAX;
    while length != client.received().len() {
        length = client.received().len();
        client.read_until(QUIET, |read| read.len() > length);
    }
    client.text()
}

/// What a well-behaved client gets right after a payload: the answer to its own request.
fn victim(process: &Portunus, number: usize) -> Result<(), String> {
    let path = format!("/victim-{number:05}");
    let request = format!("GET /origin{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = exchange(process.gw_address(), request.as_bytes(), SOON);
    let is_own =
        answer.status() == Some(200) && answer.text().to_lowercase().contains(&format!("x-target: {path}\r\n"));
    if is_own { Ok(()) } else { Err(format!("the next client gets {:?}", answer.text())) }
}

/// How many lines have `what` in them.
fn count(lines: &[String], what: &str) -> usize {
    lines.iter().filter(|line| line.contains(what)).count()
}

/// What is wrong about a payload, from the logs of both sides.
fn verdict(payload: &Payload, number: usize, seen: &[String], access: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let (first, inner) = (format!("/first-{number:05}"), format!("/inner-{number:05}"));
    if count(seen, &format!("/origin{inner}")) > 0 {
        faults.push("the hidden request was seen as it was hidden".to_owned());
    }
    for path in [&first, &inner] {
        let (theirs, ours) = (count(seen, path), count(access, &format!("\"/origin{path}")));
        if theirs > ours || theirs > 1 {
            faults.push(format!("{path} was seen {theirs} times, and here {ours} times"));
        }
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", payload.name)).collect()
}

fn none_gets_through(kind: Kind) {
    let (process, origin) = (portunus().start(), Origin::start(kind));
    process.api().create_public_api("origin", &origin.url());
    let payloads = payloads();
    let mut wrong = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        attack(&process, &payload.bytes(number));
        if let Err(fault) = victim(&process, number) {
            wrong.push(format!("{}: {fault}", payload.name));
        }
    }
    let last = payloads.len() - 1;
    eventually(SOON, "the last request in both logs", || {
        let theirs = count(&origin.seen(), &format!("/victim-{last:05}"));
        let ours = count(&process.logs(), &format!("/victim-{last:05}\""));
        (theirs > 0 && ours > 0).then_some(())
    });
    let access: Vec<_> = process.logs().into_iter().filter(|line| line.contains("\"request completed\"")).collect();
    let seen = origin.seen();
    for (number, payload) in payloads.iter().enumerate() {
        wrong.extend(verdict(payload, number, &seen, &access));
    }
    // A request that was cut short may be told as a 400; it has its own path in the line.
    let odd = |line: &&String| !line.starts_with("200 ") && !line.contains("/first-");
    wrong.extend(seen.iter().filter(odd).map(|line| format!("the server got what it does not understand: {line}")));
    assert!(wrong.is_empty(), "{kind:?}:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_smuggled_to_nginx() {
    none_gets_through(Kind::Nginx);
}

#[test]
fn nothing_is_smuggled_to_haproxy() {
    none_gets_through(Kind::Haproxy);
}

#[test]
fn nothing_is_smuggled_to_apache() {
    none_gets_through(Kind::Apache);
}

#[test]
fn nothing_is_smuggled_to_node() {
    none_gets_through(Kind::Node);
}

#[test]
fn nothing_is_smuggled_to_gunicorn() {
    none_gets_through(Kind::Gunicorn);
}
