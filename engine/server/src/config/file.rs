//! Reading a configuration file; every complaint names the file, the line, the key and what would be right.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::keys::{self, Key, TABLES};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {file}: {source}", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{file}:{line}: {message}", file = file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// The file has a key that does not exist.
    #[error("{file}:{line}: unknown key `{key}`{}", hint(nearest.as_deref(), *table), file = file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key as it stands there.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
        /// The table that `nearest` belongs in, where that is not the one it stands in.
        table: Misplaced,
    },
    /// A key's value is not one of those it accepts.
    #[error("{place}`{key}` is {value}, but accepts {accepted}")]
    BadValue {
        /// File and line, or the command line.
        place: String,
        /// The key.
        key: String,
        /// The value as it was written.
        value: String,
        /// What is accepted.
        accepted: String,
    },
    /// A key that only makes sense together with another.
    #[error("`{key}` needs `{needs}`: {why}")]
    Needs {
        /// The key that was given.
        key: &'static str,
        /// The key that is missing.
        needs: &'static str,
        /// Why.
        why: &'static str,
    },
}

/// Whether a key stands in the wrong table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It does not.
    No,
    /// The near match belongs below the table of this name.
    BelongsIn(&'static str),
    /// The near match belongs at the top, before any table.
    BelongsAtTop,
}

fn hint(nearest: Option<&str>, table: Misplaced) -> String {
    let Some(nearest) = nearest else { return String::new() };
    let mut text = format!(" (did you mean `{nearest}`");
    let _ = match table {
        Misplaced::No => write!(text, "?)"),
        Misplaced::BelongsIn(table) => write!(text, ", below `[{table}]`?)"),
        Misplaced::BelongsAtTop => write!(text, ", at the top of the file?)"),
    };
    text
}

impl Config {
    /// Reads a TOML file; keys that it does not have keep their defaults.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn from_file(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
        Self::from_toml(&text, file)
    }

    /// Reads TOML text; `file` is what errors call it.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn from_toml(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let source = Source { text, file };
        let table = DeTable::parse(text).map_err(|error| source.syntax(&error))?;
        source.unknown_keys(table.get_ref())?;
        let parsed = toml::Deserializer::parse(text).and_then(Self::deserialize);
        let config = parsed.map_err(|error| source.bad_value(table.get_ref(), &error))?;
        keys::check(&config).map_err(|wrong| ConfigError::BadValue {
            place: source.place(find_key(table.get_ref(), wrong.key).map_or(0, |span| span.start)),
            key: wrong.key.to_owned(),
            value: wrong.value,
            accepted: wrong.accepts.to_string(),
        })?;
        Ok(config)
    }
}

/// The text of a file and its name.
struct Source<'a> {
    text: &'a str,
    file: &'a Path,
}

impl Source<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn place(&self, offset: usize) -> String {
        format!("{}:{}: ", self.file.display(), self.line(offset))
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let line = self.line(error.span().map_or(0, |span| span.start));
        ConfigError::Syntax { file: self.file.to_owned(), line, message: error.message().to_owned() }
    }

    fn unknown_keys(&self, top: &DeTable<'_>) -> Result<(), ConfigError> {
        for (table_name, known) in TABLES {
            let is_top = table_name.is_empty();
            let inner = || top.get(table_name).and_then(|inner| inner.get_ref().as_table());
            let table = if is_top { Some(top) } else { inner() };
            let unknown = table.into_iter().flatten().find(|(key, _)| {
                let name: &str = key.get_ref();
                let is_table = is_top && TABLES.iter().any(|(table, _)| *table == name);
                !is_table && !is_in(known, name)
            });
            let Some((key, _)) = unknown else { continue };
            let nearest = keys::nearest(key.get_ref());
            let home = nearest.and_then(|near| TABLES.iter().find(|(_, keys)| is_in(keys, near)));
            let misplaced = match home {
                Some((home, _)) if *home == table_name => Misplaced::No,
                Some(("", _)) => Misplaced::BelongsAtTop,
                Some((home, _)) => Misplaced::BelongsIn(home),
                None => Misplaced::No,
            };
            return Err(ConfigError::UnknownKey {
                file: self.file.to_owned(),
                line: self.line(key.span().start),
                key: key.get_ref().to_string(),
                nearest: nearest.map(str::to_owned),
                table: misplaced,
            });
        }
        Ok(())
    }

    fn bad_value(&self, top: &DeTable<'_>, error: &toml::de::Error) -> ConfigError {
        let found = error.span().and_then(|span| key_at(top, &span));
        let Some((key, value)) = found else { return self.syntax(error) };
        let Some(accepted) = keys::accepts(&key) else { return self.syntax(error) };
        ConfigError::BadValue {
            place: self.place(value.start),
            key,
            value: self.text.get(value).unwrap_or_default().to_owned(),
            accepted: accepted.to_string(),
        }
    }
}

fn is_in(keys: &[Key], name: &str) -> bool {
    keys.iter().any(|key| key.name == name)
}

/// The innermost key whose value covers `span`, and where that value stands.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<(String, Range<usize>)> {
    let (key, value) = table.iter().find(|(_, value)| {
        let whole = value.span();
        whole.start <= span.start && span.end <= whole.end || is_table_with(value.get_ref(), span)
    })?;
    match value.get_ref().as_table().and_then(|inner| key_at(inner, span)) {
        Some(found) => Some(found),
        None => Some((key.get_ref().to_string(), value.span())),
    }
}

/// A table's own span may be its header only.
fn is_table_with(value: &DeValue<'_>, span: &Range<usize>) -> bool {
    value.as_table().is_some_and(|table| key_at(table, span).is_some())
}

fn find_key(table: &DeTable<'_>, name: &str) -> Option<Range<usize>> {
    table.iter().find_map(|(key, value)| {
        if key.get_ref() == name {
            return Some(key.span());
        }
        value.get_ref().as_table().and_then(|inner| find_key(inner, name))
    })
}
