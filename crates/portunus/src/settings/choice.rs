//! Settings that are one word of a few, or several of them.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::value::{Raw, Setting, list_of, scalar};

/// An enum whose values are words, given one by one or as a list.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $type:ident, $expects:literal, $( $(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal, )+) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $type {
            $( $(#[doc = $variant_doc])+ $variant, )+
        }

        impl $type {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }

        impl Setting for $type {
            const EXPECTS: &'static str = $expects;

            fn parse(raw: &Raw) -> Result<Self, String> {
                scalar(raw, |text| Self::ALL.iter().find(|value| value.to_string().eq_ignore_ascii_case(text)).copied())
            }

            fn json(&self) -> Value {
                self.to_string().into()
            }

            fn schema() -> Value {
                json!({"type": "string", "enum": [$($word),+]})
            }
        }
    };
}

words! {
    /// How much is logged.
    LogLevel, "one of trace, debug, info, warn, error, off",
    /// Every step.
    Trace = "trace",
    /// Decisions too.
    Debug = "debug",
    /// What happened.
    Info = "info",
    /// What somebody should look at.
    Warn = "warn",
    /// What failed.
    Error = "error",
    /// Nothing.
    Off = "off",
}

words! {
    /// The form of the log.
    LogFormat, "one of json, plain",
    /// One JSON object a line.
    Json = "json",
    /// For people.
    Plain = "plain",
}

words! {
    /// Where the process runs.
    Environment, "one of development, production",
    /// On somebody's desk, or in a test.
    Development = "development",
    /// Where others depend on it.
    Production = "production",
}

words! {
    /// What the gateway listener can answer besides the traffic.
    Expose, "one of health, metrics",
    /// `GET /health`.
    Health = "health",
    /// `GET /metrics`.
    Metrics = "metrics",
}

words! {
    /// The unit of a time.
    TimeUnit, "one of seconds, minutes, hours, days, weeks",
    /// 1 second.
    Seconds = "seconds",
    /// 60 seconds.
    Minutes = "minutes",
    /// 60 minutes.
    Hours = "hours",
    /// 24 hours.
    Days = "days",
    /// 7 days.
    Weeks = "weeks",
}

impl TimeUnit {
    /// How many seconds it has.
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
            Self::Weeks => 604_800,
        }
    }
}

impl Setting for BTreeSet<Expose> {
    const EXPECTS: &'static str = "a list of health and metrics, or all, or none";

    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw.items().as_slice() {
            [word] if word.eq_ignore_ascii_case("all") => return Ok(Expose::ALL.iter().copied().collect()),
            [word] if word.eq_ignore_ascii_case("none") => return Ok(Self::new()),
            _ => {}
        }
        let read = |item: &str| Expose::parse(&Raw::Text(item.to_owned())).ok();
        match raw.items().into_iter().find(|item| read(item).is_none()) {
            Some(wrong) => Err(format!("\"{wrong}\" is not known here; give {}", Self::EXPECTS)),
            None => Ok(raw.items().into_iter().filter_map(read).collect()),
        }
    }

    fn json(&self) -> Value {
        self.iter().map(ToString::to_string).collect()
    }

    fn schema() -> Value {
        list_of(&json!({"type": "string", "enum": ["health", "metrics", "all", "none"]}))
    }
}
