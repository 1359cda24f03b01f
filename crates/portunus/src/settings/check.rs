//! What must hold between settings, and what depends on the machine.

use std::thread::available_parallelism;

use super::layers::Loaded;
use crate::fault::Faults;

const MOST_WORKERS: usize = 1024;
const LONGEST_DRAIN: u64 = 3600;
const LONGEST_TOKEN: u64 = 86_400;
const SHORTEST_KEY: usize = 16;

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
    if settings.workers > MOST_WORKERS {
        fault("workers", format!("{} is more than {MOST_WORKERS}", settings.workers));
    }
    if settings.drain_seconds > LONGEST_DRAIN {
        fault("drain_seconds", format!("{} is more than {LONGEST_DRAIN}", settings.drain_seconds));
    }
    if !(1..=LONGEST_TOKEN).contains(&settings.access_token_seconds) {
        fault("access_token_seconds", format!("{} is not from 1 to {LONGEST_TOKEN}", settings.access_token_seconds));
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
