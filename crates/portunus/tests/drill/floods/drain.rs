//! A stop under HTTP/2: clients are told, and get what they have asked for.

use std::time::Duration;

use portunus_testkit::eventually;
use portunus_testkit::http2::{ACK, Connection, END_HEADERS, END_STREAM, frame, kind, request};

use super::Scene;

const SOON: Duration = Duration::from_secs(10);
const STREAM: u32 = 1;

#[test]
fn drain_sends_goaway_and_answers_what_is_open() {
    let scene = Scene::new();
    let mut connection = Connection::open(scene.address(), &[]);
    let block = request("GET", scene.address(), "/orders/delay/1000");
    assert!(connection.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, STREAM, &block)));
    eventually(SOON, "the request at the upstream", || (scene.upstream.count() > 0).then_some(()));
    let Scene { mut process, upstream, .. } = scene;
    process.terminate();
    connection.wait(SOON, |frame| frame.kind == kind::GOAWAY).expect("a client is told of the stop");
    assert_eq!(connection.goaway(), Some(0), "a stop is no error");
    // By this the gateway knows that the client has been told.
    let ping = connection.wait(SOON, |frame| frame.kind == kind::PING).expect("and asked whether it has heard");
    assert!(connection.send(&frame(kind::PING, ACK, 0, &ping.payload)));
    connection.wait(SOON, |frame| frame.stream == STREAM && frame.is_ok()).expect("the open request is answered");
    connection.wait(SOON, |frame| frame.stream == STREAM && frame.ends_stream()).expect("and to its end");
    assert!(connection.wait_closed(SOON), "the connection stays open");
    let status = process.wait(SOON).expect("it stops once all are answered");
    assert_eq!(status.code(), Some(0));
    drop(upstream);
}
