//! A stop: clients are told, and get what they have asked for.

use std::time::Duration;

use portunus_testkit::eventually;
use portunus_testkit::h2c::{Ask, Client};
use portunus_testkit::http2::kind;
use portunus_testkit::poll::SOON;

use super::{code, error_code, get, open};
use crate::{Gate, portunus};

#[test]
fn open_streams_are_answered_and_clients_told_to_go() {
    let Gate { mut process, admin, upstream } = Gate::with(portunus().env("PORTUNUS_DRAIN_SECONDS", "60"));
    admin.create_public_api("orders", &upstream.url());
    let connection = open(&process, &get(&process, 1, "/orders/held"));
    let client = Client::connect(process.gw_address());
    let pending = [client.begin(Ask::get("/orders/held")), client.begin(Ask::new("POST", "/orders/held").body("x"))];
    let resting = Client::connect(process.gw_address());
    resting.send(Ask::get("/orders/x")).answer.is(200);
    eventually(SOON, "the requests at the upstream", || (upstream.count() == 4).then_some(()));
    process.terminate();
    let goaway = connection.wait(SOON, |frame| frame.kind == kind::GOAWAY).expect("a client is told of the stop");
    assert_eq!(error_code(&goaway.payload[4..8]), Some(code::NO_ERROR), "a stop is no error");
    eventually(SOON, "the end of what rests", || resting.is_closed().then_some(()));
    assert!(!connection.wait_closed(Duration::from_millis(100)) && process.is_running());
    upstream.release();
    connection.wait(SOON, |frame| frame.stream == 1 && frame.ends_stream()).expect("the open stream comes to its end");
    for pending in pending {
        assert_eq!(pending.wait().answer.expect(200).text(), "first\nlast\n");
    }
    drop(connection);
    assert_eq!(process.wait(SOON).expect("it ends when all are answered").code(), Some(0));
}
