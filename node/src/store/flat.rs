//! The file of row secrets on disk.

use crate::profile::private_options;
use sotto_node_core::sealed::Flat;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

pub(super) struct FlatFile(File);

impl FlatFile {
    /// An empty one, in the place of what was there.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        private_options().read(true).write(true).create(true).truncate(true).open(path).map(Self)
    }

    /// The one that is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        private_options().read(true).write(true).open(path).map(Self)
    }
}

impl Flat for FlatFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(at))?;
        self.0.read_exact(into)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(at))?;
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The first write of all makes the file longer, and so does each block: their length goes with them.
        self.0.sync_data()
    }
}
