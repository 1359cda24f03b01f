//! What must hold between settings, and what depends on the machine.

use std::ops::RangeInclusive;
use std::thread::available_parallelism;

use portunus_gateway::http1::head::MOST_LINES;

use super::Settings;
use super::choice::Environment;
use super::layers::Loaded;
use crate::fault::Faults;

const MOST_WORKERS: usize = 1024;
const LONGEST_DRAIN: u64 = 3600;
const LONGEST_TOKEN: u64 = 86_400;
/// 90 days.
const LONGEST_REFRESH: u64 = 90 * 86_400;
const SHORTEST_KEY: usize = 16;
const SHORTEST_ADMIN_KEY: usize = 32;
const SHORTEST_KEY_IN_PRODUCTION: usize = 32;

/// Completes the settings and adds what is wrong with them.
pub fn check(loaded: &mut Loaded, faults: &mut Faults) {
    let settings = &loaded.settings;
    let mut fault = |key: &str, wrong: String| faults.push(format!("{}: {wrong}", loaded.place(key)));

    if settings.listen == settings.control_listen && settings.listen.port() != 0 {
        fault("control_listen", format!("{} is the address of the gateway listener already", settings.listen));
    }
    if settings.secret_key.as_ref().is_some_and(|key| key.chars().count() < SHORTEST_KEY) {
        fault("secret_key", format!("the key is shorter than {SHORTEST_KEY} characters"));
    }
    let shortest = match settings.environment {
        Environment::Development => SHORTEST_KEY,
        Environment::Production => SHORTEST_KEY_IN_PRODUCTION,
    };
    if settings.jwt_secret_key.as_ref().is_some_and(|key| key.chars().count() < shortest) {
        fault("jwt_secret_key", format!("the key is shorter than {shortest} characters"));
    }
    if settings.admin_api_key.as_ref().is_some_and(|key| key.chars().count() < SHORTEST_ADMIN_KEY) {
        fault(
            "admin_api_key",
            format!("the key is shorter than {SHORTEST_ADMIN_KEY} characters; `openssl rand -base64 32` makes one"),
        );
    }
    if settings.admin_api_key.as_ref().is_some_and(|key| key.bytes().any(|byte| !byte.is_ascii_graphic())) {
        fault(
            "admin_api_key",
            "the key has characters that no header carries; use visible ASCII characters".to_owned(),
        );
    }
    if settings.workers > MOST_WORKERS {
        fault("workers", format!("{} is more than {MOST_WORKERS}", settings.workers));
    }
    if settings.drain_seconds > LONGEST_DRAIN {
        fault("drain_seconds", format!("{} is more than {LONGEST_DRAIN}", settings.drain_seconds));
    }
    for (key, value, range) in bounded(settings) {
        if !range.contains(&value) {
            fault(key, format!("{value} is not from {} to {}", range.start(), range.end()));
        }
    }
    let lifetimes = [
        ("auth_expire_time", settings.people_token_seconds(), LONGEST_TOKEN),
        ("auth_refresh_expire_time", settings.refresh_token_seconds(), LONGEST_REFRESH),
    ];
    for (key, seconds, most) in lifetimes {
        if !(1..=most).contains(&seconds) {
            fault(key, format!("{seconds} seconds are not from 1 to {most}"));
        }
    }
    if let Some(path) = settings.drill_panic_path.as_ref().filter(|path| !path.starts_with('/')) {
        fault("drill_panic_path", format!("\"{path}\" does not begin with a slash"));
    }
    for path in settings.manifests.iter().filter(|path| !path.exists()) {
        fault("manifests", format!("{} does not exist", path.display()));
    }

    if loaded.settings.workers == 0 {
        loaded.settings.workers = available_parallelism().map_or(1, usize::from);
    }
}

/// The numbers that have a range.
fn bounded(settings: &Settings) -> Vec<(&'static str, u64, RangeInclusive<u64>)> {
    const LONGEST_TIMEOUT: u64 = 86_400_000;
    let timeout = |key, value| (key, value, 1..=LONGEST_TIMEOUT);
    vec![
        ("access_token_seconds", settings.access_token_seconds, 1..=LONGEST_TOKEN),
        ("signing_key_days", settings.signing_key_days, 1..=3650),
        ("audit_checkpoint_seconds", settings.audit_checkpoint_seconds, 1..=86_400),
        ("audit_retention_days", settings.audit_retention_days, 0..=36_500),
        ("max_head_bytes", settings.max_head_bytes as u64, 1024..=1024 * 1024),
        ("max_head_fields", settings.max_head_fields as u64, 1..=MOST_LINES as u64),
        ("max_uri_bytes", settings.max_uri_bytes as u64, 256..=1024 * 1024),
        ("max_streams_per_connection", settings.max_streams_per_connection.into(), 1..=10_000),
        timeout("first_byte_timeout_ms", settings.first_byte_timeout_ms),
        timeout("head_timeout_ms", settings.head_timeout_ms),
        timeout("body_timeout_ms", settings.body_timeout_ms),
        timeout("write_timeout_ms", settings.write_timeout_ms),
        timeout("idle_timeout_ms", settings.idle_timeout_ms),
        timeout("websocket_timeout_ms", settings.websocket_timeout_ms),
        timeout("half_close_timeout_ms", settings.half_close_timeout_ms),
    ]
}
