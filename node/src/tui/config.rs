//! `tui.toml` in the folder of the profile: theme, keys, mouse, notifications, pictures.
//!
//! A file that is not understood stops the start with one sentence that names the line or the key, and the nearest
//! name for a key that does not exist; nothing is guessed and nothing is overwritten.

use super::keys::{ACTIONS, Chord, Keymap, Place};
use super::theme::ThemeName;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use toml::{Table, Value};

/// The name of the file.
pub(crate) const FILE: &str = "tui.toml";

/// A configuration with a line for every key is under 4 KiB.
const BYTES_MAX: u64 = 64 * 1024;

/// How to tell of a message while one looks elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notify {
    /// Not at all.
    Off,
    /// OSC 9: iTerm2, WezTerm, kitty, foot, Ghostty, Windows Terminal.
    Osc9,
    /// OSC 777: rxvt-unicode, VTE terminals.
    Osc777,
}

impl Notify {
    const ALL: [(&'static str, Self); 3] =
        [("off", Self::Off), ("osc9", Self::Osc9), ("osc777", Self::Osc777)];
}

/// What can be configured.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// `None`: as the terminal suggests.
    pub(crate) theme: Option<ThemeName>,
    pub(crate) mouse: bool,
    pub(crate) bell: bool,
    pub(crate) notify: Notify,
    /// Whether previews of files are shown.
    pub(crate) pictures: bool,
    pub(crate) keys: Keymap,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            theme: None,
            mouse: true,
            bell: true,
            notify: Notify::Osc9,
            pictures: true,
            keys: Keymap::default(),
        }
    }
}

/// Every setting beside the keys, with what it takes.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("theme", "\"auto\", \"dark\", \"light\" or \"mono\""),
    ("mouse", "true or false"),
    ("bell", "true or false"),
    ("notify", "\"osc9\", \"osc777\" or \"off\""),
    ("pictures", "true or false"),
    ("keys", "a table of actions and their keys"),
];

/// Why the file is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The system refused.
    #[error("{path} cannot be read: {what}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        what: String,
    },
    /// It is no TOML, or says what makes no sense.
    #[error("{path} is not understood: {what}. Correct it, or move it away to start with the defaults")]
    Wrong {
        /// The file.
        path: String,
        /// One sentence.
        what: String,
    },
}

impl Config {
    /// Reads the file of a profile; the defaults where there is none.
    pub(crate) fn load(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let shown = path.display().to_string();
        let unreadable = |what: String| ConfigError::Unreadable { path: shown.clone(), what };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let mut text = String::new();
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(unreadable(format!("it is over {BYTES_MAX} bytes")));
        }
        Self::parse(&text).map_err(|what| ConfigError::Wrong { path: shown, what })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text.get(..span.start).unwrap_or(text).lines().count().max(1));
            format!("line {line}: {}", error.message())
        })?;
        let mut config = Self::default();
        for (name, value) in &table {
            match name.as_str() {
                "theme" => {
                    config.theme = match value.as_str() {
                        Some("auto") => None,
                        Some(theme) => Some(ThemeName::named(theme).ok_or_else(|| takes("theme"))?),
                        None => return Err(takes("theme")),
                    }
                }
                "mouse" => config.mouse = value.as_bool().ok_or_else(|| takes("mouse"))?,
                "pictures" => config.pictures = value.as_bool().ok_or_else(|| takes("pictures"))?,
                "bell" => config.bell = value.as_bool().ok_or_else(|| takes("bell"))?,
                "notify" => {
                    let way = Notify::ALL.iter().find(|(name, _)| value.as_str() == Some(name));
                    config.notify = way.ok_or_else(|| takes("notify"))?.1;
                }
                "keys" => config.keys = keys(value.as_table().ok_or_else(|| takes("keys"))?)?,
                other => return Err(unknown("setting", other, SETTINGS.iter().map(|(name, _)| *name))),
            }
        }
        Ok(config)
    }
}

fn takes(name: &str) -> String {
    let what =
        SETTINGS.iter().find(|(setting, _)| *setting == name).map_or("something else", |(_, what)| what);
    format!("`{name}` takes {what}")
}

