//! Makes one line of the log, in JSON or plain text. Every request has one, so nothing here goes through `fmt` that need
//! not, and what writes a field is inlined, so that its label is a constant and no copy of unknown length.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;

use super::log::LogFormat;

/// What stands between the time and the fields, in both forms.
#[derive(Clone, Copy)]
pub struct Opening {
    /// In JSON.
    pub json: &'static str,
    /// In plain text.
    pub plain: &'static str,
}

/// The name of a field with all that stands before its value; see [`label!`].
#[derive(Clone, Copy)]
pub struct Label {
    /// Before a number in JSON.
    pub number: &'static str,
    /// Before a text in JSON.
    pub text: &'static str,
    /// In plain text.
    pub plain: &'static str,
}

/// `label!("status")` is the [`Label`] of `status`.
macro_rules! label {
    ($name:literal) => {
        $crate::telemetry::line::Label {
            number: concat!(",\"", $name, "\":"),
            text: concat!(",\"", $name, "\":\""),
            plain: concat!(" ", $name, "="),
        }
    };
}
pub(super) use label;

/// The time of day as text. It remembers the second, of which many lines share one.
pub struct TimeText {
    second: u64,
    /// `2026-11-21T09:30:00.`
    text: [u8; 20],
}

impl Default for TimeText {
    fn default() -> Self {
        Self { second: 0, text: *b"1970-01-01T00:00:00." }
    }
}

impl TimeText {
    /// The text up to the point before the fraction, and the microseconds after it with a 1 before them, so that they
    /// have all their digits.
    fn of(&mut self, unix_us: u64) -> (&[u8; 20], u64) {
        let second = unix_us / 1_000_000;
        if second != self.second {
            self.second = second;
            let time = Timestamp::from_second(second as i64).unwrap_or(Timestamp::MAX).to_string();
            let (without_zone, _) = self.text.split_at_mut(19);
            without_zone.copy_from_slice(&time.as_bytes()[..19]);
        }
        (&self.text, 1_000_000 + unix_us % 1_000_000)
    }
}

/// One line under construction, at the end of a buffer.
pub struct Line<'b> {
    format: LogFormat,
    out: &'b mut Vec<u8>,
}

impl<'b> Line<'b> {
    /// Begins a line with its time; what follows is always the same.
    pub fn begin(out: &'b mut Vec<u8>, format: LogFormat, time: &mut TimeText, unix_us: u64, opening: Opening) -> Self {
        let mut line = Self::at(out, format, time, unix_us);
        line.push(match format {
            LogFormat::Json => opening.json.as_bytes(),
            LogFormat::Plain => opening.plain.as_bytes(),
        });
        line
    }

    /// Begins the line of any event.
    pub fn of_event(out: &'b mut Vec<u8>, format: LogFormat, level: tracing::Level, context: &str, text: &str) -> Self {
        let unix_us = Timestamp::now().as_microsecond().unsigned_abs();
        let mut line = Self::at(out, format, &mut TimeText::default(), unix_us);
        match format {
            LogFormat::Json => {
                let level = level.as_str().to_ascii_lowercase();
                for part in ["\",\"level\":\"", &level, "\",\"context\":\"", context, "\",\"message\":"] {
                    line.push(part.as_bytes());
                }
                line.out.push(b'"');
                line.json_text(text);
                line.out.push(b'"');
            }
            LogFormat::Plain => {
                let _ = write!(line.out, " {level:<5} {}", text.escape_debug());
            }
        }
        line
    }

    fn at(out: &'b mut Vec<u8>, format: LogFormat, time: &mut TimeText, unix_us: u64) -> Self {
        let (second, fraction) = time.of(unix_us);
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(fraction).as_bytes();
        match format {
            LogFormat::Json => {
                out.extend_from_slice(b"{\"timestamp\":\"");
                out.extend_from_slice(second);
                out.extend_from_slice(&digits[1..7]);
            }
            LogFormat::Plain => {
                out.extend_from_slice(second);
                out.extend_from_slice(&digits[1..4]);
            }
        }
        out.push(b'Z');
        Self { format, out }
    }

    /// Adds a text field.
    #[inline(always)]
    pub fn text(&mut self, label: Label, value: &str) -> &mut Self {
        match self.format {
            LogFormat::Json => {
                self.push(label.text.as_bytes());
                self.json_text(value);
                self.out.push(b'"');
            }
            LogFormat::Plain => {
                self.push(label.plain.as_bytes());
                self.plain_text(value);
            }
        }
        self
    }

    /// Adds a text field that is known to need no escaping in either form.
    #[inline(always)]
    pub fn clean(&mut self, label: Label, value: &[u8]) -> &mut Self {
        match self.format {
            LogFormat::Json => {
                self.push(label.text.as_bytes());
                self.push(value);
                self.out.push(b'"');
            }
            LogFormat::Plain => {
                self.push(label.plain.as_bytes());
                self.push(value);
            }
        }
        self
    }

