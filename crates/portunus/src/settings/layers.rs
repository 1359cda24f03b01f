//! Fills [`Settings`]: defaults < file < environment < flags, and finds every fault on the way.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::value::Raw;
use super::{Settings, VARIABLES, Variable, Way, check, environment, file};
use crate::fault::Faults;

/// What a process was given.
#[derive(Debug, Default)]
pub struct Given {
    /// The settings file.
    pub config: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The flags.
    pub flags: Vec<(&'static Variable, Raw)>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody gave one.
    Default,
    /// A line of the settings file.
    File {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(&'static str),
}

impl Source {
    /// Whether nobody gave a value.
    pub fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file} line {line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
        }
    }
}

/// Settings, and the source of each in the order of [`VARIABLES`].
#[derive(Default)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Where each comes from.
    pub sources: Vec<Source>,
}

impl Loaded {
    fn new() -> Self {
        Self { settings: Settings::default(), sources: vec![Source::Default; VARIABLES.len()] }
    }

    /// How a fault names the setting `key`: as the person who gave it knows it.
    pub fn place(&self, key: &str) -> String {
        let given = VARIABLES.iter().zip(&self.sources).find(|(variable, _)| variable.key == key);
        given.map_or_else(|| key.to_owned(), |(variable, source)| place(variable, source))
    }

    /// Sets one field, unless the value is empty, which means that it is not given.
    fn set(&mut self, variable: &'static Variable, source: Source, raw: Raw) -> Result<(), String> {
        let raw = match raw {
            Raw::Text(text) => {
                Raw::Text(contents(&text).map_err(|wrong| format!("{}: {wrong}", place(variable, &source)))?)
            }
            list @ Raw::List(_) => list,
        };
        if raw == Raw::Text(String::new()) {
            return Ok(());
        }
        (variable.set)(&mut self.settings, &raw).map_err(|wrong| format!("{}: {wrong}", place(variable, &source)))?;
        let index = VARIABLES.iter().position(|other| other.key == variable.key);
        self.sources[index.expect("every variable stands in the table")] = source;
        Ok(())
    }
}

fn place(variable: &Variable, source: &Source) -> String {
    match source {
        Source::Default => variable.name.to_owned(),
        Source::File { .. } => format!("{source}: {}", variable.key),
        Source::Environment(name) => name.clone(),
        Source::Flag(flag) => format!("--{flag}"),
    }
}

/// The settings, or everything that is wrong with what was given.
pub fn load(given: Given) -> Result<Loaded, Faults> {
    let mut faults = Faults::default();
    let mut values = Vec::new();
    if let Some(config) = &given.config {
        values.append(&mut file::read(config, &mut faults));
    }
    values.append(&mut environment::read(given.environment, &mut faults));
    for (variable, raw) in given.flags {
        if let Way::Flag(flag, _) = variable.way {
            values.push((variable, Source::Flag(flag), raw));
        }
    }

    let mut loaded = Loaded::new();
    for (variable, source, raw) in values {
        if let Err(wrong) = loaded.set(variable, source, raw) {
            faults.push(wrong);
        }
    }
    check::check(&mut loaded, &mut faults);
    faults.or(loaded)
}

/// The value itself, or for `file:/path` what stands in that file, without the line end at its end.
pub fn contents(value: &str) -> Result<String, String> {
    let Some(path) = value.strip_prefix("file:") else { return Ok(value.to_owned()) };
    let path = path.strip_prefix("//").unwrap_or(path);
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(format!("{path} is empty")),
        Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
        Err(error) => Err(format!("cannot read {path}: {}", plain(&error))),
    }
}

/// An error of the operating system without its number.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
