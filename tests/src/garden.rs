//! What tests of links between devices begin with: three people in a group, to which one of them has sent a file.

use crate::person::{Person, people};
use crate::relay_process::RelayProcess;
use crate::sending::{self, blob, got, hash, is_deleted, sends};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The group.
pub const GROUP: &str = "garden";

/// Alice, Bob and Carol in the group. Alice has sent a file.
pub struct World {
    /// Where everything of it lies.
    pub folder: TempDir,
    /// Their relay.
    pub relay: RelayProcess,
    /// She has the file.
    pub alice: Person<'static>,
    /// He has heard of it at the most.
    pub bob: Person<'static>,
    /// She too.
    pub carol: Person<'static>,
    /// The file.
    pub path: PathBuf,
    /// What Alice's program said of it.
    pub sent: Value,
}

impl World {
    /// With a file of so many bytes.
    ///
    /// # Panics
    /// If anything of it fails.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self::at("127.0.0.1:0", bytes, &[])
    }

    /// The same with a relay at this address, with these settings.
    ///
    /// # Panics
    /// If anything of it fails.
    #[must_use]
    pub fn at(address: &str, bytes: usize, settings: &[(&str, &str)]) -> Self {
        let (folder, relay, [alice, bob, carol]) = people(["alice", "bob", "carol"], address, settings);
        alice.does(&["create", GROUP, "bob", "carol"]);
        let path = sending::file(folder.path(), "film.mkv", bytes);
        let sent = sends(&alice, GROUP, &path, &[]);
        Self { folder, relay, alice, bob, carol, path, sent }
    }

    /// The relay's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("relay.log")
    }

    /// A folder to get the file into.
    #[must_use]
    pub fn inbox(&self, name: &str) -> PathBuf {
        sending::inbox(self.folder.path(), name)
    }

    /// Somebody gets the file, and it is the file; what the program says of it.
    ///
    /// # Panics
    /// If not.
    pub fn gets(&self, person: &Person<'_>, inbox: &Path) -> Value {
        let got = got(person, GROUP, &self.sent, inbox);
        assert_eq!(hash(&inbox.join("film.mkv")), hash(&self.path));
        assert_eq!(std::fs::read_dir(inbox).expect("a folder").count(), 1, "nothing half is left");
        got
    }

    /// The relay, which keeps no file for long, deletes this one.
    ///
    /// # Panics
    /// If it does not.
    pub fn relay_deletes_it(&mut self) {
        is_deleted(&blob(self.folder.path(), &self.sent), &mut self.relay);
    }
}