fn keys(table: &Table) -> Result<Keymap, String> {
    let mut keys = Keymap::default();
    for (name, value) in table {
        let Some(row) = ACTIONS.iter().find(|row| row.name == name) else {
            return Err(unknown("action", name, ACTIONS.iter().map(|row| row.name)));
        };
        let texts: Vec<&str> = match value {
            Value::String(key) => vec![key],
            Value::Array(keys) => keys.iter().filter_map(Value::as_str).collect(),
            _ => return Err(format!("`{name}` takes a key or a list of keys")),
        };
        let mut chords = Vec::new();
        for text in texts {
            let chord: Chord = text.parse().map_err(|()| {
                format!("`{text}` is no key; keys are written like ctrl-k, alt-enter, f1, pageup or a single character")
            })?;
            if chord.writes() && row.place != Place::Reading {
                return Err(format!(
                    "`{name}` cannot have the key `{text}`: it could not be written any more"
                ));
            }
            chords.push(chord);
        }
        keys.set(row.action, chords);
    }
    match keys.clash() {
        Some((one, other, chord)) => Err(format!("`{one}` and `{other}` both have the key {chord}")),
        None => Ok(keys),
    }
}

fn unknown<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let nearest = names
        .max_by(|one, other| strsim::jaro_winkler(name, one).total_cmp(&strsim::jaro_winkler(name, other)));
    let name = sotto_node_core::format::harmless_line(name);
    let nearest = nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
    format!("there is no {what} `{name}`{nearest}")
}

#[cfg(test)]
mod tests {
    use super::super::keys::Action;
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        let config = Config::parse("").expect("it is TOML");
        assert!(config.mouse && config.bell && config.theme.is_none());
        assert_eq!(config.keys.shown(Action::Palette), "Ctrl-K");
    }

    #[test]
    fn everything_can_be_set() {
        let text = "theme = \"light\"\nmouse = false\nbell = false\nnotify = \"osc777\"\npictures = false\n\
                    [keys]\npalette = \"ctrl-o\"\ncopy = [\"C\", \"insert\"]\nconnection = []\n";
        let config = Config::parse(text).expect("it is right");
        assert_eq!(config.theme, Some(ThemeName::Light));
        assert_eq!((config.mouse, config.bell, config.notify), (false, false, Notify::Osc777));
        assert!(!config.pictures && Config::default().pictures);
        assert_eq!(config.keys.all_shown(Action::Copy), "C, Ins");
        assert_eq!(config.keys.shown(Action::Connection), "");
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_nearest_name() {
        let said = |text: &str| Config::parse(text).expect_err("it is wrong");
        assert_eq!(said("them = \"dark\""), "there is no setting `them`; did you mean `theme`?");
        assert_eq!(said("[keys]\ncopie = \"x\""), "there is no action `copie`; did you mean `copy`?");
        assert!(said("theme = \"pink\"").contains("\"auto\", \"dark\""));
        assert!(said("[keys]\ncopy = \"ctrl+r\"").starts_with("`ctrl+r` is no key"));
        assert!(said("[keys]\nredraw = \"ctrl-k\"").contains("both have the key Ctrl-K"));
        assert!(said("[keys]\nredraw = \"s\"").contains("could not be written"));
        assert!(
            said("mouse = true\nbell = maybe").starts_with("line 2: "),
            "{}",
            said("mouse = true\nbell = maybe")
        );
    }

    #[test]
    fn a_folder_without_the_file_has_the_defaults_and_a_broken_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        Config::load(folder.path()).expect("no file is fine");
        std::fs::write(folder.path().join(FILE), "bel = true").expect("writable");
        let error = Config::load(folder.path()).expect_err("it is wrong").to_string();
        assert!(error.contains(FILE) && error.contains("did you mean `bell`?"), "{error}");
        std::fs::write(folder.path().join(FILE), [0xff_u8]).expect("writable");
        assert!(matches!(Config::load(folder.path()), Err(ConfigError::Unreadable { .. })));
    }
}
