//! Searching every byte of a folder for texts.

use anyhow::Context as _;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Texts shorter than this are not searched for: they occur by chance.
pub(super) const NEEDLE_BYTES_MIN: usize = 12;

/// What a search saw.
pub(super) struct Outcome {
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// Each text that was found, with the file it was found in.
    pub(super) found: Vec<(String, PathBuf)>,
}

/// Looks for each text at each byte of each file under `folder`.
pub(super) fn search(folder: &Path, texts: &[String]) -> anyhow::Result<Outcome> {
    let mut needles: HashMap<[u8; NEEDLE_BYTES_MIN], Vec<&str>> = HashMap::new();
    for text in texts {
        if let Some(start) = text.as_bytes().first_chunk() {
            needles.entry(*start).or_default().push(text);
        }
    }
    let mut outcome = Outcome { files: 0, bytes: 0, found: Vec::new() };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = file?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            outcome.files = outcome.files.saturating_add(1);
            outcome.bytes = outcome.bytes.saturating_add(bytes.len() as u64);
            outcome.found.extend(found_in(&bytes, &needles).map(|text| (text.to_owned(), path.clone())));
        }
    }
    Ok(outcome)
}

fn found_in<'a>(
    bytes: &'a [u8],
    needles: &'a HashMap<[u8; NEEDLE_BYTES_MIN], Vec<&'a str>>,
) -> impl Iterator<Item = &'a str> {
    bytes.windows(NEEDLE_BYTES_MIN).enumerate().flat_map(move |(place, window)| {
        let candidates = window.first_chunk().and_then(|start| needles.get(start));
        let rest = bytes.get(place..).unwrap_or_default();
        candidates.into_iter().flatten().copied().filter(move |text| rest.starts_with(text.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_at_the_start_in_the_middle_and_at_the_end_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "a sentence that was sent".to_owned();
        let inner = folder.path().join("deeper");
        fs::create_dir(&inner).expect("a folder");
        for (name, content) in [
            ("start", format!("{text}\0\0")),
            ("middle", format!("\0\u{1}{text}...")),
            ("end", format!("\0{text}")),
            ("cut", "a sentence that was sen".to_owned()),
            ("empty", String::new()),
        ] {
            fs::write(inner.join(name), content).expect("a file");
        }
        let outcome = search(folder.path(), &[text, "something that was not said".into()]).expect("readable");
        let mut names: Vec<_> = outcome.found.iter().filter_map(|(_, path)| path.file_name()).collect();
        names.sort();
        assert_eq!(names, ["end", "middle", "start"]);
        assert_eq!(outcome.files, 5);
    }
}
