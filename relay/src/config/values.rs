//! Layers of settings by name: defaults, then the file, then the environment, then flags; the last one wins.
//! Whatever is wrong is said with the name of the key, where it was set and what may stand there.

use super::keys::{ENVIRONMENT_FILE, ENVIRONMENT_PREFIX, KEYS, Key, nearest};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Flag => f.write_str("the command line"),
        }
    }
}

/// Why a configuration is refused. Each sentence says what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not a TOML file: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The parser's words, with line and column.
        message: String,
    },
    /// A key that no relay knows.
    #[error(
        "{from} sets `{name}`, which is no key of this relay; did you mean `{nearest}`? (`sotto-relay config print` lists all)"
    )]
    Unknown {
        /// The name as it stands there.
        name: String,
        /// The nearest name that exists.
        nearest: String,
        /// Where it stands.
        from: Source,
    },
    /// A value that may not stand there.
    #[error("`{name}` is {text:?} in {from}; expected {expected}")]
    Value {
        /// The key.
        name: &'static str,
        /// What was set.
        text: String,
        /// Where it was set.
        from: Source,
        /// What may stand there.
        expected: &'static str,
    },
    /// Values that are good alone and not together.
    #[error("{0}")]
    Together(&'static str),
}

/// Settings by name. Only names of [`KEYS`] are in here.
#[derive(Debug, Clone, Default)]
pub struct Values {
    set: BTreeMap<&'static str, (String, Source)>,
}

impl Values {
    /// Adds what a TOML file says.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, has an unknown key, or a list or table where a value belongs.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        self.add_toml(&text, path)
    }

    /// Adds what the text of a TOML file says.
    ///
    /// # Errors
    /// As [`Values::add_file`].
    pub fn add_toml(&mut self, text: &str, path: &Path) -> Result<(), ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let from = Source::File(path.to_owned());
        for (name, value) in table {
            match value {
                toml::Value::Table(inner) => {
                    for (last, value) in inner {
                        self.add_toml_value(&format!("{name}.{last}"), &value, &from)?;
                    }
                }
                value => self.add_toml_value(&name, &value, &from)?,
            }
        }
        Ok(())
    }

    fn add_toml_value(&mut self, name: &str, value: &toml::Value, from: &Source) -> Result<(), ConfigError> {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.add(name, text, from.clone())
    }

    /// Adds the variables that begin with [`ENVIRONMENT_PREFIX`].
    ///
    /// # Errors
    /// If one of them names no key.
    pub fn add_environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in variables {
            if !variable.starts_with(ENVIRONMENT_PREFIX) || variable == ENVIRONMENT_FILE {
                continue;
            }
            let from = Source::Environment(variable.clone());
            match KEYS.iter().find(|key| key.environment() == variable) {
                Some(key) => {
                    self.set.insert(key.name, (text, from));
                }
                None => {
                    let nearest = nearest(&variable, KEYS.iter().map(Key::environment)).unwrap_or_default();
                    return Err(ConfigError::Unknown { name: variable, nearest, from });
                }
            }
        }
        Ok(())
    }

    /// Sets one key.
    ///
    /// # Errors
    /// If no key has that name.
    pub fn add(&mut self, name: &str, text: String, from: Source) -> Result<(), ConfigError> {
        match Key::find(name) {
            Some(key) => {
                self.set.insert(key.name, (text, from));
                Ok(())
            }
            None => {
                let nearest = nearest(name, KEYS.iter().map(|key| key.name.to_owned())).unwrap_or_default();
                Err(ConfigError::Unknown { name: name.to_owned(), nearest, from })
            }
        }
    }

    /// What a key is set to, and by whom; its default if nobody set it.
    #[must_use]
    pub fn text(&self, key: &Key) -> (String, Source) {
        self.set.get(key.name).cloned().unwrap_or_else(|| (key.default.to_owned(), Source::Default))
    }

    /// What a key is set to, read by `parse`.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let key = Key::find(name).expect("the program asks only for keys of its own table");
        let (text, from) = self.text(key);
        match parse(text.trim()) {
            Some(value) => Ok(value),
            None => Err(ConfigError::Value { name: key.name, text, from, expected: key.expected }),
        }
    }
}
