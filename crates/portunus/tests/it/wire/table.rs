//! A table of byte sequences and what becomes of each.

use std::time::Duration;

use portunus_testkit::message::Framing;
use portunus_testkit::poll::{pause, within};
use portunus_testkit::raw::{Connection, End};
use portunus_testkit::{Message, eventually};

use super::Wire;

/// How long an answer, or the end of a connection, is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A table with more faults than this is not run to its end; each costs time.
const MOST_FAULTS: usize = 50;

/// A well-formed request that shows that a connection can still be used.
const AFTER: &[u8] = b"GET /orders/after HTTP/1.1\r\nhost: x\r\n\r\n";

/// What the upstream gets of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    method: &'static str,
    target: &'static str,
    framing: Framing,
    body: &'static [u8],
}

/// A request without a body.
pub fn wanted(method: &'static str, target: &'static str) -> Wanted {
    Wanted { method, target, framing: Framing::Empty, body: b"" }
}

/// A request with a body whose length is announced.
pub fn wanted_length(target: &'static str, body: &'static [u8]) -> Wanted {
    Wanted { method: "POST", target, framing: Framing::Length(body.len()), body }
}

/// A request with a chunked body.
pub fn wanted_chunks(target: &'static str, body: &'static [u8]) -> Wanted {
    Wanted { method: "POST", target, framing: Framing::Chunked, body }
}

/// One line of the table: what is sent, and what becomes of it.
#[must_use = "a row does nothing until the table is run"]
pub struct Row {
    name: &'static str,
    sent: Vec<u8>,
    served: Vec<Wanted>,
    refusal: &'static [u16],
    is_closed: bool,
    may_be_refused: bool,
    may_begin: bool,
    may_be_kept: bool,
}

/// Refused with 400; the connection is closed and the upstream learns nothing.
pub fn refused(name: &'static str, sent: impl Into<Vec<u8>>) -> Row {
    Row {
        name,
        sent: sent.into(),
        served: vec![],
        refusal: &[400],
        is_closed: true,
        may_be_refused: false,
        may_begin: false,
        may_be_kept: false,
    }
}

/// Refused with 400 because of its body: the upstream may have seen its beginning, but never a whole request.
pub fn broken(name: &'static str, sent: impl Into<Vec<u8>>) -> Row {
    Row { may_begin: true, ..refused(name, sent) }
}

/// Served with 200; the connection can be used again.
pub fn served(name: &'static str, sent: impl Into<Vec<u8>>, wanted: Wanted) -> Row {
    Row { served: vec![wanted], refusal: &[], is_closed: false, ..refused(name, sent) }
}

impl Row {
    /// The refusal has one of these statuses instead of 400.
    pub fn with(self, refusal: &'static [u16]) -> Self {
        Self { refusal, ..self }
    }

    /// These are served before it.
    pub fn after(mut self, mut before: Vec<Wanted>) -> Self {
        before.append(&mut self.served);
        Self { served: before, ..self }
    }

    /// The connection is closed after the answer.
    pub fn closed(self) -> Self {
        Self { is_closed: true, ..self }
    }

    /// The refusal may leave the connection usable, because the request ends where it seems to.
    pub fn or_kept(self) -> Self {
        Self { may_be_kept: true, ..self }
    }

    /// It may as well be refused, with a 4xx.
    pub fn or_refused(self) -> Self {
        Self { may_be_refused: true, ..self }
    }
}

/// Runs every row twice, sent at once and sent in small pieces, and insists that all is as the table says.
pub fn run(rows: &[Row]) {
    let wire = Wire::start();
    let mut wrong = Vec::new();
    for row in rows {
        if wrong.len() > MOST_FAULTS {
            wrong.push("and so on".to_owned());
            break;
        }
        for (way, size) in [("at once", row.sent.len()), ("in pieces", (row.sent.len() / 200).max(1))] {
            let mut faults = Vec::new();
            try_row(&wire, row, size, &mut faults);
            if !faults.is_empty() {
                // Its connection may end late and leave a line behind, which is not the next row's.
                pause(PATIENCE);
            }
            wrong.extend(faults.iter().map(|fault| format!("{} ({way}): {fault}", row.name)));
        }
    }
    let faults = wire.upstream.faults();
    assert!(faults.is_empty(), "the upstream got what is no HTTP: {faults:?}");
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), 2 * rows.len(), wrong.join("\n"));
}

