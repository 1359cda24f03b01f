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
pub mod public_url;
pub mod reference;
#[cfg(test)]
mod tests;
pub mod value;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use portunus_gateway::client::ClientLimits;
use portunus_gateway::secret::reference::References;
use serde_json::Value;

use choice::{Environment, Expose, LogFormat, LogLevel, TimeUnit};
use database_url::DatabaseUrl;
use log_filter::LogFilter;
use public_url::PublicUrl;
use value::{Passphrase, Raw, Setting};

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

    /// Key that the keys in the store are sealed under, at least 16 characters. Without it, one is made in the data folder.
    secret_key: Option<String> = "" { env "PORTUNUS_SECRET_KEY" or "TOKEN_ENCRYPTION_KEY"; Secret }

    /// Earlier secret keys. A start with them seals anew under the secret key what they sealed; they can go afterwards.
    previous_secret_keys: Vec<Passphrase> = "" { env "PORTUNUS_PREVIOUS_SECRET_KEYS"; Secret }

    /// Folders whose files the secrets of resources may refer to, as `file:/path`. Without it, `secrets` in the data folder
    /// and `/run/secrets`.
    secret_dirs: Vec<PathBuf> = "" { env "PORTUNUS_SECRET_DIRS"; Flag("secret-dirs", "DIR") }

    /// What the environment variables begin with that the secrets of resources may refer to, as `env:NAME`.
    secret_env_prefix: String = "PORTUNUS_REF_" { env "PORTUNUS_SECRET_ENV_PREFIX"; Flag("secret-env-prefix", "PREFIX") }

    /// Password of the user `admin` at the first start. Without it, one is made and shown once.
    admin_password: Option<String> = "" { env "PORTUNUS_ADMIN_PASSWORD"; Secret }

    /// Secret of the client `control-plane-api` at the first start. Without it, one is made and shown once.
    client_secret: Option<String> = "" { env "PORTUNUS_CLIENT_SECRET"; Secret }

    /// Key that the header `X-Admin-Key` takes, at least 32 characters. It acts as the service account `admin-key`; a new key
    /// ends the one before.
    admin_api_key: Option<String> = "" { env "PORTUNUS_ADMIN_API_KEY" or "ADMIN_API_KEY"; Secret }

    /// Proxies in front of Portunus, as addresses or networks. Only from them are `X-Forwarded-*` fields believed.
    trusted_proxies: Vec<IpNet> = "" { env "PORTUNUS_TRUSTED_PROXIES"; Flag("trusted-proxies", "NETWORK") }

    /// Worker threads of the gateway. 0 means one for each core.
    workers: usize = "0" { env "PORTUNUS_WORKERS" or "THREADS"; Flag("workers", "NUMBER") }

    /// Where the process runs. In `production` weak secrets are refused.
    environment: Environment = "development" { env "PORTUNUS_ENV" or "ENV"; Flag("env", "NAME") }

    /// URL under which the control listener is reached from outside. It is in tokens and in links, and security keys are
    /// bound to its host name. Without it, the listener's own address, and `localhost` for security keys.
    public_url: Option<PublicUrl> = "" { env "PORTUNUS_PUBLIC_URL"; Flag("public-url", "URL") }

    /// Secret whose change ends every access token, refresh token and session at the next start: at least 16 characters,
    /// 32 in production. Without it they end with their time.
    jwt_secret_key: Option<String> = "" { env "PORTUNUS_JWT_SECRET_KEY" or "JWT_SECRET_KEY"; Secret }

    /// Issuer of an OpenID provider outside, such as Keycloak: people log in there, and calls with its tokens are taken.
    oidc_issuer: Option<String> = "" { env "PORTUNUS_OIDC_ISSUER" or "OIDC_ISSUER"; Flag("oidc-issuer", "URL") }

    /// The client that Portunus is at the provider outside.
    oidc_client_id: Option<String> = "" { env "PORTUNUS_OIDC_CLIENT_ID" or "OIDC_CLIENT_ID"; Flag("oidc-client-id", "NAME") }

    /// The secret of that client.
    oidc_client_secret: Option<String> = "" { env "PORTUNUS_OIDC_CLIENT_SECRET" or "OIDC_CLIENT_SECRET"; Secret }

    /// The audience that tokens of the provider outside must be for. Without it, the client.
    oidc_audience: Option<String> = "" { env "PORTUNUS_OIDC_AUDIENCE" or "OIDC_AUDIENCE"; Flag("oidc-audience", "NAME") }

    /// After how many days a new key signs access tokens. The one before stays known until its last token has expired.
    signing_key_days: u64 = "90" { env "PORTUNUS_SIGNING_KEY_DAYS"; Flag("signing-key-days", "DAYS") }

    /// Browsers reach Portunus by HTTPS alone, because a proxy in front speaks it: cookies are marked `Secure`.
    https_enabled: bool = "false" { env "PORTUNUS_HTTPS_ENABLED" or "HTTPS_ENABLED"; Flag("https-enabled", "BOOL") }

    /// How long an access token of a person lives, in units of `auth_expire_time_freq`. It ends with its session in any case.
    auth_expire_time: u64 = "30" { env "PORTUNUS_AUTH_EXPIRE_TIME" or "AUTH_EXPIRE_TIME"; Flag("auth-expire-time", "NUMBER") }

    /// The unit of `auth_expire_time`: `seconds`, `minutes`, `hours`, `days` or `weeks`.
    auth_expire_time_freq: TimeUnit = "minutes" { env "PORTUNUS_AUTH_EXPIRE_TIME_FREQ" or "AUTH_EXPIRE_TIME_FREQ"; Flag("auth-expire-time-freq", "UNIT") }

    /// How long a refresh token waits for its use, in units of `auth_refresh_expire_freq`.
    auth_refresh_expire_time: u64 = "7" { env "PORTUNUS_AUTH_REFRESH_EXPIRE_TIME" or "AUTH_REFRESH_EXPIRE_TIME"; Flag("auth-refresh-expire-time", "NUMBER") }

    /// The unit of `auth_refresh_expire_time`: `seconds`, `minutes`, `hours`, `days` or `weeks`.
    auth_refresh_expire_freq: TimeUnit = "days" { env "PORTUNUS_AUTH_REFRESH_EXPIRE_FREQ" or "AUTH_REFRESH_EXPIRE_FREQ"; Flag("auth-refresh-expire-freq", "UNIT") }

    /// Server for mail: `smtps://user:password@host` or `smtp://host:25`; `?tls=required` after the latter asks for STARTTLS.
    /// Without it, links to set a password are shown to the administrator who asks for them.
    smtp_url: Option<String> = "" { env "PORTUNUS_SMTP_URL" or "SMTP_URL"; Secret }

    /// Sender of mail.
    mail_from: String = "Portunus <portunus@localhost>" { env "PORTUNUS_MAIL_FROM" or "MAIL_FROM"; Flag("mail-from", "ADDRESS") }

    /// How many seconds an access token of a service account lives.
    access_token_seconds: u64 = "300" { env "PORTUNUS_ACCESS_TOKEN_SECONDS"; Flag("access-token-seconds", "SECONDS") }

    /// How many seconds the requests that are being answered get to finish when the process is asked to stop.
    drain_seconds: u64 = "10" { env "PORTUNUS_DRAIN_SECONDS"; Flag("drain-seconds", "SECONDS") }

    /// The most bytes of a request's head.
    max_head_bytes: usize = "65536" { env "PORTUNUS_MAX_HEAD_BYTES"; Flag("max-head-bytes", "BYTES") }

    /// The most header fields of a request, at most 256.
    max_head_fields: usize = "128" { env "PORTUNUS_MAX_HEAD_FIELDS"; Flag("max-head-fields", "NUMBER") }

    /// The most bytes of a request's path and query.
    max_uri_bytes: usize = "16384" { env "PORTUNUS_MAX_URI_BYTES"; Flag("max-uri-bytes", "BYTES") }

    /// The most bytes of a request's body, 1 GiB by default. 0 means no bound. A `body_limit` policy can lower it for an API.
    max_body_bytes: u64 = "1073741824" { env "PORTUNUS_MAX_BODY_BYTES"; Flag("max-body-bytes", "BYTES") }

    /// How many milliseconds a new connection may be silent.
    first_byte_timeout_ms: u64 = "10000" { env "PORTUNUS_FIRST_BYTE_TIMEOUT_MS"; Flag("first-byte-timeout-ms", "MS") }

    /// How many milliseconds the head of a request may take from its first byte to its last.
    head_timeout_ms: u64 = "10000" { env "PORTUNUS_HEAD_TIMEOUT_MS"; Flag("head-timeout-ms", "MS") }

    /// How many milliseconds a client may be silent in the middle of a body.
    body_timeout_ms: u64 = "30000" { env "PORTUNUS_BODY_TIMEOUT_MS"; Flag("body-timeout-ms", "MS") }

    /// How many milliseconds a client may take nothing of an answer.
    write_timeout_ms: u64 = "30000" { env "PORTUNUS_WRITE_TIMEOUT_MS"; Flag("write-timeout-ms", "MS") }

    /// How many milliseconds a connection may rest between two requests.
    idle_timeout_ms: u64 = "75000" { env "PORTUNUS_IDLE_TIMEOUT_MS"; Flag("idle-timeout-ms", "MS") }

    /// How many milliseconds a WebSocket may rest in both directions.
    websocket_timeout_ms: u64 = "3600000" { env "PORTUNUS_WEBSOCKET_TIMEOUT_MS"; Flag("websocket-timeout-ms", "MS") }

    /// How many milliseconds a client that has stopped sending, and so may be gone, still gets for its answer.
    half_close_timeout_ms: u64 = "2000" { env "PORTUNUS_HALF_CLOSE_TIMEOUT_MS"; Flag("half-close-timeout-ms", "MS") }

    /// The most requests on one HTTP/1 connection before it is closed. 0 means no bound.
    max_requests_per_connection: u64 = "0" { env "PORTUNUS_MAX_REQUESTS_PER_CONNECTION"; Flag("max-requests-per-connection", "NUMBER") }

    /// The most client connections; more are answered 503. 0 means no bound but that of the system.
    max_connections: usize = "0" { env "PORTUNUS_MAX_CONNECTIONS"; Flag("max-connections", "NUMBER") }

    /// The most client connections of one address, or one /64 of IPv6; more are answered 503. 0 means no bound, which is
    /// right behind a proxy or load balancer.
    max_connections_per_address: usize = "0" { env "PORTUNUS_MAX_CONNECTIONS_PER_ADDRESS"; Flag("max-connections-per-address", "NUMBER") }

    /// The most requests that are being answered at once, shared by the workers evenly; more are answered 503. 0 means no
    /// bound.
    max_requests_in_flight: usize = "20000" { env "PORTUNUS_MAX_REQUESTS_IN_FLIGHT"; Flag("max-requests-in-flight", "NUMBER") }

    /// The most requests at once on one HTTP/2 connection.
    max_streams_per_connection: u32 = "128" { env "PORTUNUS_MAX_STREAMS_PER_CONNECTION"; Flag("max-streams-per-connection", "NUMBER") }

    /// File that signed checkpoints of the audit record are written to. Without it, `audit/checkpoints.jsonl` in the data
    /// folder; it protects more on another machine or disk.
    audit_checkpoints: Option<PathBuf> = "" { env "PORTUNUS_AUDIT_CHECKPOINTS"; Flag("audit-checkpoints", "FILE") }

    /// How often a checkpoint of the audit record is made, in seconds, when there is something new.
    audit_checkpoint_seconds: u64 = "60" { env "PORTUNUS_AUDIT_CHECKPOINT_SECONDS"; Flag("audit-checkpoint-seconds", "SECONDS") }

    /// After how many days rows of the audit record are moved into sealed files in the data folder. 0 means never.
    audit_retention_days: u64 = "0" { env "PORTUNUS_AUDIT_RETENTION_DAYS"; Flag("audit-retention-days", "DAYS") }

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

    /// What the secrets of resources may refer to.
    pub fn references(&self) -> References {
        let folders = match self.secret_dirs.is_empty() {
            true => vec![self.data_dir.join("secrets"), PathBuf::from("/run/secrets")],
            false => self.secret_dirs.clone(),
        };
        let folders = folders.into_iter().map(|folder| std::path::absolute(&folder).unwrap_or(folder)).collect();
        References { folders, variables: self.secret_env_prefix.clone() }
    }

    /// What a client may cost.
    pub fn client_limits(&self) -> ClientLimits {
        let ms = Duration::from_millis;
        ClientLimits {
            head_bytes: self.max_head_bytes,
            head_fields: self.max_head_fields,
            uri_bytes: self.max_uri_bytes,
            body_bytes: self.max_body_bytes,
            first_byte_timeout: ms(self.first_byte_timeout_ms),
            head_timeout: ms(self.head_timeout_ms),
            body_timeout: ms(self.body_timeout_ms),
            write_timeout: ms(self.write_timeout_ms),
            idle_timeout: ms(self.idle_timeout_ms),
            websocket_timeout: ms(self.websocket_timeout_ms),
            half_close_timeout: ms(self.half_close_timeout_ms),
            requests_per_connection: self.max_requests_per_connection,
            connections: self.max_connections,
            connections_per_address: self.max_connections_per_address,
            requests_in_flight: self.max_requests_in_flight,
            streams_per_connection: self.max_streams_per_connection,
        }
    }

    /// How many seconds the access token of a person lives.
    pub fn people_token_seconds(&self) -> u64 {
        self.auth_expire_time.saturating_mul(self.auth_expire_time_freq.seconds())
    }

    /// How many seconds a refresh token waits for its use.
    pub fn refresh_token_seconds(&self) -> u64 {
        self.auth_refresh_expire_time.saturating_mul(self.auth_refresh_expire_freq.seconds())
    }

    /// The filter of the log: the given one, else the log level for Portunus and warnings of its libraries.
    pub fn log_filter(&self) -> String {
        match &self.log {
            Some(LogFilter(filter)) => filter.clone(),
            // What libraries tell at `debug` and below is not about the traffic.
            None => {
                let of_libraries = self.log_level.max(LogLevel::Warn);
                let of_portunus = ["gateway", "control", "portunus"].map(|part| format!("{part}={}", self.log_level));
                // It calls what clients send wrongly an error of its own; we say it ourselves.
                format!("{of_libraries},webauthn_rs_core=off,{}", of_portunus.join(","))
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
