//! The log: one line per event on standard output, in JSON or plain text, through a bounded queue.
//!
//! A slow reader never blocks a request: lines that find the queue full are dropped and counted.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock;

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

const QUEUE: usize = 65_536;

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes finished lines and writes them from a thread of its own.
#[derive(Debug, Clone)]
pub struct Sink {
    queue: SyncSender<Message>,
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
        let (queue, lines) = sync_channel(QUEUE);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&lines))?;
        Ok(Self { queue, dropped: Arc::default(), format })
    }

    /// Hands a line over; drops it when the queue is full.
    pub fn line(&self, line: Vec<u8>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
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
fn write_lines(lines: &Receiver<Message>) {
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout());
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                // A closed standard output must not stop the gateway.
                Message::Line(line) => drop(out.write_all(&line)),
                Message::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.send(());
                }
            }
            next = lines.try_recv().ok();
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
        let mut line = Line::new(self.0.format, level, context, &message);
        for (name, value) in &fields {
            line.json(name, value);
        }
        self.0.line(line.finish());
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

/// One line under construction.
pub struct Line {
    format: LogFormat,
    text: String,
}

impl Line {
    /// Begins a line.
    pub fn new(format: LogFormat, level: tracing::Level, context: &str, message: &str) -> Self {
        let mut text = String::with_capacity(384);
        let time = clock::now();
        match format {
            LogFormat::Json => {
                let level = match level {
                    tracing::Level::ERROR => "error",
                    tracing::Level::WARN => "warn",
                    tracing::Level::INFO => "info",
                    tracing::Level::DEBUG => "debug",
                    tracing::Level::TRACE => "trace",
                };
                let _ = write!(
                    text,
                    "{{\"timestamp\":\"{time:.6}\",\"level\":\"{level}\",\"context\":\"{context}\",\"message\":"
                );
                escape(&mut text, message);
            }
            LogFormat::Plain => {
                let _ = write!(text, "{time:.3} {level:<5} {}", message.escape_debug());
            }
        }
        Self { format, text }
    }

    /// Adds a text field.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        match self.format {
            LogFormat::Json => {
                let _ = write!(self.text, ",\"{name}\":");
                escape(&mut self.text, value);
            }
            LogFormat::Plain => {
                let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
                let _ = if is_plain {
                    write!(self.text, " {name}={value}")
                } else {
                    write!(self.text, " {name}={value:?}")
                };
            }
        }
        self
    }

    /// Adds a field whose value needs no quotes and no escaping.
    pub fn bare(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        let _ = match self.format {
            LogFormat::Json => write!(self.text, ",\"{name}\":{value}"),
            LogFormat::Plain => write!(self.text, " {name}={value}"),
        };
        self
    }

    fn json(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) => self.text(name, text),
            other => self.bare(name, other),
        };
    }

    /// The finished line.
    pub fn finish(mut self) -> Vec<u8> {
        self.text.push_str(match self.format {
            LogFormat::Json => "}\n",
            LogFormat::Plain => "\n",
        });
        self.text.into_bytes()
    }
}

fn escape(text: &mut String, value: &str) {
    let plain = value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if plain {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::to_string(value).expect("a string serialises to JSON"));
    }
}
