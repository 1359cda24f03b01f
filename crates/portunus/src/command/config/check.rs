//! `portunus config check`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::cli::Context;
use crate::fault::{CONFIGURATION, Faults};
use crate::manifest;
use crate::output::{self, Format};
use crate::settings::flags::Flags;
use crate::settings::layers::{Given, load};
use portunus_control::yaml;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings files, manifests, folders of manifests, or - for manifests on standard input. Without any, the settings
    /// that `serve` would find in this environment
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What there was, if nothing is wrong with it.
#[derive(Default)]
struct Found {
    settings: usize,
    manifests: usize,
}

/// Checks all files together and prints every fault.
pub fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let checked = if args.files.is_empty() { environment() } else { files(&args.files) };
    if context.format() == Format::Table {
        let found = checked?;
        output::print(&format!("no fault in {} settings and {} manifests", found.settings, found.manifests))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (faults, code) = match &checked {
        Ok(_) => (&[][..], ExitCode::SUCCESS),
        Err(faults) => (faults.sentences(), ExitCode::from(CONFIGURATION)),
    };
    output::show(context.format(), &json!({"valid": faults.is_empty(), "faults": faults}), String::new)?;
    Ok(code)
}

/// The settings that `serve` would have here, and the manifests that they name.
fn environment() -> Result<Found, Faults> {
    let loaded = Flags::default().load()?;
    let manifests = manifest::load(&loaded.settings.manifests)?;
    let settings = loaded.sources.iter().filter(|source| !source.is_default()).count();
    Ok(Found { settings, manifests: manifests.len() })
}

/// Manifests may refer to each other across files, so they are checked together.
fn files(paths: &[PathBuf]) -> Result<Found, Faults> {
    let mut faults = Faults::default();
    let mut found = Found::default();
    let (settings, manifests): (Vec<PathBuf>, Vec<PathBuf>) = paths.iter().cloned().partition(|path| is_settings(path));
    for config in settings {
        match load(Given { config: Some(config), ..Given::default() }) {
            Ok(loaded) => found.settings += loaded.sources.iter().filter(|source| !source.is_default()).count(),
            Err(wrong) => faults.append(wrong),
        }
    }
    match manifest::load(&manifests) {
        Ok(manifests) => found.manifests = manifests.len(),
        Err(wrong) => faults.append(wrong),
    }
    faults.or(found)
}

/// A settings file is a mapping that has nothing of a manifest. What cannot be read is taken for manifests, which says why.
fn is_settings(path: &Path) -> bool {
    let text = if path.is_file() { std::fs::read_to_string(path).ok() } else { None };
    let Some(documents) = text.and_then(|text| yaml::parse(&text, "").ok()) else { return false };
    let has = |key: &str| documents.iter().any(|document| document.get(key).is_some());
    let is_mapping = matches!(documents.as_slice(), [document] if document.is_mapping());
    is_mapping && !["apiVersion", "kind", "metadata", "spec"].into_iter().any(has) && !has_exported(&documents)
}

/// Whether the `manifests` are those of an export and not the setting of that name.
fn has_exported(documents: &[yaml::Node]) -> bool {
    documents.iter().filter_map(|document| document.get("manifests")).any(yaml::Node::holds_mappings)
}
