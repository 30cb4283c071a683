//! What two devices say to each other on a direct link: a QUIC connection, ALPN [`ALPN`], or a data channel of WebRTC.
//!
//! On QUIC each question is a bidirectional stream of its own: the one that asks writes it whole and ends its half, the other one
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
//! A data channel, label [`CHANNEL`], is reliable and ordered and has messages in the place of streams. Who asks numbers its questions, and
//! the answers may come in any order:
//!
//! ```text
//! taker:   number, big endian 4 | question as above
//! giver:   number, big endian 4 | status | a part of the answer   again and again, until all of it is there
//! ```
//!
//! A message has at most [`MESSAGE_BYTES_MAX`], which every browser takes; the giver fills each but the last. The taker knows how long an
//! answer is. There is no link id: the channel is the one of the descriptions that travelled with it.
//!
//! Either is bound to the link by the certificates of both, whose fingerprints travelled inside MLS.

use crate::blob::{BlobRoot, HASH_BYTES};

/// The name of the protocol in TLS.
pub const ALPN: &[u8] = b"sotto-peer/1";

/// The label of a data channel.
pub const CHANNEL: &str = "sotto-peer/1";

/// Bytes of one message on a data channel.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes in front of the part of an answer in each message.
pub const HEAD_BYTES: usize = NUMBER_BYTES + 1;

const NUMBER_BYTES: usize = 4;

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

/// A question as it travels on a data channel.
#[must_use]
pub fn asking(number: u32, question: Question) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), &question.to_bytes()].concat()
}

/// Reads what somebody asked on a data channel; `None` for what this version does not know.
#[must_use]
pub fn read_asking(message: &[u8]) -> Option<(u32, Question)> {
    let (number, question) = message.split_first_chunk::<NUMBER_BYTES>()?;
    Some((u32::from_be_bytes(*number), Question::read(question)?))
}

/// The answer to a question on a data channel, `None` for what is not here: its messages, one behind the other. Each but the last has
/// [`MESSAGE_BYTES_MAX`].
#[must_use]
pub fn answering(number: u32, answer: Option<&[u8]>) -> Vec<u8> {
    let status = if answer.is_some() { Status::Here } else { Status::Gone };
    let head = [number.to_be_bytes().as_slice(), &[status.to_byte()]].concat();
    let answer = answer.unwrap_or_default();
    let parts = answer.chunks(MESSAGE_BYTES_MAX - HEAD_BYTES);
    let mut messages = Vec::with_capacity(answer.len() + HEAD_BYTES * parts.len().max(1));
    if answer.is_empty() {
        messages.extend_from_slice(&head);
    }
    for part in parts {
        messages.extend_from_slice(&head);
        messages.extend_from_slice(part);
    }
    messages
}

/// Reads one message of an answer on a data channel: to which question, and a part of it.
#[must_use]
pub fn read_answering(message: &[u8]) -> Option<(u32, Status, &[u8])> {
    let (number, rest) = message.split_first_chunk::<NUMBER_BYTES>()?;
    let (status, part) = rest.split_first()?;
    Some((u32::from_be_bytes(*number), Status::read(*status)?, part))
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

    /// Golden, P-075.
    #[test]
    fn on_a_data_channel_questions_are_numbered_and_answers_come_in_messages_of_64_kib() {
        let question = Question { root: BlobRoot([5; HASH_BYTES]), wanted: Wanted::Chunk(7) };
        let asked = asking(0x0102_0304, question);
        assert_eq!(asked, [&[1, 2, 3, 4, 2][..], &[5; 32], &[0, 0, 0, 7]].concat());
        assert_eq!(read_asking(&asked), Some((0x0102_0304, question)));
        assert_eq!(answering(9, None), [0, 0, 0, 9, 2]);
        assert_eq!(answering(9, Some(&[])), [0, 0, 0, 9, 1]);
        assert_eq!(answering(9, Some(&[8, 8])), [0, 0, 0, 9, 1, 8, 8]);
        let chunk: Vec<u8> = (0..200_000_u32).map(|place| place.to_le_bytes()[0]).collect();
        let answer = answering(9, Some(&chunk));
        let messages: Vec<_> = answer.chunks(MESSAGE_BYTES_MAX).collect();
        assert_eq!(messages.len(), 4);
        let parts = messages.iter().map(|message| match read_answering(message) {
            Some((9, Status::Here, part)) => part,
            other => panic!("{other:?}"),
        });
        assert_eq!(parts.collect::<Vec<_>>().concat(), chunk);
        assert_eq!(CHANNEL, "sotto-peer/1");
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
            if let Some((number, question)) = read_asking(&bytes) {
                prop_assert_eq!(asking(number, question), bytes.clone());
            }
            if let Some((number, Status::Here, part)) = read_answering(&bytes) {
                prop_assert_eq!(answering(number, Some(part)), bytes.clone());
            }
            for byte in bytes {
                prop_assert!(Status::read(byte).is_none_or(|status| status.to_byte() == byte));
            }
        }
    }
}
