//! A file goes out. It is read twice: once for the list of all chunks, and again for the chunks.

use rand_core::CryptoRng;
use sotto_e2ee::file::{FileAbout, FileKey, FileName, HEAD_BYTES, Sealer, guess};
use sotto_protocol::blob::{BlobSize, ChunkList, HASH_BYTES};

/// The file is not what it was when it was read first. What was read now does not go out: one key never seals two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file changed while it was being sent")]
pub struct Changed;

/// A file that is read for the first time, part by part and in order.
pub struct Reading {
    key: FileKey,
    bytes: u64,
    sealer: Sealer,
    media_type: &'static str,
    hashes: Vec<[u8; HASH_BYTES]>,
}

impl Reading {
    /// Begins, under a new key; `None` if no file may be that large.
    #[must_use]
    pub fn new(bytes: u64, rng: &mut impl CryptoRng) -> Option<Self> {
        let key = FileKey::draw(rng);
        let sealer = Sealer::new(&key, bytes)?;
        Some(Self { key, bytes, sealer, media_type: guess(&[]), hashes: Vec::new() })
    }

    /// How large its blob will be.
    #[must_use]
    pub const fn size(&self) -> BlobSize {
        self.sealer.size()
    }

    /// Where a part begins and how long it is; `None` behind the last one.
    #[must_use]
    pub fn part(&self, chunk: u32) -> Option<(u64, usize)> {
        self.sealer.part(chunk)
    }

    /// Takes the next part; gives it sealed, for who keeps a copy of the file as it goes out.
    ///
    /// # Errors
    /// If it is shorter or longer than it was to be.
    pub fn take(&mut self, part: &[u8]) -> Result<Vec<u8>, Changed> {
        let chunk = u32::try_from(self.hashes.len()).map_err(|_| Changed)?;
        if chunk == 0 {
            self.media_type = guess(part.get(..HEAD_BYTES).unwrap_or(part));
        }
        let sealed = self.sealer.seal(chunk, part).map_err(|_| Changed)?;
        self.hashes.push(self.sealer.hash(chunk, &sealed).ok_or(Changed)?);
        Ok(sealed)
    }

    /// All parts were taken.
    ///
    /// # Errors
    /// If they were not.
    pub fn done(self, name: &str) -> Result<Outgoing, Changed> {
        let list = self.sealer.list(self.hashes).map_err(|_| Changed)?;
        let about = FileAbout {
            name: FileName::lossy(name),
            bytes: self.bytes,
            media_type: self.media_type.to_owned(),
            root: list.root(),
            key: self.key,
        };
        Ok(Outgoing { about, sealer: self.sealer, list })
    }
}

/// A file that was read once.
pub struct Outgoing {
    about: FileAbout,
    sealer: Sealer,
    list: ChunkList,
}

impl Outgoing {
    pub(crate) const fn of(about: FileAbout, sealer: Sealer, list: ChunkList) -> Self {
        Self { about, sealer, list }
    }

    /// What the message says of it.
    #[must_use]
    pub const fn about(&self) -> &FileAbout {
        &self.about
    }

    /// The hashes of its chunks.
    #[must_use]
    pub const fn list(&self) -> &ChunkList {
        &self.list
    }

    /// Where a part begins and how long it is; `None` behind the last one.
    #[must_use]
    pub fn part(&self, chunk: u32) -> Option<(u64, usize)> {
        self.sealer.part(chunk)
    }

    /// Whether this is that chunk, sealed: what was kept of the file may have been damaged.
    #[must_use]
    pub fn is_chunk(&self, chunk: u32, sealed: &[u8]) -> bool {
        self.list.is_chunk(chunk, sealed)
    }

    /// Seals a part once more, where it lies.
    ///
    /// # Errors
    /// If it is not what it was when the list was made.
    pub fn seal(&self, chunk: u32, mut part: Vec<u8>) -> Result<Vec<u8>, Changed> {
        self.sealer.seal_in_place(chunk, &mut part).map_err(|_| Changed)?;
        if self.list.is_chunk(chunk, &part) { Ok(part) } else { Err(Changed) }
    }
}
