//! The log: one line per event on standard output, in JSON or plain text, through a bounded queue.
//!
//! A slow reader never blocks a request: lines that find the queue full are dropped and counted. Access lines come by
//! the page, see [`super::local`].

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::Line;

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// `time LEVEL message field=value`.
    Plain,
}

/// The most that waits to be written: pages or single lines, and bytes.
const MOST_WAITING: usize = 16_384;
const MOST_BYTES: usize = 16 * 1024 * 1024;

enum Message {
    Lines(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes finished lines and writes them from a thread of its own.
#[derive(Debug, Clone)]
pub struct Sink {
    queue: SyncSender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
    /// The form of the lines.
    pub format: LogFormat,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message")
    }
}

impl Sink {
    /// A sink that writes to standard output.
    pub fn stdout(format: LogFormat) -> io::Result<Self> {
        Self::new(format, io::stdout())
    }

    fn new(format: LogFormat, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, messages) = sync_channel(MOST_WAITING);
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let waiting = waiting_bytes.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&messages, out, &waiting))?;
        Ok(Self { queue, waiting_bytes, dropped: Arc::default(), format })
    }

    /// Hands `count` lines over; drops them when too much is waiting.
    pub fn lines(&self, lines: Vec<u8>, count: u64) {
        let size = lines.len();
        let waiting = self.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > MOST_BYTES || self.queue.try_send(Message::Lines(lines)).is_err() {
            self.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything handed over so far is written, two seconds at most.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(Duration::from_secs(2));
        }
    }
}

/// How long the writer rests after it has written everything. While it rests a new line wakes nobody up, which is most
/// of what a line would cost its request; and nobody reads a log to the millisecond.
const REST: Duration = Duration::from_millis(2);

#[expect(clippy::disallowed_methods, reason = "this thread does nothing but write the log, and may sleep")]
fn write_lines(messages: &Receiver<Message>, out: impl Write, waiting_bytes: &AtomicUsize) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = messages.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Lines(lines) => {
                    // A closed standard output must not stop the gateway.
                    let _ = out.write_all(&lines);
                    waiting_bytes.fetch_sub(lines.len(), Ordering::Relaxed);
                }
                Message::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.send(());
                }
            }
            next = messages.try_recv().ok();
        }
        let _ = out.flush();
        std::thread::sleep(REST);
    }
}

/// Writes `tracing` events to a [`Sink`].
pub struct LineLayer(pub Sink);

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let context = event.metadata().target().split("::").next().unwrap_or_default();
        let message = fields.message;
        let fields = fields.others;
        let mut text = Vec::with_capacity(256);
        let mut line = Line::of_event(&mut text, self.0.format, level, context, &message);
        for (name, value) in &fields {
            line.field(name, value);
        }
        line.finish();
        self.0.lines(text, 1);
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => drop(self.others.insert(name.to_owned(), Value::String(text))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => drop(self.others.insert(name.to_owned(), value.into())),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_costs_lines_and_no_more_memory() {
        let out = Out::default();
        let sink = Sink::new(LogFormat::Plain, out.clone()).expect("a thread can be started");
        let page = || b"line\n".repeat(20_000);
        let pages = 4 * MOST_BYTES / page().len();
        let reader = out.0.lock().expect("nobody panics while writing");
        for _ in 0..pages {
            sink.lines(page(), 20_000);
        }
        let waiting = sink.waiting_bytes.load(Ordering::Relaxed);
        assert!((MOST_BYTES - page().len()..=MOST_BYTES).contains(&waiting), "{waiting}");
        drop(reader);
        sink.flush();
        let written = out.0.lock().expect("nobody panics while writing").len() as u64 / 5;
        assert_eq!(written + sink.dropped(), 20_000 * pages as u64);
        assert_eq!(sink.waiting_bytes.load(Ordering::Relaxed), 0);
    }
}
