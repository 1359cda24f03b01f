//! The settings of a process: one struct, one table.
//!
//! [`settings!`] declares both. From a row of the table follow the field of [`Settings`], the key of the settings file, the
//! environment variable, the flag of `portunus serve`, the reference page, the JSON Schema and `portunus config show`.
//! [`layers`] fills the struct: file < environment < flags.

mod check;
pub mod choice;
pub mod database_url;
mod environment;
pub mod file;
pub mod flags;
pub mod layers;
pub mod log_filter;
pub mod reference;
#[cfg(test)]
mod tests;
pub mod value;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde_json::Value;

use choice::{Expose, LogFormat, LogLevel};
use database_url::DatabaseUrl;
use log_filter::LogFilter;
use value::{Raw, Setting};

/// How a setting can be given besides the file and the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By this flag of `portunus serve`, with what the help calls its value.
    Flag(&'static str, &'static str),
    /// Not at all: a command line can be read by everyone on the machine. It is masked wherever it would be shown.
    Secret,
    /// Not at all: nobody types it.
    NoFlag,
}

/// A row of the table.
#[derive(Debug)]
pub struct Variable {
    /// The key in the settings file, and the field of [`Settings`].
    pub key: &'static str,
    /// The environment variable.
    pub name: &'static str,
    /// Other environment variables that mean the same; `name` wins over them.
    pub aliases: &'static [&'static str],
    /// The flag, if there is one.
    pub way: Way,
    /// What it means: the lines of the field's documentation.
    pub meaning: &'static [&'static str],
    /// The default, as it would be written; empty for none.
    pub default: &'static str,
    /// What a value looks like.
    pub expects: &'static str,
    /// Sets the field; the error says what is wrong with the value.
    pub set: fn(&mut Settings, &Raw) -> Result<(), String>,
    /// The field as JSON.
    pub get: fn(&Settings) -> Value,
    /// The JSON Schema of the key in the settings file.
    pub schema: fn() -> Value,
}

impl Variable {
    /// Whether its value must not be shown.
    pub fn is_secret(&self) -> bool {
        self.way == Way::Secret
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        (self.schema)().get("anyOf").is_some()
    }

