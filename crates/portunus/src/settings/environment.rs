//! The layer of the environment.

use std::ffi::OsString;

use super::layers::Source;
use super::value::Raw;
use super::{VARIABLES, Variable, by_name};
use crate::fault::Faults;

/// Variables of the commands that talk to a running process; a process that serves may see them too.
pub const CLIENT: &[&str] =
    &["PORTUNUS_URL", "PORTUNUS_TOKEN", "PORTUNUS_CLIENT_ID", "PORTUNUS_CONFIG", "PORTUNUS_UPDATE_URL"];

/// What variables begin with that hold secrets of resources and no settings: the default of `secret_env_prefix`.
const FOR_RESOURCES: &str = "PORTUNUS_REF_";

/// Variables that other gateways know and that would be missed if they were passed over in silence.
const REFUSED: &[(&str, &str)] = &[(
    "REDIS_URL",
    "this version shares no state through Redis; limits are kept in this process, so leave REDIS_URL out",
)];

/// The settings of the environment. Aliases come first, so that a setting's own name wins over them.
pub fn read(environment: Vec<(OsString, OsString)>, faults: &mut Faults) -> Vec<(&'static Variable, Source, Raw)> {
    let mut variables = Vec::new();
    for (name, value) in environment {
        let name = name.to_string_lossy().into_owned();
        if value.is_empty() {
            continue;
        }
        if let Some((_, sentence)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            faults.push(format!("{name}: {sentence}"));
        }
        match (by_name(&name), value.into_string()) {
            (Some(variable), Ok(text)) => variables.push((variable, name, text)),
            (Some(_), Err(_)) => faults.push(format!("{name}: the value is not valid UTF-8")),
            (None, text) => {
                let text = text.unwrap_or_default();
                let is_other = name.starts_with(FOR_RESOURCES) || CLIENT.contains(&name.as_str());
                if name.starts_with("PORTUNUS_") && !is_other && !is_service_link(&name, &text) {
                    faults.push(unknown(&name));
                }
            }
        }
    }
    variables.sort_by_key(|(variable, name, _)| variable.name == name);
    variables.into_iter().map(|(variable, name, text)| (variable, Source::Environment(name), Raw::Text(text))).collect()
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).chain(CLIENT.iter().copied()).collect();
    match similar::get_close_matches(name, &known, 1, 0.7).first() {
        Some(close) => format!("{name}: there is no such setting; did you mean {close}?"),
        None => format!("{name}: there is no such setting; `portunus config show` lists them all"),
    }
}

/// Whether Kubernetes made the variable, as it does for every service whose name begins with `portunus`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_link = |text: &str| text.starts_with("tcp://") || text.starts_with("udp://");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["_TCP", "_UDP", "_PORT"].iter().any(|end| name.ends_with(end)) && is_link(value)
        || ["_PROTO", "_PORT", "_ADDR"].iter().any(|end| {
            name.strip_suffix(end)
                .is_some_and(|rest| rest.contains("_PORT_") && (rest.ends_with("_TCP") || rest.ends_with("_UDP")))
        })
}
