//! Blobs: encrypted files, cut into chunks that anybody can verify and nobody can read.
//!
//! ```text
//! blob      chunk 0 (1 MiB) | chunk 1 (1 MiB) | ... | the last one (17 bytes to 1 MiB, or 16 of an empty file)
//! list      hash of chunk 0 | hash of chunk 1 | ...            32 bytes each
//! root      BLAKE3 of the whole blob, which is also the hash of the list's tree
//! ```
//!
//! 1 MiB is 2^10 chunks of BLAKE3, so each chunk of a blob is a whole subtree of BLAKE3's own tree over the blob. Its hash here is
//! the chaining value of that subtree, and the list verifies against the root without a byte of the blob. Where there is one
//! chunk, its hash is the root itself.

use crate::ids::ConversationId;
use crate::limits::{BLOB_CHUNK_BYTES, BLOB_CHUNKS_MAX};
use bincode::{Decode, Encode};
use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use core::fmt;
use core::str::FromStr;

/// Bytes of one hash.
pub const HASH_BYTES: usize = 32;

/// A text that names no blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a blob is named by 64 hex digits")]
pub struct BadRoot;

/// The BLAKE3 of a whole blob: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlobRoot(pub [u8; HASH_BYTES]);

impl fmt::Display for BlobRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, f)
    }
}

impl fmt::Debug for BlobRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobRoot({self})")
    }
}

impl FromStr for BlobRoot {
    type Err = BadRoot;

    fn from_str(text: &str) -> Result<Self, BadRoot> {
        crate::hex::read(text).map(Self).ok_or(BadRoot)
    }
}

impl serde::Serialize for BlobRoot {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a blob is kept: each conversation has its own, so who may is decided before anything is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobPlace {
    /// Whose members read it.
    pub conversation: ConversationId,
    /// Which.
    pub root: BlobRoot,
}

/// A size that no blob has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a blob has 16 bytes at least and {} at most", BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES)]
pub struct BadSize;

/// How large a blob is, within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlobSize(u64);

impl BlobSize {
    /// Checks a size.
    ///
    /// # Errors
    /// If no blob has it.
    pub const fn new(bytes: u64) -> Result<Self, BadSize> {
        let within = bytes >= 16 && bytes <= BLOB_CHUNKS_MAX * BLOB_CHUNK_BYTES;
        if within { Ok(Self(bytes)) } else { Err(BadSize) }
    }

    /// All of it.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// How many chunks it has; one at least.
    #[must_use]
    pub const fn chunks(self) -> u32 {
        // Within the limit by construction.
        #[allow(clippy::cast_possible_truncation)]
        let chunks = self.0.div_ceil(BLOB_CHUNK_BYTES) as u32;
        chunks
    }

    /// Bytes of one chunk; `None` if there is no such chunk.
    #[must_use]
    pub fn chunk_bytes(self, chunk: u32) -> Option<usize> {
        let rest = self.0.checked_sub(u64::from(chunk).checked_mul(BLOB_CHUNK_BYTES)?)?;
        usize::try_from(rest.min(BLOB_CHUNK_BYTES)).ok().filter(|bytes| *bytes > 0)
    }

    /// Bytes of its chunk list.
    #[must_use]
    pub const fn list_bytes(self) -> usize {
        self.chunks() as usize * HASH_BYTES
    }
}

/// Hashes one chunk piece by piece.
pub struct ChunkHasher {
    hasher: Hasher,
    is_only: bool,
    left: usize,
}

impl ChunkHasher {
    /// Of one chunk of a blob; `None` if it has no such chunk.
    #[must_use]
    pub fn new(size: BlobSize, chunk: u32) -> Option<Self> {
        let left = size.chunk_bytes(chunk)?;
        let mut hasher = Hasher::new();
        hasher.set_input_offset(u64::from(chunk) * BLOB_CHUNK_BYTES);
        Some(Self { hasher, is_only: size.chunks() == 1, left })
    }

    /// Takes some more bytes; false, and nothing taken, if they are more than the chunk has.
    #[must_use]
    pub fn update(&mut self, bytes: &[u8]) -> bool {
        let Some(left) = self.left.checked_sub(bytes.len()) else { return false };
        self.left = left;
        self.hasher.update(bytes);
        true
    }

    /// What the list has for this chunk; `None` while bytes are missing.
    #[must_use]
    pub fn finish(&self) -> Option<[u8; HASH_BYTES]> {
        let hash = || {
            if self.is_only { *self.hasher.finalize().as_bytes() } else { self.hasher.finalize_non_root() }
        };
        (self.left == 0).then(hash)
    }
}

/// What the list has for a whole chunk; `None` if its length is not that of the chunk.
#[must_use]
pub fn chunk_hash(size: BlobSize, chunk: u32, bytes: &[u8]) -> Option<[u8; HASH_BYTES]> {
    let mut hasher = ChunkHasher::new(size, chunk)?;
    if hasher.update(bytes) { hasher.finish() } else { None }
}

/// A chunk list that is not the blob's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadList {
    /// Too many or too few hashes for the size.
    #[error("the chunk list has another length than the size says")]
    Length,
    /// The hashes are not those of the root.
    #[error("the chunk list is not that of the root")]
    Root,
}

/// The hashes of a blob's chunks, verified against its root.
#[derive(Clone, PartialEq, Eq)]
pub struct ChunkList {
    root: BlobRoot,
    size: BlobSize,
    hashes: Vec<[u8; HASH_BYTES]>,
}

