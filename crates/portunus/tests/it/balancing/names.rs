//! Host names: all their addresses are used, and changes of them are noticed.
//!
//! `libnss_wrapper` gives one process a hosts file of its own; the process under test knows nothing of that.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use portunus_testkit::gateway::{DataFolder, new_data};
use portunus_testkit::poll::SOON;
use portunus_testkit::{Upstream, eventually};
use serde_json::json;

use crate::{Gate, portunus};

/// A hosts file for one process.
struct Hosts {
    path: PathBuf,
    changes: u64,
    _folder: std::sync::Arc<DataFolder>,
}

impl Hosts {
    fn new(text: &str) -> Self {
        let folder = new_data();
        let mut hosts = Self { path: folder.path().join("hosts"), changes: 0, _folder: folder };
        hosts.write(text);
        hosts
    }

    /// Replaces it at once. Each version has a time of its own, because readers look at the seconds.
    fn write(&mut self, text: &str) {
        self.changes += 1;
        let next = self.path.with_extension("next");
        fs::write(&next, text).expect("the folder can be written");
        let time = SystemTime::now() + Duration::from_secs(10 * self.changes);
        fs::File::options()
            .write(true)
            .open(&next)
            .and_then(|file| file.set_modified(time))
            .expect("a time can be set");
        fs::rename(&next, &self.path).expect("a file can be replaced");
    }

    fn gate(&self) -> Gate {
        Gate::with(portunus().env("LD_PRELOAD", "libnss_wrapper.so").env("NSS_WRAPPER_HOSTS", &self.path))
    }
}

/// Two upstreams on two addresses and one port.
fn pair() -> (Upstream, Upstream, u16) {
    let first = Upstream::start_on(SocketAddr::from(([127, 0, 0, 2], 0)));
    let second = Upstream::start_on(SocketAddr::from(([127, 0, 0, 3], first.port())));
    let port = first.port();
    (first, second, port)
}

#[test]
fn connections_are_spread_over_all_addresses_of_a_name() {
    let (first, second, port) = pair();
    let hosts = Hosts::new("127.0.0.2 many.test\n127.0.0.3 many.test\n127.0.0.4 many.test\n");
    let Gate { process, admin, .. } = hosts.gate();
    let upstream = json!({"targets": [{"url": format!("http://many.test:{port}")}], "idle_timeout_ms": 0});
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": upstream}));
    for _ in 0..12 {
        process.get("/orders/x").send().is(200);
    }
    // Nobody listens on the third; its share goes to the next.
    assert_eq!([first.count(), second.count()], [8, 4]);
}

#[test]
fn a_name_that_moves_takes_its_calls_along_and_one_that_vanishes_does_not() {
    let (first, second, port) = pair();
    let mut hosts = Hosts::new("127.0.0.2 moves.test\n");
    let Gate { process, admin, .. } = hosts.gate();
    let upstream = json!({"targets": [{"url": format!("http://moves.test:{port}")}], "dns_refresh_ms": 1000});
    admin.create_api_with("orders", "", &json!({"access": "public", "upstream": upstream}));
    process.get("/orders/x").send().is(200);
    assert_eq!([first.count(), second.count()], [1, 0]);
    hosts.write("127.0.0.3 moves.test\n");
    eventually(SOON, "the new address", || {
        process.get("/orders/x").send().is(200);
        (second.count() > 0).then_some(())
    });
    let before = first.count();
    for _ in 0..10 {
        process.get("/orders/x").send().is(200);
    }
    assert_eq!(first.count(), before, "its old connection is still open, and is not used");
    hosts.write("127.0.0.9 another.test\n");
    let told = process.wait_log(SOON, |entry| entry["message"] == "name_not_resolved");
    assert_eq!(told["host"], "moves.test");
    let before = second.count();
    process.get("/orders/x").send().is(200);
    assert_eq!(second.count(), before + 1, "the last good address stays");
}
