//! What is written about the settings: the reference page and the JSON Schema of the settings file.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{VARIABLES, Variable, Way};

/// The JSON Schema (2020-12) of the settings file.
pub fn schema() -> Value {
    let properties: Map<String, Value> =
        VARIABLES.iter().map(|variable| (variable.key.to_owned(), property(variable))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Portunus settings",
        "description": "The settings file of `portunus serve --config`.",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(variable: &Variable) -> Value {
    let mut schema = (variable.schema)();
    // A value can stand in a file of its own, whatever its type.
    if schema.get("type").is_some_and(|kind| kind != "string") || schema.get("enum").is_some() {
        schema = json!({"anyOf": [schema, {"type": "string", "pattern": "^file:"}]});
    }
    schema["description"] = variable.meaning().into();
    if !variable.default.is_empty() {
        schema["default"] = variable.default.parse::<u64>().map_or_else(|_| variable.default.into(), Value::from);
    }
    schema
}

/// The reference page, `settings.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         A setting is given in the settings file (`--config FILE` or `PORTUNUS_CONFIG`), in the environment, or by a flag of\n\
         `portunus serve`. A flag wins over the environment, the environment wins over the file. An empty value counts as not\n\
         given. In the environment and in flags, the items of a list are separated by commas.\n\
         Relative paths begin at the working directory.\n\n\
         A value of the form `file:/path` is read from that file. `portunus config show` prints the effective settings and\n\
         where each comes from; `portunus config check` finds all faults without starting anything. Settings that are not\n\
         known and values that cannot be used are all reported at once, and the process ends with 78.\n\n\
         | file | environment | flag | default | meaning |\n|---|---|---|---|---|\n",
    );
    for variable in VARIABLES {
        let names: Vec<String> =
            std::iter::once(variable.name).chain(variable.aliases.iter().copied()).map(code).collect();
        let flag = match variable.way {
            Way::Flag(flag, _) => code(&format!("--{flag}")),
            Way::Secret | Way::NoFlag => "–".to_owned(),
        };
        let default = if variable.default.is_empty() { "–".to_owned() } else { code(variable.default) };
        let meaning = variable.meaning();
        writeln!(page, "| {} | {} | {flag} | {default} | {meaning} |", code(variable.key), names.join(", "))
            .expect("writing to a string cannot fail");
    }
    page.push_str(
        "\nExample:\n\n```yaml\nlisten: 0.0.0.0:8080\ncontrol_listen: 127.0.0.1:8000\ndata_dir: /var/lib/portunus\n\
         secret_key: file:/run/secrets/portunus-key\ntrusted_proxies: [10.0.0.0/8]\nmanifests: [/etc/portunus/manifests]\n\
         gateway_expose: [health, metrics]\n```\n\n\
         The commands that talk to a running process read `PORTUNUS_URL`, `PORTUNUS_TOKEN`, `PORTUNUS_CLIENT_ID` and\n\
         `PORTUNUS_CLIENT_SECRET`; see [the commands](cli.md).\n",
    );
    page
}

fn code(text: &str) -> String {
    format!("`{text}`")
}
