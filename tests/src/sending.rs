//! Files that persons of tests send and get.

use crate::person::Person;
use crate::relay_process::RelayProcess;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The size of a chunk, a bit more than what it holds of a file.
pub const MIB: usize = 1024 * 1024;

/// How long a relay may take to delete what is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of random bytes, written in pieces so that none is held whole.
#[must_use]
pub fn file(folder: &Path, name: &str, bytes: usize) -> PathBuf {
    let path = folder.join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut random = StdRng::seed_from_u64(bytes as u64);
    let mut left = bytes;
    while left > 0 {
        let mut piece = vec![0_u8; left.min(MIB)];
        random.fill(piece.as_mut_slice());
        file.write_all(&piece).expect("room for it");
        left -= piece.len();
    }
    path
}

/// A folder to get files into.
#[must_use]
pub fn inbox(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

/// The SHA-256 of a file.
#[must_use]
pub fn hash(path: &Path) -> String {
    let mut file = std::fs::File::open(path).expect("a file");
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; MIB]);
    loop {
        let read = file.read(&mut piece).expect("it reads");
        if read == 0 {
            return hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        }
        hasher.update(&piece[..read]);
    }
}

/// A path on a command line.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// Somebody sends a file; what the program says of it.
#[must_use]
pub fn sends(person: &Person<'_>, conversation: &str, path: &Path, more: &[&str]) -> Value {
    let words = [&["send", conversation, "--file", text(path)], more].concat();
    person.does(&words).pop().expect("what was sent")
}

/// Where what was sent has its place.
#[must_use]
pub fn place(sent: &Value) -> String {
    sent["sequence"].as_u64().expect("it was sent").to_string()
}

/// Somebody gets a file into a folder; what the program says of it.
#[must_use]
pub fn got(person: &Person<'_>, conversation: &str, sent: &Value, folder: &Path) -> Value {
    person.does(&["get", conversation, &place(sent), "-o", text(folder)]).pop().expect("what was got")
}

/// Where the relay of a folder keeps a file that was sent.
#[must_use]
pub fn blob(folder: &Path, sent: &Value) -> PathBuf {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let place = Path::new(&text(&sent["conversation"])).join(text(&sent["file"]["root"]));
    folder.join("relay/blobs").join(place)
}

/// Starts a relay again until it has deleted a file: it looks at its start whose time is over.
pub fn is_deleted(blob: &Path, relay: &mut RelayProcess) {
    let since = Instant::now();
    while blob.exists() {
        assert!(since.elapsed() < PATIENCE, "it is not deleted");
        relay.restart().expect("it starts again");
        std::thread::sleep(Duration::from_millis(200));
    }
}
