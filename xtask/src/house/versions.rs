//! The project's own list of least versions: what advisory databases lack, and what is checked where they cannot be
//! reached.

use crate::step::root;
use std::fs;

/// A crate, the least version that may be in the lock file, and why.
const LEAST: [(&str, [u64; 3], &str); 10] = [
    ("openmls", [0, 9, 2], "GHSA-8x3w and others in older versions"),
    ("hpke-rs", [0, 6, 0], "advisories in older versions"),
    ("jsonwebtoken", [11, 1, 0], "CVE-2026-25537"),
    ("h2", [0, 4, 16], "denial of service in older versions"),
    ("rustls-webpki", [0, 103, 13], "advisories in older versions"),
    ("quinn-proto", [0, 11, 15], "denial of service in older versions"),
    ("quinn", [0, 11, 12], "goes with quinn-proto"),
    ("tokio", [1, 54, 1], "1.54.0 was withdrawn"),
    ("rustls", [0, 23, 46], "the version whose hybrid key agreement was measured"),
    ("axum", [0, 8, 9], "the version that was tried"),
];

/// A crate at exactly one version, and why.
const EXACT: [(&str, [u64; 3], &str); 2] = [
    ("bincode", [2, 0, 1], "3.0.0 is a tombstone (docs/decisions/0002-wire-format.md)"),
    (
        "sled",
        [0, 34, 7],
        "1.0 alpha is a hundred times slower, and the fsync path was measured at this version",
    ),
];

/// One line for each crate in `Cargo.lock` that is older than it may be.
pub(crate) fn broken() -> anyhow::Result<Vec<String>> {
    Ok(check(&fs::read_to_string(root().join("Cargo.lock"))?))
}

fn check(lock: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, version) in packages(lock) {
        let found = numbers(version);
        let least = LEAST.iter().find(|(least, ..)| *least == name);
        if let Some((_, wanted, why)) = least.filter(|(_, wanted, _)| found < *wanted) {
            broken.push(format!("{name} {version} is older than {}: {why}", dotted(wanted)));
        }
        let exact = EXACT.iter().find(|(exact, ..)| *exact == name);
        if let Some((_, wanted, why)) = exact.filter(|(_, wanted, _)| found != *wanted) {
            broken.push(format!("{name} {version} is not {}: {why}", dotted(wanted)));
        }
    }
    broken
}

/// Names and versions in a lock file of cargo.
pub(crate) fn packages(lock: &str) -> impl Iterator<Item = (&str, &str)> {
    lock.split("[[package]]").skip(1).filter_map(|package| {
        let field =
            |key| package.lines().find_map(|line| line.strip_prefix(key)).map(|v| v.trim_matches('"'));
        Some((field("name = ")?, field("version = ")?))
    })
}

/// Major, minor and patch; a pre-release counts as its release.
fn numbers(version: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    for (place, part) in numbers.iter_mut().zip(plain.split('.')) {
        *place = part.parse().unwrap_or_default();
    }
    numbers
}

fn dotted([major, minor, patch]: &[u64; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_has_nothing_older_than_the_least_versions() {
        assert_eq!(broken().expect("Cargo.lock is readable"), Vec::<String>::new());
    }

    #[test]
    fn an_old_or_wrong_version_is_found() {
        let lock = "version = 4\n\n[[package]]\nname = \"h2\"\nversion = \"0.4.9\"\n\n\
                    [[package]]\nname = \"bincode\"\nversion = \"3.0.0\"\n\n[[package]]\nname = \"tokio\"\n\
                    version = \"1.55.0\"\n";
        let found = check(lock);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("h2 0.4.9") && found[1].starts_with("bincode 3.0.0"), "{found:?}");
    }
}
