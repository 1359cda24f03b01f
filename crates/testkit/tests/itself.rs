//! The testkit's own instruments, tried on each other before they are trusted with the product.

use std::time::Duration;

use portunus_testkit::browser::Browser;
use portunus_testkit::crowd::Crowd;
use portunus_testkit::load::{Load, Plan};
use portunus_testkit::origin::{Kind, Origin};
use portunus_testkit::poll::SOON;
use portunus_testkit::prober::Prober;
use portunus_testkit::raw::{Connection, exchange};
use portunus_testkit::upstream::{Canned, Silent, refused_url};
use portunus_testkit::websocket::{EchoSockets, Sockets};
use portunus_testkit::{Call, Upstream, eventually, wrk};

#[test]
fn the_upstream_echoes_and_remembers() {
    let upstream = Upstream::start();
    let answer = Call::post(&format!("{}/a/b?c=d", upstream.url())).body("hello").send().expect(200);
    assert_eq!(answer.json["path"], "/a/b");
    assert_eq!(answer.json["query"], "c=d");
    assert_eq!(answer.json["body"], "hello");
    assert_eq!(upstream.last().target, "/a/b?c=d");
    assert_eq!(upstream.count(), 1);
    assert_eq!(upstream.body_bytes(), 5);
    Call::get(&format!("{}/x/status/418", upstream.url())).send().is(418);
    let bytes = Call::get(&format!("{}/bytes/100000", upstream.url())).send().expect(200);
    assert_eq!(bytes.body.len(), 100_000);
    assert!(Call::get(&format!("{}/close", upstream.url())).try_send().is_err());
}

#[test]
fn a_held_answer_waits_for_its_release() {
    let upstream = Upstream::start();
    let mut connection = Connection::open(&upstream.address());
    assert!(connection.send(b"GET /held HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert!(connection.read_text(SOON, "first\n"));
    assert!(!connection.text().contains("last"));
    upstream.release();
    assert!(connection.read_to_end(SOON));
    assert!(connection.text().contains("last\n"));
    assert_eq!(connection.status(), Some(200));
}

#[test]
fn servers_that_misbehave_do_so() {
    let canned = Canned::start("HTTP/1.1 204 No Content\r\n\r\n");
    Call::get(&canned.url()).send().is(204);
    assert_eq!(canned.count(), 1);
    assert!(Call::get(&refused_url()).try_send().is_err());
    let silent = Silent::start();
    let call = Call::get(&silent.url()).deadline(Duration::from_millis(300));
    assert!(call.try_send().expect_err("nobody accepts").is_timeout());
}

#[test]
fn raw_bytes_reach_the_other_side() {
    let upstream = Upstream::start();
    let answer = exchange(&upstream.address(), b"GET /raw HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", SOON);
    assert_eq!(answer.status(), Some(200));
    assert!(answer.text().contains("\"path\":\"/raw\""));
}

#[test]
fn load_flows_at_its_rate() {
    let upstream = Upstream::start();
    upstream.forget();
    let load = Load::start(Plan {
        address: upstream.address(),
        target: "/".into(),
        headers: vec![("x-a".into(), "b".into())],
        rate: 500,
        connections: 8,
    });
    eventually(SOON, "the 200th request", || (load.sent() > 200).then_some(()));
    let report = load.stop();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.statuses.get(&200), Some(&report.total()));
    assert!(report.elapsed > Duration::from_millis(350), "{:?}", report.elapsed);
    assert!(report.percentile(0.5) <= report.percentile(0.99));
    assert!(upstream.connections() <= 8);
}

#[test]
fn a_crowd_keeps_its_connections_and_notices_their_end() {
    let upstream = Upstream::start();
    let (mut crowd, tally) = Crowd::gather(&upstream.address(), "/x", 200);
    assert!(tally.is_all(200), "{tally:?}");
    assert_eq!(crowd.ask("/status/404").statuses, [(404, 200)].into());
    assert_eq!(upstream.connections(), 200);
    drop(upstream);
    let tally = crowd.ask("/x");
    assert_eq!(tally.failures.values().sum::<usize>(), 200, "{tally:?}");
}

#[test]
fn sockets_hear_what_they_say() {
    let upstream = EchoSockets::start();
    let address = upstream.url().replace("http://", "");
    let mut sockets = Sockets::open(&address, "/room", 100);
    assert!(sockets.say("hello").is_empty());
    assert_eq!(sockets.count(), 100);
}

#[test]
fn a_flood_is_counted_by_status() {
    let upstream = Upstream::start();
    let outcome = wrk::flood(&format!("{}/status/503", upstream.url()), 10, Duration::from_secs(1));
    assert!(outcome.count(503) > 0 && outcome.count(503) == outcome.total(), "{outcome:?}");
    assert_eq!((outcome.count(200), outcome.unanswered()), (0, 0), "{outcome:?}");
}

#[test]
fn a_prober_sees_what_others_are_served() {
    let upstream = Upstream::start();
    let prober = Prober::start(&upstream.address(), "/delay/50");
    eventually(SOON, "three questions", || (upstream.count() >= 3).then_some(()));
    let seen = prober.stop();
    assert!(seen.statuses.keys().eq([&200]), "{seen:?}");
    assert!(seen.slowest >= Duration::from_millis(50), "{seen:?}");
}

#[test]
fn the_browser_runs_scripts() {
    let upstream = Upstream::start();
    let browser = Browser::start();
    browser.goto(&format!("{}/page", upstream.url()));
    let value = browser.run("const r = await fetch('/x'); return (await r.json()).path;");
    assert_eq!(value, "/x");
    assert!(browser.screenshot().len() > 100);
}

#[test]
fn every_origin_says_and_logs_what_it_was_asked_for() {
    for kind in Kind::ALL {
        let origin = Origin::start(kind);
        let answer = Call::get(&format!("{}/a/b", origin.url())).send().expect(200);
        assert_eq!(answer.header("x-target"), "/a/b", "{kind:?}");
        let line = || origin.seen().into_iter().find(|line| line == "200 GET /a/b");
        eventually(SOON, &format!("a line in the log of {kind:?}"), line);
        let _ = exchange(origin.address(), b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", SOON);
        let line = || origin.seen().into_iter().find(|line| line.starts_with("400 "));
        eventually(SOON, &format!("a line about rubbish in the log of {kind:?}"), line);
    }
}
