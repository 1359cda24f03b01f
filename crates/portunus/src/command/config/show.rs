//! `portunus config show`.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::Context;
use crate::output;
use crate::settings::flags::Flags;
use crate::settings::layers::Loaded;
use crate::settings::{VARIABLES, Variable};

const MASK: &str = "********";

/// The flags that `serve` would get.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// Prints every setting, its value and its source.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let loaded = args.flags.clone().load()?;
    let settings = entries(&loaded);
    output::show(context.format(), &json!({"settings": settings}), || {
        let columns = ["setting", "value", "source"];
        output::table(
            &columns,
            settings.iter().map(|entry| columns.iter().map(|column| output::cell(&entry[*column])).collect()),
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn entries(loaded: &Loaded) -> Vec<Value> {
    let entry = |(variable, source): (&Variable, _)| {
        let value = value(loaded, variable);
        json!({"setting": variable.key, "variable": variable.name, "value": value, "source": format!("{source}")})
    };
    VARIABLES.iter().zip(&loaded.sources).map(entry).collect()
}

fn value(loaded: &Loaded, variable: &Variable) -> Value {
    let value = (variable.get)(&loaded.settings);
    match variable.key {
        _ if value.is_null() && variable.key == "database_url" => {
            format!("sqlite://{}", loaded.settings.database_path().display()).into()
        }
        _ if variable.is_secret() && !value.is_null() => MASK.into(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::layers::{Given, load};

    #[test]
    fn secrets_are_masked_and_sources_named() {
        let environment =
            vec![("PORTUNUS_ADMIN_PASSWORD".into(), "hunter2hunter2".into()), ("THREADS".into(), "2".into())];
        let loaded = load(Given { environment, ..Given::default() }).unwrap();
        let entries = entries(&loaded);
        let of = |key: &str| entries.iter().find(|entry| entry["setting"] == key).unwrap().clone();
        assert_eq!(
            (&of("admin_password")["value"], &of("admin_password")["source"]),
            (&json!(MASK), &json!("environment PORTUNUS_ADMIN_PASSWORD"))
        );
        assert_eq!((&of("workers")["value"], &of("workers")["source"]), (&json!(2), &json!("environment THREADS")));
        assert_eq!(of("secret_key")["value"], Value::Null);
        assert_eq!(of("database_url")["value"], "sqlite://./data/portunus.db");
        assert!(!json!(entries).to_string().contains("hunter2"));
    }
}