    /// What it means, as one text.
    pub fn meaning(&self) -> String {
        self.meaning.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}

macro_rules! settings {
    ($( $(#[doc = $meaning:literal])+ $key:ident: $type:ty = $default:literal {
        env $name:literal $(or $alias:literal)*; $way:ident $(($flag:literal, $value:literal))?
    } )+) => {
        /// The settings of a process, checked and complete.
        pub struct Settings {
            $( $(#[doc = $meaning])+ pub $key: $type, )+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $( $key: <$type as Setting>::parse(&Raw::Text($default.to_owned())).expect("the default of a setting is valid"), )+
                }
            }
        }

        /// Every setting, in the order of the reference page.
        pub const VARIABLES: &[Variable] = &[
            $( Variable {
                key: stringify!($key),
                name: $name,
                aliases: &[$($alias),*],
                way: Way::$way $(($flag, $value))?,
                meaning: &[$($meaning),+],
                default: $default,
                expects: <$type as Setting>::EXPECTS,
                set: |settings, raw| {
                    settings.$key = Setting::parse(raw)?;
                    Ok(())
                },
                get: |settings| settings.$key.json(),
                schema: <$type as Setting>::schema,
            }, )+
        ];
    };
}

settings! {
    /// Folder of the store and of the keys that Portunus makes for itself. It is created if it does not exist.
    data_dir: PathBuf = "./data" { env "PORTUNUS_DATA_DIR"; Flag("data-dir", "DIR") }

    /// The store: `sqlite://PATH`. Without it, `portunus.db` in the data folder.
    database_url: Option<DatabaseUrl> = "" { env "DATABASE_URL"; Flag("database-url", "URL") }

    /// Address of the gateway listener, which carries the traffic. Port 0 lets the system choose one.
    listen: SocketAddr = "0.0.0.0:8080" { env "PORTUNUS_LISTEN"; Flag("listen", "ADDRESS") }

    /// Address of the control listener, which carries the API and the metrics. Port 0 lets the system choose one.
    control_listen: SocketAddr = "127.0.0.1:8000" { env "PORTUNUS_CONTROL_LISTEN"; Flag("control-listen", "ADDRESS") }

    /// What the gateway listener answers besides the traffic: `health`, `metrics`, `all` or `none`.
    gateway_expose: BTreeSet<Expose> = "health" { env "PORTUNUS_GATEWAY_EXPOSE"; Flag("gateway-expose", "WHAT") }

    /// Manifests to apply at every start: files, or folders with `.yaml`, `.yml` and `.json` files.
    manifests: Vec<PathBuf> = "" { env "PORTUNUS_MANIFESTS"; Flag("manifests", "FILE|DIR") }

    /// Key that access tokens are signed with, at least 16 characters. Without it, one is made in the data folder.
    secret_key: Option<String> = "" { env "PORTUNUS_SECRET_KEY"; Secret }

    /// Password of the user `admin` at the first start. Without it, one is made and shown once.
    admin_password: Option<String> = "" { env "PORTUNUS_ADMIN_PASSWORD"; Secret }

    /// Secret of the client `control-plane-api` at the first start. Without it, one is made and shown once.
    client_secret: Option<String> = "" { env "PORTUNUS_CLIENT_SECRET"; Secret }

    /// Proxies in front of Portunus, as addresses or networks. Only from them are `X-Forwarded-*` fields believed.
    trusted_proxies: Vec<IpNet> = "" { env "PORTUNUS_TRUSTED_PROXIES"; Flag("trusted-proxies", "NETWORK") }

    /// Worker threads of the gateway. 0 means one for each core.
    workers: usize = "0" { env "PORTUNUS_WORKERS" or "THREADS"; Flag("workers", "NUMBER") }

    /// How many seconds an access token for the control plane lives.
    access_token_seconds: u64 = "300" { env "PORTUNUS_ACCESS_TOKEN_SECONDS"; Flag("access-token-seconds", "SECONDS") }

    /// How many seconds the requests that are being answered get to finish when the process is asked to stop.
    drain_seconds: u64 = "10" { env "PORTUNUS_DRAIN_SECONDS"; Flag("drain-seconds", "SECONDS") }

    /// Filter of the log, such as `info,gateway=debug`. Wins over the log level.
    log: Option<LogFilter> = "" { env "PORTUNUS_LOG"; Flag("log", "FILTER") }

    /// How much is logged: `trace`, `debug`, `info`, `warn`, `error` or `off`.
    log_level: LogLevel = "info" { env "LOG_LEVEL"; Flag("log-level", "LEVEL") }

    /// Form of the log: `json`, one object a line, or `plain`, for people.
    log_format: LogFormat = "json" { env "LOG_FORMAT"; Flag("log-format", "FORM") }

    /// A request for this path panics on purpose, to rehearse the alarm. Off by default.
    drill_panic_path: Option<String> = "" { env "PORTUNUS_DRILL_PANIC_PATH"; NoFlag }
}

impl Settings {
    /// The file of the SQLite store.
    pub fn database_path(&self) -> PathBuf {
        match &self.database_url {
            Some(DatabaseUrl(path)) => path.clone(),
            None => self.data_dir.join("portunus.db"),
        }
    }

    /// The filter of the log: the given one, else the log level for Portunus and warnings of its libraries.
    pub fn log_filter(&self) -> String {
        match &self.log {
            Some(LogFilter(filter)) => filter.clone(),
            // What libraries tell at `debug` and below is not about the traffic.
            None => {
                let of_libraries = self.log_level.max(LogLevel::Warn);
                let of_portunus = ["gateway", "control", "portunus"].map(|part| format!("{part}={}", self.log_level));
                format!("{of_libraries},{}", of_portunus.join(","))
            }
        }
    }
}

/// The setting of that environment variable, by its name or an alias.
pub fn by_name(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name || variable.aliases.contains(&name))
}

/// The setting of that key of the settings file.
pub fn by_key(key: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.key == key)
}
