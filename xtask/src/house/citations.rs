//! Documents and code agree: every numbered MUST of `docs/protocol.md` is shown by a test that cites it, every
//! number cited exists, and every test that a document names is there.

use super::sources;
use crate::step::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Documents that name tests in backquotes.
const NAMING_TESTS: [&str; 3] = ["docs/threat-model.md", "docs/status.md", "docs/testing.md"];

/// One line for each disagreement.
pub(crate) fn broken() -> anyhow::Result<Vec<String>> {
    let mut broken = Vec::new();
    let protocol = fs::read_to_string(root().join("docs/protocol.md"))?;
    let musts: BTreeSet<&str> = numbers(&protocol).collect();
    let sources = sources::all()?;
    let mut shown: BTreeMap<&str, bool> = BTreeMap::new();
    let mut functions = BTreeSet::new();
    for source in &sources {
        for (number, line) in source.text.lines().enumerate() {
            for cited in numbers(line) {
                *shown.entry(cited).or_default() |= source.is_test(number);
                if !musts.contains(cited) && !source.path.starts_with("xtask/src/house/") {
                    broken.push(format!(
                        "{}:{}: {cited} is not in docs/protocol.md",
                        source.path,
                        number + 1
                    ));
                }
            }
            functions.extend(line.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next()));
        }
    }
    for must in musts {
        if !shown.get(must).copied().unwrap_or_default() {
            broken.push(format!("docs/protocol.md: no test cites {must}"));
        }
    }
    for document in NAMING_TESTS {
        let Ok(text) = fs::read_to_string(root().join(document)) else {
            broken.push(format!("{document} is missing"));
            continue;
        };
        for test in named_tests(&text).filter(|test| !functions.contains(test)) {
            broken.push(format!("{document}: there is no test `{test}`"));
        }
    }
    Ok(broken)
}

/// Numbers like P-007 in a text.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("P-").filter_map(|(place, _)| {
        let number = text.get(place..place.checked_add(5)?)?;
        // Below 100: P-256 is a curve.
        let digits = number.starts_with("P-0") && number.get(3..)?.bytes().all(|byte| byte.is_ascii_digit());
        let alone =
            !text.get(..place)?.ends_with(|before: char| before.is_ascii_alphanumeric() || before == '-');
        (digits && alone).then_some(number)
    })
}

/// Sentences in backquotes that are names of tests: lower case with at least three underscores.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| {
        let name = quoted.rsplit("::").next()?;
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (plain && name.matches('_').count() >= 3).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_name_only_tests_that_exist_and_every_must_is_shown_by_one() {
        assert_eq!(broken().expect("the documents are readable"), Vec::<String>::new());
    }

    #[test]
    fn numbers_and_names_are_found() {
        assert_eq!(
            numbers("P-007 and (P-012), not HTTP-012, P-256 nor P-0x").collect::<Vec<_>>(),
            ["P-007", "P-012"]
        );
        let text = "shown by `it::hostile::no_bytes_panic_as_any_kind`, in `a_b` and `Not_A_Test_At_All`";
        assert_eq!(named_tests(text).collect::<Vec<_>>(), ["no_bytes_panic_as_any_kind"]);
    }
}
