//! Files: sealed chunk by chunk under a key of their own, so that whoever keeps them can verify and not read.
//!
//! ```text
//! key 32, random for each file -- HKDF-SHA256("sotto file v1") --> chunk key 32
//! chunk n of the blob = ChaCha20-Poly1305(chunk key, nonce, part n of the file) | tag 16        1 MiB, the last one less
//! nonce 12 = zeros 7 | n, big endian 4 | 1 for the last chunk, else 0     associated data = "sotto file v1"
//! ```
//!
//! That is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) with a 32-bit counter, as age and Tink use it: no chunk can be left
//! out, repeated, put at another place, or the file be cut off. The prefix of the nonce is zero since a key seals one file.
//! Sealing is a function of key and file, so an upload that was interrupted goes on with the same bytes. **A key must not seal
//! two files**: make the list of all chunks first, and let no chunk out that the list does not have.
//!
//! An empty file is one empty last chunk; a file that fills its last chunk has no empty one behind it. How chunks verify is in
//! [`sotto_protocol::blob`].

mod cipher;
mod kind;
mod name;
mod preview;

pub use kind::{HEAD_BYTES, guess, picture};
pub use name::FileName;
pub use preview::{PICTURE_EDGE_MAX, PREVIEW_BYTES_MAX, PREVIEW_EDGE_MAX, Preview};

use crate::content::{self, Malformed};
use bincode::{Decode, Encode};
use cipher::{Cipher, nonce};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use sotto_protocol::blob::{BadList, BlobRoot, BlobSize, ChunkList, HASH_BYTES, chunk_hash};
use sotto_protocol::limits::{BLOB_CHUNK_BYTES, BLOB_CHUNKS_MAX, MEDIA_TYPE_BYTES_MAX};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const LABEL: &[u8] = b"sotto file v1";
const TAG: usize = 16;
const TAG_BYTES: u64 = 16;

/// Bytes of a file in each of its chunks but the last: 1 MiB less the tag.
pub const PART_BYTES: u64 = BLOB_CHUNK_BYTES - TAG_BYTES;

/// The largest file: 64 GiB less 16 bytes for each of 65,536 chunks.
pub const FILE_BYTES_MAX: u64 = BLOB_CHUNKS_MAX * PART_BYTES;

/// The key of one file. Whoever has it reads the file.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
pub struct FileKey([u8; 32]);

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey")
    }
}

impl FileKey {
    /// A new one.
    #[must_use]
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self(key)
    }

    /// For tests and golden bytes.
    #[cfg(test)]
    pub(crate) const fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A file in a conversation: how it is called, how large it is, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FileAbout {
    /// What it is called, made safe.
    pub name: FileName,
    /// Bytes of the file itself, at most [`FILE_BYTES_MAX`].
    pub bytes: u64,
    /// What the sender's device took it for by its content, as `image/png`; at most [`MEDIA_TYPE_BYTES_MAX`]. Said, not proved.
    pub media_type: String,
    /// The blob.
    pub root: BlobRoot,
    /// What opens it.
    pub key: FileKey,
}

impl FileAbout {
    /// How large its blob is; `None` if no file is that large.
    #[must_use]
    pub fn blob_size(&self) -> Option<BlobSize> {
        blob_size(self.bytes)
    }

