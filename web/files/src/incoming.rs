//! A file comes in. Each chunk is held against the list, and the list against the root that the sender named.

use crate::Outgoing;
use sotto_e2ee::file::{FileAbout, Sealer};
use sotto_protocol::blob::{BlobRoot, BlobSize, ChunkList};
use zeroize::Zeroizing;

/// What the relay has is not what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the relay has is not the file that was sent")]
pub struct Damaged;

/// A file of which only the message is known.
pub struct Wanted {
    about: FileAbout,
    sealer: Sealer,
}

impl Wanted {
    /// As the engine handed it over; `None` if that is no file.
    #[must_use]
    pub fn read(about: &[u8]) -> Option<Self> {
        let about = FileAbout::read(about).ok()?;
        let sealer = Sealer::new(&about.key, about.bytes)?;
        Some(Self { about, sealer })
    }

    /// What the message says of it.
    #[must_use]
    pub const fn about(&self) -> &FileAbout {
        &self.about
    }

    /// How large its blob is.
    #[must_use]
    pub const fn size(&self) -> BlobSize {
        self.sealer.size()
    }

    /// Takes the hashes of its chunks, as the relay sent them.
    ///
    /// # Errors
    /// If they are another file's.
    pub fn list(self, list: &[u8]) -> Result<Incoming, Damaged> {
        let list = ChunkList::read(self.about.root, self.sealer.size(), list).map_err(|_| Damaged)?;
        Ok(Incoming { about: self.about, sealer: self.sealer, list })
    }
}

/// A file whose chunks can be told from others.
pub struct Incoming {
    about: FileAbout,
    sealer: Sealer,
    list: ChunkList,
}

impl Incoming {
    /// The name of its blob.
    #[must_use]
    pub const fn root(&self) -> BlobRoot {
        self.about.root
    }

    /// Bytes of a chunk as the relay has it; `None` if there is no such chunk.
    #[must_use]
    pub fn chunk_bytes(&self, chunk: u32) -> Option<usize> {
        self.list.size().chunk_bytes(chunk)
    }

    /// Where a part begins and how long it is; `None` behind the last one.
    #[must_use]
    pub fn part(&self, chunk: u32) -> Option<(u64, usize)> {
        self.sealer.part(chunk)
    }

    /// All of it is here: from now on others can have it from here.
    #[must_use]
    pub fn done(self) -> Outgoing {
        Outgoing::of(self.about, self.sealer, self.list)
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// If it is not that chunk of this file.
    pub fn open(&self, chunk: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Damaged> {
        if !self.list.is_chunk(chunk, sealed) {
            return Err(Damaged);
        }
        self.sealer.open(chunk, sealed).map_err(|_| Damaged)
    }
}