    /// Adds a number.
    #[inline(always)]
    pub fn number(&mut self, label: Label, value: u64) -> &mut Self {
        self.push(match self.format {
            LogFormat::Json => label.number.as_bytes(),
            LogFormat::Plain => label.plain.as_bytes(),
        });
        self.push(itoa::Buffer::new().format(value).as_bytes());
        self
    }

    /// Adds an address.
    pub fn address(&mut self, label: Label, value: IpAddr) -> &mut Self {
        match value {
            IpAddr::V4(v4) => {
                let (text, length) = v4_text(v4);
                self.clean(label, &text[..length])
            }
            IpAddr::V6(v6) => self.clean(label, v6.to_string().as_bytes()),
        }
    }

    /// Adds a duration with as many digits as tell something: `12ms`, `0.42ms`.
    pub fn milliseconds(&mut self, label: Label, value: Duration) -> &mut Self {
        let nanoseconds = value.as_nanos() as u64;
        let hundredths = (nanoseconds + 5_000) / 10_000;
        if hundredths < 1_000 {
            let digit = |unit: u64| b'0' + (hundredths / unit % 10) as u8;
            return self.clean(label, &[digit(100), b'.', digit(10), digit(1), b'm', b's']);
        }
        let text = format!("{}ms", (nanoseconds + 500_000) / 1_000_000);
        self.clean(label, text.as_bytes())
    }

    /// Adds a field of any name and value.
    pub fn field(&mut self, name: &str, value: &serde_json::Value) {
        match self.format {
            LogFormat::Json => {
                for part in [",\"", name, "\":"] {
                    self.push(part.as_bytes());
                }
            }
            LogFormat::Plain => {
                for part in [" ", name, "="] {
                    self.push(part.as_bytes());
                }
            }
        }
        match (value, self.format) {
            (serde_json::Value::String(text), LogFormat::Json) => {
                self.out.push(b'"');
                self.json_text(text);
                self.out.push(b'"');
            }
            (serde_json::Value::String(text), LogFormat::Plain) => self.plain_text(text),
            (other, _) => drop(write!(self.out, "{other}")),
        }
    }

    /// Ends the line.
    pub fn finish(self) {
        self.out.extend_from_slice(match self.format {
            LogFormat::Json => b"}\n",
            LogFormat::Plain => b"\n",
        });
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn plain_text(&mut self, value: &str) {
        let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if is_plain {
            self.push(value.as_bytes());
        } else {
            let _ = write!(self.out, "{value:?}");
        }
    }

    /// What stands between the quotes.
    #[inline]
    fn json_text(&mut self, value: &str) {
        if needs_escape(value.as_bytes()) {
            let quoted = serde_json::to_string(value).expect("a string serialises to JSON");
            self.push(&quoted.as_bytes()[1..quoted.len() - 1]);
        } else {
            self.push(value.as_bytes());
        }
    }
}

/// The text of an address and its length.
fn v4_text(address: Ipv4Addr) -> ([u8; 16], usize) {
    let mut text = [b'.'; 16];
    let mut length = 0;
    for octet in address.octets() {
        for (unit, at_least) in [(100, 100), (10, 10), (1, 0)] {
            if octet >= at_least {
                text[length] = b'0' + octet / unit % 10;
                length += 1;
            }
        }
        // The point is there already.
        length += 1;
    }
    (text, length - 1)
}

/// Whether JSON must escape any of these bytes. Eight are looked at at once.
#[inline]
fn needs_escape(bytes: &[u8]) -> bool {
    let (words, _) = bytes.as_chunks();
    let last = match bytes.last_chunk() {
        // It may look again at some bytes of the word before.
        Some(last) => *last,
        None => {
            let mut last = [b' '; 8];
            last[..bytes.len()].copy_from_slice(bytes);
            last
        }
    };
    word_needs_escape(last) || words.iter().any(|word| word_needs_escape(*word))
}

/// A byte is 0, or less than another, if taking that much from it borrows from its highest bit.
#[inline]
fn word_needs_escape(word: [u8; 8]) -> bool {
    const fn all(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let word = u64::from_ne_bytes(word);
    let (quote, backslash) = (word ^ all(b'"'), word ^ all(b'\\'));
    let control = word.wrapping_sub(all(0x20)) & !word;
    let quote = quote.wrapping_sub(all(1)) & !quote;
    let backslash = backslash.wrapping_sub(all(1)) & !backslash;
    (control | quote | backslash) & all(0x80) != 0
}

#[cfg(test)]
mod tests;
