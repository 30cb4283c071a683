//! Replays the committed fuzz corpus and the golden vectors on the stable toolchain.

use sotto_protocol::body::KINDS;
use sotto_protocol::frame::HEADER_BYTES;
use sotto_tests::fuzz::{TARGETS, frame};
use sotto_tests::programs::repository;
use std::fs;

#[test]
fn the_committed_corpus_of_every_fuzz_target_breaks_nothing() {
    for (name, target) in TARGETS {
        let folder = repository().join("tests/fuzz/corpus").join(name);
        let mut inputs = 0_u32;
        for file in fs::read_dir(&folder).expect("every target has a corpus") {
            let path = file.expect("a readable folder").path();
            target(&fs::read(path).expect("a readable input"));
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus in {} is empty", folder.display());
        assert!(
            repository().join(format!("tests/fuzz/fuzz_targets/{name}.rs")).is_file(),
            "{name} is no libFuzzer target"
        );
    }
}

#[test]
fn the_frame_corpus_has_every_kind_of_frame_and_the_target_reads_each() {
    let folder = repository().join("tests/fuzz/corpus/frame");
    let mut seen = std::collections::BTreeSet::new();
    for file in fs::read_dir(folder).expect("the corpus is there") {
        let bytes = fs::read(file.expect("a readable folder").path()).expect("a readable input");
        frame(&bytes);
        if let Some([_, _, high, low, ..]) = bytes.first_chunk::<HEADER_BYTES>() {
            seen.insert(u16::from_be_bytes([*high, *low]));
        }
    }
    let source = include_str!("../../src/fuzz.rs");
    for (kind, name) in KINDS {
        assert!(seen.contains(&kind.0), "no input in the corpus is a {name}");
        assert!(source.contains(&format!("            {name},")), "the target does not decode {name}");
    }
}
