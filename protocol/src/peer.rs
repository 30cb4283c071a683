//! What two devices say to each other on a direct QUIC connection, ALPN [`ALPN`].
//!
//! Each question is a bidirectional stream of its own: the one that asks writes it whole and ends its half, the other one
//! answers and ends the other.
//!
//! ```text
//! dialler: link id 16                        -- 1 -->     the first stream: which link this is
//! taker:   1 | root 32 | 0 as 4 bytes        -- status 1 | chunk list -->
//! taker:   2 | root 32 | chunk, big endian 4 -- status 1 | chunk as it lies at a relay -->
//! taker:   3 | root 32 | 0 as 4 bytes        -- status 1 | one bit for each chunk that is here, the first one highest -->
//! status:  1 here it is; 2 not here, or not any more; nothing follows
//! ```
//!
//! The connection is bound to the link by the certificates of both, whose fingerprints travelled inside MLS.

use crate::blob::{BlobRoot, HASH_BYTES};

/// The name of the protocol in TLS.
pub const ALPN: &[u8] = b"sotto-peer/1";

/// What a dialler is answered when its link is known.
pub const WELCOME: u8 = 1;

/// Bytes of one question.
pub const QUESTION_BYTES: usize = 1 + HASH_BYTES + 4;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The hashes of all chunks.
    List,
    /// One chunk.
    Chunk(u32),
    /// Which chunks are here: not all while the device itself is still getting the file.
    Present,
}

/// One question about a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Of which.
    pub root: BlobRoot,
    /// What.
    pub wanted: Wanted,
}

impl Question {
    /// As it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; QUESTION_BYTES] {
        let (kind, chunk) = match self.wanted {
            Wanted::List => (1, 0),
            Wanted::Chunk(chunk) => (2, chunk),
            Wanted::Present => (3, 0),
        };
        let mut bytes = [0; QUESTION_BYTES];
        let all = [kind].into_iter().chain(self.root.0).chain(chunk.to_be_bytes());
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// Reads what somebody sent; `None` for a question that this version does not know.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (root, chunk) = rest.split_first_chunk::<HASH_BYTES>()?;
        let chunk = u32::from_be_bytes(chunk.try_into().ok()?);
        let wanted = match (kind, chunk) {
            (1, 0) => Wanted::List,
            (2, chunk) => Wanted::Chunk(chunk),
            (3, 0) => Wanted::Present,
            _ => return None,
        };
        Some(Self { root: BlobRoot(*root), wanted })
    }
}

/// The first byte of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// What was asked for follows.
    Here,
    /// It is not here, or not any more.
    Gone,
}

impl Status {
    /// As it travels.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Here => 1,
            Self::Gone => 2,
        }
    }

    /// Reads it; `None` if it is none.
    #[must_use]
    pub const fn read(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Here),
            2 => Some(Self::Gone),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Golden: what programs of this version say to each other.
    #[test]
    fn questions_and_answers_have_the_bytes_of_version_1() {
        let root = BlobRoot([5; HASH_BYTES]);
        let list = Question { root, wanted: Wanted::List }.to_bytes();
        assert_eq!(list.as_slice(), [&[1][..], &[5; 32], &[0; 4]].concat());
        let chunk = Question { root, wanted: Wanted::Chunk(0x0102_0304) }.to_bytes();
        assert_eq!(chunk.as_slice(), [&[2][..], &[5; 32], &[1, 2, 3, 4]].concat());
        let present = Question { root, wanted: Wanted::Present }.to_bytes();
        assert_eq!(present.as_slice(), [&[3][..], &[5; 32], &[0; 4]].concat());
        assert_eq!((Status::Here.to_byte(), Status::Gone.to_byte(), WELCOME), (1, 2, 1));
        assert_eq!(ALPN, b"sotto-peer/1");
    }

    proptest! {
        #[test]
        fn a_question_is_read_as_it_was_written_and_other_bytes_are_none(
            bytes in proptest::collection::vec(any::<u8>(), 0..50),
            root in any::<[u8; 32]>(),
            chunk in any::<u32>(),
        ) {
            for wanted in [Wanted::List, Wanted::Chunk(chunk), Wanted::Present] {
                let question = Question { root: BlobRoot(root), wanted };
                prop_assert_eq!(Question::read(&question.to_bytes()), Some(question));
            }
            if let Some(question) = Question::read(&bytes) {
                prop_assert_eq!(question.to_bytes().to_vec(), bytes.clone());
            }
            for byte in bytes {
                prop_assert!(Status::read(byte).is_none_or(|status| status.to_byte() == byte));
            }
        }
    }
}