impl fmt::Debug for ChunkList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkList({}, {} bytes)", self.root, self.size.bytes())
    }
}

impl ChunkList {
    /// Of the hashes of all chunks, by whoever made them.
    ///
    /// # Errors
    /// If they are too many or too few.
    pub fn of(size: BlobSize, hashes: Vec<[u8; HASH_BYTES]>) -> Result<Self, BadList> {
        if hashes.len() != size.chunks() as usize {
            return Err(BadList::Length);
        }
        let root = BlobRoot(root_of(&hashes).ok_or(BadList::Length)?);
        Ok(Self { root, size, hashes })
    }

    /// Reads the list of a blob, as a stranger sent it.
    ///
    /// # Errors
    /// If it is another one's.
    pub fn read(root: BlobRoot, size: BlobSize, bytes: &[u8]) -> Result<Self, BadList> {
        if bytes.len() != size.list_bytes() {
            return Err(BadList::Length);
        }
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        let list = Self::of(size, hashes.to_vec())?;
        if list.root == root { Ok(list) } else { Err(BadList::Root) }
    }

    /// As it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    /// The name of the blob.
    #[must_use]
    pub const fn root(&self) -> BlobRoot {
        self.root
    }

    /// How large it is.
    #[must_use]
    pub const fn size(&self) -> BlobSize {
        self.size
    }

    /// The hash of one chunk.
    #[must_use]
    pub fn hash(&self, chunk: u32) -> Option<&[u8; HASH_BYTES]> {
        self.hashes.get(usize::try_from(chunk).ok()?)
    }

    /// Whether these are the bytes of a chunk.
    #[must_use]
    pub fn is_chunk(&self, chunk: u32, bytes: &[u8]) -> bool {
        let hash = chunk_hash(self.size, chunk, bytes);
        hash.is_some() && hash.as_ref() == self.hash(chunk)
    }
}

/// The root over the subtrees of all chunks; `None` for no chunk.
fn root_of(hashes: &[[u8; HASH_BYTES]]) -> Option<[u8; HASH_BYTES]> {
    match hashes {
        [] => None,
        [only] => Some(*only),
        _ => {
            let (left, right) = halves(hashes);
            Some(*merge_subtrees_root(&value_of(left)?, &value_of(right)?, Mode::Hash).as_bytes())
        }
    }
}

/// The chaining value over the subtrees of some chunks. As deep as the logarithm of [`BLOB_CHUNKS_MAX`]: 16.
fn value_of(hashes: &[[u8; HASH_BYTES]]) -> Option<[u8; HASH_BYTES]> {
    match hashes {
        [] => None,
        [only] => Some(*only),
        _ => {
            let (left, right) = halves(hashes);
            Some(merge_subtrees_non_root(&value_of(left)?, &value_of(right)?, Mode::Hash))
        }
    }
}

/// As BLAKE3 splits: the left one is the largest power of two that leaves something for the right one.
fn halves(hashes: &[[u8; HASH_BYTES]]) -> (&[[u8; HASH_BYTES]], &[[u8; HASH_BYTES]]) {
    let left = hashes.len().div_ceil(2).next_power_of_two();
    hashes.split_at(left.min(hashes.len()))
}

/// Which chunks of a blob are there, one bit each, the first chunk in the highest bit of the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    chunks: u32,
    bits: Vec<u8>,
}

impl Present {
    /// Of a blob, none.
    #[must_use]
    pub fn none(size: BlobSize) -> Self {
        let chunks = size.chunks();
        Self { chunks, bits: vec![0; Self::bytes_of(size)] }
    }

    /// Of a blob, all.
    #[must_use]
    pub fn all(size: BlobSize) -> Self {
        let mut all = Self::none(size);
        (0..all.chunks).for_each(|chunk| all.add(chunk));
        all
    }

    /// Reads what somebody sent; `None` if it is not as long as the blob needs, or names chunks that it does not have.
    #[must_use]
    pub fn read(size: BlobSize, bits: Vec<u8>) -> Option<Self> {
        let none = Self::none(size);
        let read = Self { bits, ..none };
        let beyond = (read.chunks..read.chunks.next_multiple_of(8)).any(|chunk| read.bit(chunk));
        (read.bits.len() == Self::bytes_of(size) && !beyond).then_some(read)
    }

    /// How many bytes it has as it travels.
    #[must_use]
    pub const fn bytes_of(size: BlobSize) -> usize {
        size.chunks().div_ceil(8) as usize
    }

    /// As it travels.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// One more is there.
    pub fn add(&mut self, chunk: u32) {
        if chunk < self.chunks
            && let Some(byte) = self.bits.get_mut(chunk as usize / 8)
        {
            *byte |= 0x80 >> (chunk % 8);
        }
    }

    /// Whether one is there.
    #[must_use]
    pub fn has(&self, chunk: u32) -> bool {
        chunk < self.chunks && self.bit(chunk)
    }

    /// Those that are not there, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.chunks).filter(|chunk| !self.bit(*chunk))
    }

    /// Whether all are.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.missing().next().is_none()
    }

    fn bit(&self, chunk: u32) -> bool {
        self.bits.get(chunk as usize / 8).is_some_and(|byte| byte & (0x80 >> (chunk % 8)) != 0)
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "files of tests are small")]
mod tests;