fn try_row(wire: &Wire, row: &Row, piece: usize, faults: &mut Vec<String>) {
    wire.process.stdout().clear();
    wire.upstream.take();
    let bytes_before = wire.upstream.bytes();
    let mut client = Connection::open(wire.process.gw_address());
    for bytes in row.sent.chunks(piece) {
        if !client.send(bytes) {
            break;
        }
    }
    let mut expected = row.served.len() + usize::from(!row.refusal.is_empty());
    let mut is_closed = row.is_closed;
    let has = |count: usize| move |read: &[u8]| whole_answers(read).is_none_or(|answers| answers.len() >= count);
    client.read_until(PATIENCE, has(expected));
    let is_refused = row.may_be_refused
        && whole_answers(client.received()).and_then(|mut all| all.pop()).is_some_and(|a| a.status() / 100 == 4);
    let mut served = row.served.clone();
    if is_refused {
        served.pop();
    }
    if is_refused || row.may_be_kept {
        is_closed = client.text().to_lowercase().contains("connection: close");
    }
    if is_closed {
        client.read_to_end(PATIENCE);
        if client.end() != End::Closed {
            faults.push(format!("the connection is {:?} and not closed", client.end()));
        }
    } else {
        client.send(AFTER);
        client.read_until(PATIENCE, has(expected + 1));
        served.push(wanted("GET", "/after"));
        expected += 1;
    }
    check_answers(&client, row, served.len(), expected, faults);
    check_upstream(wire, &served, row.may_begin, faults);
    if served.is_empty() && !row.may_begin && wire.upstream.bytes() > bytes_before {
        faults.push(format!("the upstream got {} bytes", wire.upstream.bytes() - bytes_before));
    }
    check_log(wire, expected, faults);
}

/// The final answers that are complete; none when the bytes are no HTTP.
fn whole_answers(bytes: &[u8]) -> Option<Vec<Message>> {
    let answers = Message::answers(bytes, false).ok()?;
    Some(answers.into_iter().filter(|answer| answer.is_complete && !answer.is_interim()).collect())
}

fn check_answers(client: &Connection, row: &Row, good: usize, expected: usize, faults: &mut Vec<String>) {
    let mut answers = match Message::answers(client.received(), false) {
        Ok(answers) => answers,
        Err(fault) => return faults.push(format!("the answer is no HTTP ({fault}): {:?}", client.text())),
    };
    let used: usize = answers.iter().map(|answer| answer.size).sum();
    answers.retain(|answer| !answer.is_interim());
    let statuses: Vec<_> = answers.iter().map(Message::status).collect();
    let is_expected = statuses.len() == expected
        && answers.iter().all(|answer| answer.is_complete)
        && statuses.iter().take(good.min(row.served.len())).all(|status| *status == 200);
    if !is_expected || used != client.received().len() {
        let shown: String = client.text().chars().take(300).collect();
        return faults.push(format!("{expected} answers wanted, got {statuses:?}: {shown:?}"));
    }
    if row.refusal.is_empty() {
        return;
    }
    if let Some(last) = answers.get(row.served.len()) {
        if !row.refusal.contains(&last.status()) {
            faults.push(format!("refused with {} instead of {:?}", last.status(), row.refusal));
        }
        if !row.may_be_kept && last.field("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            faults.push("the refusal does not say Connection: close".to_owned());
        }
    }
}

fn check_upstream(wire: &Wire, served: &[Wanted], may_begin: bool, faults: &mut Vec<String>) {
    let requests = wire.upstream.requests();
    let seen: Vec<_> = requests.iter().filter(|request| request.is_complete || !may_begin).collect();
    let is_same = seen.len() == served.len()
        && seen.iter().zip(served).all(|(request, wanted)| {
            request.method() == wanted.method
                && request.target() == wanted.target
                && request.framing == wanted.framing
                && request.body == wanted.body
        });
    if !is_same {
        let shown: Vec<_> = seen.iter().map(|r| (&r.start, r.framing, String::from_utf8_lossy(&r.body))).collect();
        faults.push(format!("the upstream got {shown:?} instead of {served:?}"));
    }
}

/// One line for each answer, and none more: a request of its own comes behind, and by the time it has its line a surplus
/// one would be there too.
fn check_log(wire: &Wire, expected: usize, faults: &mut Vec<String>) {
    within(PATIENCE, || (wire.access_lines() >= expected).then_some(()));
    wire.process.get("/orders/marker").send().is(200);
    eventually(PATIENCE, "the marker in the log", || {
        wire.process.stdout().text().contains("/orders/marker").then_some(())
    });
    let lines = wire.access_lines() - 1;
    if lines != expected {
        faults.push(format!("{lines} access lines instead of {expected}"));
    }
}
