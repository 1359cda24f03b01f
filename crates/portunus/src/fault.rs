//! What can end a command: faults of the configuration, told all at once, and a call that makes no sense.

use std::fmt;
use std::process::ExitCode;

/// The exit code of a failed command.
pub const FAILED: u8 = 1;
/// The exit code of a command that was called the wrong way.
pub const USAGE: u8 = 2;
/// The exit code of a configuration that cannot be used (`EX_CONFIG` of sysexits).
pub const CONFIGURATION: u8 = 78;

/// Everything that is wrong with settings or manifests, one plain sentence each. Ends the process with 78.
#[derive(Debug, Default, PartialEq)]
pub struct Faults(Vec<String>);

impl Faults {
    /// A single fault.
    pub fn one(sentence: impl Into<String>) -> Self {
        Self(vec![sentence.into()])
    }

    /// Adds a fault.
    pub fn push(&mut self, sentence: impl Into<String>) {
        self.0.push(sentence.into());
    }

    /// Adds all of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sentences.
    pub fn sentences(&self) -> &[String] {
        &self.0
    }

    /// `value` if nothing is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

/// A failure with an exit code of its own.
#[derive(Debug)]
pub struct Exit {
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub sentence: String,
}

impl Exit {
    /// The command was called the wrong way.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self { code: USAGE, sentence: sentence.into() }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Exit {}

/// The exit code that `error` deserves.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = match error.downcast_ref::<Exit>() {
        Some(exit) => exit.code,
        None if error.is::<Faults>() => CONFIGURATION,
        None => FAILED,
    };
    ExitCode::from(code)
}

/// Whether `error` only says that the reader of our output went away, as `head` does.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
