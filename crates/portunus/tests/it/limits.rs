//! What a client may cost: each limit holds, says so in its answer and in one access line, and lets the next client in.

mod bodies;
mod connections;
mod drain;
mod halves;
mod heads;
mod in_flight;
mod settings;
mod silence;
mod websockets;

use portunus_testkit::Portunus;
use portunus_testkit::poll::SOON;
use portunus_testkit::raw::Connection;
use portunus_testkit::upstream::{Recorder, Script};
use serde_json::{Value, json};

use crate::portunus;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &[u8] = b"GET /orders/x HTTP/1.1\r\nhost: x\r\n\r\n";

/// A gateway with limits, one public API, `/orders`, and an upstream that keeps every byte.
struct Bounded {
    process: Portunus,
    upstream: Recorder,
}

impl Bounded {
    /// Starts both, with these settings without their prefix.
    fn start(settings: &[(&str, &str)]) -> Self {
        // With one worker the lines of the log are in the order of the requests.
        let builder = portunus().env("PORTUNUS_WORKERS", "1");
        let builder =
            settings.iter().fold(builder, |builder, (name, value)| builder.env(&format!("PORTUNUS_{name}"), value));
        let (process, upstream) = (builder.start(), Recorder::start());
        let fields = json!({"access": "public", "upstream": {"targets": [{"url": upstream.url()}], "response_timeout_ms": 20_000}});
        process.api().create_api_with("orders", "", &fields);
        Self { process, upstream }
    }

    /// Opens a connection and sends this on it.
    fn send(&self, bytes: &[u8]) -> Connection {
        let mut client = Connection::open(self.process.gw_address());
        client.send(bytes);
        client
    }

    /// The access lines up to now. The next request is served, and everything up to it is forgotten.
    #[track_caller]
    fn lines(&self) -> Vec<Value> {
        self.upstream.set(Script::answer(OK));
        let mut next = self.send(b"GET /orders/after HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        assert!(next.read_to_end(SOON), "the next request is answered: {}", next.text());
        assert_eq!(next.status(), Some(200), "{}", next.text());
        self.process.wait_log(SOON, |entry| entry["path"] == "/orders/after");
        let mut entries = self.process.stdout().entries();
        entries.retain(|entry| entry["message"] == "request completed" && entry["path"] != "/orders/after");
        self.process.stdout().clear();
        self.upstream.take();
        entries
    }

    /// Insists on exactly one access line, with this status and reason.
    #[track_caller]
    fn one_line(&self, status: u16, reason: &str) {
        let lines = self.lines();
        let told: Vec<_> = lines.iter().map(|line| (&line["status"], &line["reason"])).collect();
        assert_eq!(told, [(&json!(status), &json!(reason))], "{lines:?}");
    }
}
