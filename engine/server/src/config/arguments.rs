//! The command line: the same keys as a file, with hyphens or underscores.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::keys::{self, Accepts};
use super::{Config, ConfigError};
use crate::error::{EXIT_CODES, Error};

/// What a command line says.
#[derive(Clone, Debug)]
pub struct Arguments<X = NoExtra> {
    /// The file's values, overridden by those of the command line.
    pub config: Config,
    /// The program's own options.
    pub extra: X,
}

/// For programs with no options of their own.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct NoExtra {}

#[derive(Clone, Debug, Args)]
struct FileArgument {
    /// Read keys from this TOML file; the command line overrides it.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
}

impl<X: Args> Arguments<X> {
    /// Reads this process's command line. `--help` and `--version` come as [`Error::Arguments`], which
    /// [`finish`](crate::finish) prints.
    ///
    /// # Errors
    /// As [`Arguments::parse_from`].
    pub fn parse(name: &'static str, about: &'static str) -> Result<Self, Error> {
        Self::parse_from(name, about, std::env::args_os())
    }

    /// Reads a command line whose first word is the program's name.
    ///
    /// # Errors
    /// [`Error::Arguments`] for the command line, [`Error::Config`] for the file that it names.
    pub fn parse_from(
        name: &'static str,
        about: &'static str,
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, Error> {
        let words = words.into_iter().map(hyphens);
        let matches = command::<X>(name, about).try_get_matches_from(words)?;
        let file = FileArgument::from_arg_matches(&matches)?.config;
        let mut config = file.map_or_else(|| Ok(Config::default()), |file| Config::from_file(&file))?;
        override_from(&mut config, &matches)?;
        Ok(Self { config, extra: X::from_arg_matches(&matches)? })
    }
}

fn override_from(config: &mut Config, matches: &ArgMatches) -> Result<(), Error> {
    config.update_from_arg_matches(matches)?;
    keys::check(config).map_err(|wrong| ConfigError::BadValue {
        place: String::new(),
        key: wrong.key.to_owned(),
        value: wrong.value,
        accepted: wrong.accepts.to_string(),
    })?;
    Ok(())
}

pub(super) fn command<X: Args>(name: &'static str, about: &'static str) -> Command {
    let command = Command::new(name).about(about).version(env!("CARGO_PKG_VERSION")).after_help(EXIT_CODES);
    let command = X::augment_args(FileArgument::augment_args(command)).next_help_heading("Configuration");
    // The text above `Config` is for programmers: it must not stand for the program's own.
    with_defaults(Config::augment_args_for_update(command)).about(about).long_about(None::<&str>)
}

/// Adds to each key's help what it accepts and what it is when not given.
fn with_defaults(command: Command) -> Command {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    command.mut_args(|argument| {
        let id = argument.get_id().as_str().to_owned();
        let Some(accepts) = keys::accepts(&id) else { return argument };
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        if matches!(accepts, Accepts::Number(_) | Accepts::PowerOfTwo(_)) {
            help = format!("{help} [{accepts}]");
        }
        if let Some(default) = default_of(&defaults, &id) {
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            help = format!("{help} [default: {text}]");
        }
        argument.help(help).long_help(None::<&str>)
    })
}

/// A key's value in the table that it stands in.
fn default_of<'a>(defaults: &'a toml::Table, key: &str) -> Option<&'a toml::Value> {
    let inner = defaults.values().filter_map(toml::Value::as_table);
    defaults.get(key).or_else(|| inner.into_iter().find_map(|table| table.get(key)))
}

/// Turns `--spin_us=5` into `--spin-us=5`, so that keys can be typed as they stand in a file.
fn hyphens(word: OsString) -> OsString {
    let Some(text) = word.to_str() else { return word };
    if !text.starts_with("--") {
        return word;
    }
    match text.split_once('=') {
        Some((key, value)) => format!("{}={value}", key.replace('_', "-")).into(),
        None => text.replace('_', "-").into(),
    }
}