    /// What the part of a client that knows conversations hands to the part that opens files, and takes from the part that
    /// seals them, where the two are apart. The key is in it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Self { name, bytes, media_type, root, key } = self;
        content::write(&(name.as_str(), bytes, media_type, root, key))
    }

    /// Reads what [`FileAbout::to_bytes`] wrote.
    ///
    /// # Errors
    /// If it is something else, or over a limit.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let (name, bytes, media_type, root, key): (String, _, _, _, _) = content::read(bytes)?;
        let about = Self { name: FileName::lossy(&name), bytes, media_type, root, key };
        if about.is_sound() { Ok(about) } else { Err(Malformed) }
    }

    /// Whether it keeps the limits.
    #[must_use]
    pub(crate) fn is_sound(&self) -> bool {
        self.bytes <= FILE_BYTES_MAX
            && self.media_type.len() <= MEDIA_TYPE_BYTES_MAX
            && self.media_type.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// How large the blob of a file is; `None` if the file is larger than [`FILE_BYTES_MAX`].
#[must_use]
pub fn blob_size(file_bytes: u64) -> Option<BlobSize> {
    let chunks = file_bytes.div_ceil(PART_BYTES).max(1);
    BlobSize::new(file_bytes.checked_add(chunks.checked_mul(TAG_BYTES)?)?).ok()
}

/// A chunk that is not the file's: it was changed, is another one, or the key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunk {0} does not open: it is damaged, or of another file")]
pub struct BadChunk(pub u32);

/// Seals and opens the chunks of one file, one at a time, in any order.
pub struct Sealer {
    cipher: Cipher,
    file_bytes: u64,
    size: BlobSize,
}

impl Sealer {
    /// Of a file; `None` if it is larger than [`FILE_BYTES_MAX`].
    #[must_use]
    pub fn new(key: &FileKey, file_bytes: u64) -> Option<Self> {
        let size = blob_size(file_bytes)?;
        let mut chunk_key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &key.0)
            .expand(LABEL, chunk_key.as_mut_slice())
            .expect("32 bytes are fewer than 255 hashes");
        Some(Self { cipher: Cipher::new(&chunk_key), file_bytes, size })
    }

    /// How large the blob is.
    #[must_use]
    pub const fn size(&self) -> BlobSize {
        self.size
    }

    /// Where in the file a part begins, and how many bytes it has; `None` if there is no such part.
    #[must_use]
    pub fn part(&self, chunk: u32) -> Option<(u64, usize)> {
        if chunk >= self.size.chunks() {
            return None;
        }
        let start = u64::from(chunk) * PART_BYTES;
        let bytes = self.file_bytes.checked_sub(start)?.min(PART_BYTES);
        Some((start, usize::try_from(bytes).ok()?))
    }

    /// Seals one part where it lies. Room for 16 bytes more saves a copy.
    ///
    /// # Errors
    /// If it is not as long as that part of the file.
    pub fn seal_in_place(&self, chunk: u32, part: &mut Vec<u8>) -> Result<(), BadChunk> {
        if self.part(chunk).is_none_or(|(_, bytes)| bytes != part.len()) {
            return Err(BadChunk(chunk));
        }
        self.cipher.seal(nonce(chunk, self.is_last(chunk)), part).map_err(|_| BadChunk(chunk))
    }

    /// Opens one chunk where it lies. If it does not open, what lies there is worth nothing any more.
    ///
    /// # Errors
    /// If it is not that chunk of this file.
    pub fn open_in_place(&self, chunk: u32, sealed: &mut Vec<u8>) -> Result<(), BadChunk> {
        if self.size.chunk_bytes(chunk) != Some(sealed.len()) {
            return Err(BadChunk(chunk));
        }
        self.cipher.open(nonce(chunk, self.is_last(chunk)), sealed).map_err(|_| BadChunk(chunk))
    }

    /// Seals one part.
    ///
    /// # Errors
    /// If it is not as long as that part of the file.
    pub fn seal(&self, chunk: u32, part: &[u8]) -> Result<Vec<u8>, BadChunk> {
        let mut sealed = Vec::with_capacity(part.len() + TAG);
        sealed.extend_from_slice(part);
        self.seal_in_place(chunk, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens one chunk.
    ///
    /// # Errors
    /// If it is not that chunk of this file.
    pub fn open(&self, chunk: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadChunk> {
        let mut part = Zeroizing::new(sealed.to_vec());
        self.open_in_place(chunk, &mut part)?;
        Ok(part)
    }

    /// What the chunk list has for a sealed chunk.
    #[must_use]
    pub fn hash(&self, chunk: u32, sealed: &[u8]) -> Option<[u8; HASH_BYTES]> {
        chunk_hash(self.size, chunk, sealed)
    }

    /// The list of the hashes of all chunks.
    ///
    /// # Errors
    /// If they are too many or too few.
    pub fn list(&self, hashes: Vec<[u8; HASH_BYTES]>) -> Result<ChunkList, BadList> {
        ChunkList::of(self.size, hashes)
    }

    const fn is_last(&self, chunk: u32) -> bool {
        chunk + 1 == self.size.chunks()
    }
}

#[cfg(test)]
pub(crate) use preview::tests::jpeg;

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "files of tests are small")]
mod tests;
