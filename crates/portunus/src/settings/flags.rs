//! The layer of the command line: the flags that `serve` and `config show` share, made from the table.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

use super::layers::{Given, Loaded, load};
use super::value::Raw;
use super::{VARIABLES, Variable, Way};
use crate::fault::Faults;

const CONFIG: &str = "config";
const CONFIG_VARIABLE: &str = "PORTUNUS_CONFIG";

/// The flags that were given.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    config: Option<PathBuf>,
    values: Vec<(&'static Variable, Raw)>,
}

impl Flags {
    /// The settings of this process: these flags over its environment over the settings file.
    pub fn load(self) -> Result<Loaded, Faults> {
        let from_environment = || std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        load(Given {
            config: self.config.or_else(from_environment),
            environment: std::env::vars_os().collect(),
            flags: self.values,
        })
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>(CONFIG).cloned();
        self.values = VARIABLES
            .iter()
            .filter(|variable| matches!(variable.way, Way::Flag(..)))
            .filter_map(|variable| {
                let mut texts: Vec<String> = matches.get_many::<String>(variable.key)?.cloned().collect();
                let raw = match texts.len() {
                    1 => Raw::Text(texts.remove(0)),
                    _ => Raw::List(texts),
                };
                Some((variable, raw))
            })
            .collect();
        Ok(())
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(format!("Settings file, a YAML mapping [env: {CONFIG_VARIABLE}]"));
        VARIABLES.iter().fold(command.arg(config), |command, variable| match variable.way {
            Way::Flag(flag, value) => command.arg(arg(variable, flag, value)),
            Way::Secret | Way::NoFlag => command,
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn arg(variable: &'static Variable, flag: &'static str, value: &'static str) -> Arg {
    let names: Vec<&str> = std::iter::once(variable.name).chain(variable.aliases.iter().copied()).collect();
    let mut help = format!("{} [env: {}]", variable.meaning().replace('`', ""), names.join(", "));
    if !variable.default.is_empty() {
        help.push_str(&format!(" [default: {}]", variable.default));
    }
    let arg = Arg::new(variable.key).long(flag).value_name(value).help(help).help_heading("Settings");
    match variable.is_list() {
        true => arg.action(ArgAction::Append).num_args(1..),
        false => arg.action(ArgAction::Set),
    }
}
