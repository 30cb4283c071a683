//! Rules that are read off the source: pure crates take time and randomness as arguments; an ignored test says that it
//! needs root; nothing is left to do.

use super::architecture::PURE;
use crate::step::root;
use std::fs;
use std::path::{Path, PathBuf};

/// What a pure crate never writes outside its tests, with what it does instead.
const IMPURE: [(&str, &str); 12] = [
    ("Instant::now", "take the time as an argument"),
    ("SystemTime::now", "take the time as an argument"),
    ("rand::rng(", "take `&mut impl CryptoRng`"),
    ("rand::random", "take `&mut impl CryptoRng`"),
    ("thread_rng", "take `&mut impl CryptoRng`"),
    ("OsRng", "take `&mut impl CryptoRng`"),
    ("SysRng", "take `&mut impl CryptoRng`"),
    ("getrandom::", "take `&mut impl CryptoRng`"),
    ("thread::spawn", "leave threads to the shell"),
    ("std::fs", "leave files to the shell"),
    ("std::net::", "leave sockets to the shell"),
    ("std::env", "leave the environment to the shell"),
];

/// The folders of the pure crates, without the crates that lie inside them.
const PURE_FOLDERS: [&str; 6] = [
    "protocol/src",
    "protocol/mls/src",
    "protocol/e2ee/src",
    "signaling/core/src",
    "relay/core/src",
    "node/core/src",
];

/// A source file with its path from the root of the repository.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every Rust file of the house.
pub(super) fn all() -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["protocol", "signaling", "relay", "node", "web", "tests", "loadtest", "xtask"]
            .map(|name| root().join(name))
            .into();
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() || folder.file_name().is_some_and(|name| name == "target") {
            continue;
        }
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                sources.push(Source { path: name, text: fs::read_to_string(&path)? });
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

impl Source {
    /// Whether line `number` (from 0) is part of a test.
    pub(super) fn is_test(&self, number: usize) -> bool {
        let name = Path::new(&self.path);
        let whole_file = name.components().any(|part| part.as_os_str() == "tests")
            || name
                .file_stem()
                .is_some_and(|stem| stem == "tests" || stem.to_string_lossy().starts_with("test_"));
        whole_file || self.text.lines().take(number).any(|line| line.trim() == "#[cfg(test)]")
    }

    /// The lines that are code, with their numbers from 0.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// One line for each broken rule.
pub(crate) fn broken() -> anyhow::Result<Vec<String>> {
    assert_eq!(PURE.len(), PURE_FOLDERS.len(), "each pure crate has a folder here");
    let sources = all()?;
    let mut broken = Vec::new();
    for source in &sources {
        let pure = PURE_FOLDERS.iter().any(|folder| source.path.starts_with(&format!("{folder}/")));
        for (number, line) in source.code() {
            let place = format!("{}:{}", source.path, number.saturating_add(1));
            if pure && !source.is_test(number) {
                for (word, instead) in IMPURE.iter().filter(|(word, _)| line.contains(word)) {
                    broken.push(format!("{place}: `{word}` in a pure crate; {instead}"));
                }
            }
            if line.trim_start().starts_with("#[ignore") && !line.contains("\"needs root: ") {
                broken.push(format!(
                    "{place}: an ignored test says `#[ignore = \"needs root: ...\"]`, and why"
                ));
            }
        }
        let unfinished = concat!("TO", "DO");
        for (number, _) in source.text.lines().enumerate().filter(|(_, line)| line.contains(unfinished)) {
            broken.push(format!(
                "{}:{}: {unfinished}: say it in an issue",
                source.path,
                number.saturating_add(1)
            ));
        }
    }
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_crates_take_time_and_randomness_as_arguments() {
        assert_eq!(broken().expect("the sources are readable"), Vec::<String>::new());
    }

    #[test]
    fn what_follows_the_mark_of_tests_is_a_test() {
        let source = Source { path: "relay/core/src/x.rs".into(), text: "a\n#[cfg(test)]\nb\n".into() };
        assert!(!source.is_test(0));
        assert!(source.is_test(2));
    }
}
