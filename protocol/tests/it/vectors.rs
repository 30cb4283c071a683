//! Golden bytes: the encoding of every kind as it was when its version was frozen (`tests/vectors/v1`).
//!
//! A released version never changes, so a difference here is a bug in the code, never in the file. What a
//! newer version of this crate adds gets its files by `cargo xtask vectors`, which writes missing ones only.

use crate::samples::{self, Sample};
use sotto_protocol::body::KINDS;
use sotto_protocol::frame::VERSION;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/vectors/v{VERSION}"))
}

fn to_hex(sample: &Sample) -> String {
    let mut text = format!("# {} of version {VERSION}\n", sample.name);
    for line in sample.bytes.chunks(32) {
        writeln!(text, "{}", data_encoding::HEXLOWER.encode(line)).expect("writing to a string");
    }
    text
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    data_encoding::HEXLOWER.decode(digits.trim().as_bytes()).expect("a vector file holds hex digits")
}

/// P-013: the bytes of a released version never change.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may write files, and only this one does, when it is told to"
)]
fn every_vector_is_what_this_version_writes_and_decodes_to_the_same_value() {
    let write_missing = std::env::var_os("SOTTO_WRITE_VECTORS").is_some();
    let mut missing = Vec::new();
    for sample in samples::all() {
        let path = folder().join(format!("{}.hex", sample.name));
        if write_missing && !path.exists() {
            fs::write(&path, to_hex(&sample)).expect("the folder of vectors is writable");
        }
        let Ok(text) = fs::read_to_string(&path) else {
            missing.push(sample.name);
            continue;
        };
        let golden = from_hex(&text);
        assert_eq!(golden, sample.bytes, "{} is encoded differently from its vector", sample.name);
        let decoded = (sample.decodes_to_it)(&samples::frame(&golden));
        assert_eq!(decoded, Ok(true), "{} decodes to another value", sample.name);
    }
    assert!(missing.is_empty(), "no vector for {missing:?}; `cargo xtask vectors` writes missing ones");
}

#[test]
fn every_kind_of_frame_has_a_sample_and_every_vector_belongs_to_one() {
    let samples = samples::all();
    for (kind, name) in KINDS {
        assert!(samples.iter().any(|sample| sample.kind == *kind), "{name} ({:#06x}) has no sample", kind.0);
    }
    let names: BTreeSet<String> = samples.iter().map(|sample| format!("{}.hex", sample.name)).collect();
    assert_eq!(names.len(), samples.len(), "two samples have one name");
    for file in fs::read_dir(folder()).expect("the folder of vectors is there") {
        let name = file.expect("a readable folder").file_name().to_string_lossy().into_owned();
        assert!(names.contains(&name), "{name} is a vector of nothing");
    }
}
