//! Search with the real program: it finds what was said, and no word of it lies in any file.

use sotto_tests::person::Person;
use sotto_tests::relay_process::RelayProcess;
use std::fs;
use std::path::Path;

const RARE: &str = "xylophonist";
const LINES: usize = 1_500;

fn files(folder: &Path, into: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(fs::read(&path).expect("a readable file"));
        }
    }
}

#[test]
fn a_search_finds_what_was_said_and_no_file_of_the_device_holds_a_word_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let alice = Person::register("alice", folder.path(), &relay.ready.link);
    alice.does(&["create", "garden"]);
    let lines: String = (0..LINES).map(|at| format!("line number{at} of the gardener\n")).collect();
    alice.does_with(&["send", "garden", "--lines"], &lines);
    alice.does(&["send", "garden", &format!("the {RARE} plays at noon")]);
    let sent = alice.does(&["send", "garden", "a slip of the tongue"]);
    let slip = sent[0]["sequence"].to_string();
    alice.does(&["edit", "garden", &slip, "an expedition to the moon"]);
    relay.terminate().expect("a good end: searching needs no relay");

    let hits = alice.does(&["search", "XYLO", "noon"]);
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(hits[0]["text"], format!("the {RARE} plays at noon"));
    let newest = alice.does(&["search", "gardener", "--in", "garden", "-n", "2"]);
    let texts: Vec<_> = newest.iter().map(|hit| hit["text"].as_str().expect("a text")).collect();
    assert_eq!(texts, ["line number1499 of the gardener", "line number1498 of the gardener"]);
    assert_eq!(alice.does(&["search", "phonist"]).len(), 0, "words are found by their beginnings");
    assert_eq!(alice.does(&["search", "expedition"]).len(), 1, "an edited text by its new words");
    assert_eq!(alice.does(&["search", "tongue"]).len(), 0, "and not by those it had");

    let mut found = Vec::new();
    files(alice.home(), &mut found);
    assert!(found.iter().map(Vec::len).sum::<usize>() > LINES * 30, "the store is among the files");
    for word in [RARE, "gardener", "number1499", "tongue", "expedition"] {
        let word = word.as_bytes();
        assert!(!found.iter().any(|file| file.windows(word.len()).any(|window| window == word)));
    }
}
