//! `portunus generate-docs`: writes the pages of `docs/reference` that follow from the code.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory};

use crate::cli::{Cli, Context};
use crate::output;
use crate::settings::reference;

/// Write the reference pages
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// Folder of the pages
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes every page.
pub fn run(args: &Args, _: &Context) -> anyhow::Result<ExitCode> {
    let mut pages = vec![("cli.md", cli()), ("settings.md", reference::page())];
    pages.extend(portunus_control::docs::pages());
    fs::create_dir_all(&args.folder).with_context(|| format!("cannot make {}", args.folder.display()))?;
    for (name, page) in pages {
        let path = args.folder.join(name);
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        output::print(&path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of the commands: the help of each.
fn cli() -> String {
    let mut page = String::from(
        "# Commands\n\n\
         Exit codes: 0 done, 1 failed or a threshold is passed, 2 called the wrong way, 78 the configuration cannot be used.\n\n\
         Commands that talk to a running process find it at `--url` or `PORTUNUS_URL` and need a token: `--token` or\n\
         `PORTUNUS_TOKEN`, or the credentials of a client, `PORTUNUS_CLIENT_ID` (default `control-plane-api`) and\n\
         `PORTUNUS_CLIENT_SECRET`. These values too may be of the form `file:/path`.\n",
    );
    let mut root = Cli::command().term_width(100);
    root.build();
    for command in root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        describe(&mut page, command, "##");
    }
    page
}

fn describe(page: &mut String, command: &Command, level: &str) {
    let title = command.get_bin_name().unwrap_or(command.get_name());
    let help = command.clone().render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(page, "\n{level} {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end())
        .expect("writing to a string cannot fail");
    for nested in command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        describe(page, nested, "###");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command() {
        let page = cli();
        for title in ["## portunus serve", "## portunus apply", "### portunus keys create", "### portunus config show"]
        {
            assert!(page.contains(&format!("\n{title}\n")), "{title} is missing");
        }
        assert!(!page.contains("generate-docs") && !page.contains('\u{1b}'));
    }
}
