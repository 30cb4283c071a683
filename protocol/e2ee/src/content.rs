//! What is inside an envelope: the content, with a head that only members read.
//!
//! ```text
//! version 1 | bincode { sent_at, number, seen, chain, history, kind, body, extensions }   then padded
//! ```
//!
//! The body is the bincode of one kind. Kinds are numbered and only ever added; one that this version does not know
//! is kept as [`Content::Unknown`], never as a failure. Fields of a kind are frozen, extensions are the tail that
//! later versions write into.

use crate::padding::{self, PLAIN_BYTES_MAX};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::{DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::limits::{CONTENT_BYTES_MAX, EXTENSION_BYTES_MAX, EXTENSIONS_MAX};
use zeroize::Zeroizing;

/// Bytes of the body of a text: [`CONTENT_BYTES_MAX`] less 1 KiB for head, extensions and the padding's mark.
pub const TEXT_BYTES_MAX: usize = CONTENT_BYTES_MAX - 1024;

/// Contents that one [`Content::ResendRequest`] may ask for.
pub const RESENDS_PER_REQUEST_MAX: usize = 64;

const VERSION: u8 = 1;

/// Names one request for keys or contents: the start of the hash of its public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RequestTag(pub [u8; 16]);

/// The encrypted head of every content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// When it was sent, by the sender's clock.
    pub sent_at: UnixMillis,
    /// The sender's number of it.
    pub number: MessageNumber,
    /// The last entry that the sender had processed.
    pub seen: Sequence,
    /// The sender's hash over the log up to there.
    pub chain: [u8; 32],
    /// Who may read the past, as the sender knows it.
    pub history: HistoryPolicy,
}

/// What is said. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A text for people, at most [`TEXT_BYTES_MAX`].
    Text {
        /// The text.
        body: String,
    },
    /// The name of the conversation; sent by whoever creates it, renames it or adds members.
    Info {
        /// The name.
        name: String,
    },
    /// Asks for archive keys.
    KeyRequest {
        /// What the answer is sealed to.
        hpke_key: Vec<u8>,
        /// The first epoch.
        from: Epoch,
        /// The last epoch.
        until: Epoch,
    },
    /// Archive keys for one device.
    KeyAnswer {
        /// Who asked.
        to: DeviceId,
        /// Which request.
        request: RequestTag,
        /// The keys, sealed to the request's key.
        sealed: Vec<u8>,
    },
    /// Asks for contents that could not be decrypted, at most [`RESENDS_PER_REQUEST_MAX`].
    ResendRequest {
        /// What the answers are sealed to.
        hpke_key: Vec<u8>,
        /// Their places in the log.
        sequences: Vec<Sequence>,
    },
    /// One content again, for one device.
    Resent {
        /// Who asked.
        to: DeviceId,
        /// Which request.
        request: RequestTag,
        /// Its place in the log.
        sequence: Sequence,
        /// The content, sealed to the request's key.
        sealed: Vec<u8>,
    },
    /// A kind of a later version.
    Unknown {
        /// Its number.
        kind: u16,
    },
}

/// What is routed and never stored. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ephemeral {
    /// The sender is writing.
    Typing,
    /// The sender's person has read up to here.
    Receipt {
        /// The last entry read.
        upto: Sequence,
    },
    /// A kind of a later version.
    Unknown {
        /// Its number.
        kind: u16,
    },
}

/// A content that cannot be written. The caller is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Longer than the largest padding class holds.
    #[error("a content is at most {TEXT_BYTES_MAX} bytes")]
    TooLarge,
    /// A kind of a later version cannot be written by this one.
    #[error("this version does not know how to write content of kind {0}")]
    UnknownKind(u16),
}

/// Bytes that are no content of version 1. Whoever made them is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a content")]
pub struct Malformed;

#[derive(Encode, Decode)]
struct Wire {
    sent_at: UnixMillis,
    number: MessageNumber,
    seen: Sequence,
    chain: [u8; 32],
    history: HistoryPolicy,
    kind: u16,
    body: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
}

#[derive(Encode, Decode)]
struct WireEphemeral {
    sent_at: UnixMillis,
    kind: u16,
    body: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
}

impl Content {
    /// Whether it is for devices and never shown to people.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        !matches!(self, Self::Text { .. })
    }

    fn to_body(&self) -> Result<(u16, Zeroizing<Vec<u8>>), ContentError> {
        let (kind, body) = match self {
            Self::Text { body } => (1, write(body)),
            Self::Info { name } => (2, write(name)),
            Self::KeyRequest { hpke_key, from, until } => (3, write(&(hpke_key, from, until))),
            Self::KeyAnswer { to, request, sealed } => (4, write(&(to, request, sealed))),
            Self::ResendRequest { hpke_key, sequences } => (5, write(&(hpke_key, sequences))),
            Self::Resent { to, request, sequence, sealed } => (6, write(&(to, request, sequence, sealed))),
            Self::Unknown { kind } => return Err(ContentError::UnknownKind(*kind)),
        };
        Ok((kind, body))
    }

    fn from_body(kind: u16, body: &[u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            1 => Self::Text { body: read(body)? },
            2 => Self::Info { name: read(body)? },
            3 => {
                let (hpke_key, from, until) = read(body)?;
                Self::KeyRequest { hpke_key, from, until }
            }
            4 => {
                let (to, request, sealed) = read(body)?;
                Self::KeyAnswer { to, request, sealed }
            }
            5 => {
                let (hpke_key, sequences): (_, Vec<Sequence>) = read(body)?;
                if sequences.len() > RESENDS_PER_REQUEST_MAX {
                    return Err(Malformed);
                }
                Self::ResendRequest { hpke_key, sequences }
            }
            6 => {
                let (to, request, sequence, sealed) = read(body)?;
                Self::Resent { to, request, sequence, sealed }
            }
            _ => Self::Unknown { kind },
        })
    }
}

impl Ephemeral {
    fn to_body(self) -> Result<(u16, Zeroizing<Vec<u8>>), ContentError> {
        match self {
            Self::Typing => Ok((1, Zeroizing::default())),
            Self::Receipt { upto } => Ok((2, write(&upto))),
            Self::Unknown { kind } => Err(ContentError::UnknownKind(kind)),
        }
    }

    fn from_body(kind: u16, body: &[u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            1 if body.is_empty() => Self::Typing,
            1 => return Err(Malformed),
            2 => Self::Receipt { upto: read(body)? },
            _ => Self::Unknown { kind },
        })
    }
}

/// Head and content as padded bytes, ready to be encrypted.
pub(crate) fn encode(head: &Head, content: &Content) -> Result<Zeroizing<Vec<u8>>, ContentError> {
    let (kind, mut body) = content.to_body()?;
    let wire = Wire {
        sent_at: head.sent_at,
        number: head.number,
        seen: head.seen,
        chain: head.chain,
        history: head.history,
        kind,
        body: std::mem::take(&mut *body),
        extensions: Vec::new(),
    };
    let plain = versioned(&wire);
    drop(Zeroizing::new(wire.body));
    padding::pad(&plain).ok_or(ContentError::TooLarge)
}

/// Reads what [`encode`] wrote, or a later version of it.
pub(crate) fn decode(padded: &[u8]) -> Result<(Head, Content), Malformed> {
    let wire: Wire = read_versioned(padded)?;
    let body = Zeroizing::new(wire.body);
    check_extensions(&wire.extensions)?;
    let head = Head {
        sent_at: wire.sent_at,
        number: wire.number,
        seen: wire.seen,
        chain: wire.chain,
        history: wire.history,
    };
    Ok((head, Content::from_body(wire.kind, &body)?))
}

/// An ephemeral as padded bytes, ready to be sealed.
pub(crate) fn encode_ephemeral(
    sent_at: UnixMillis,
    ephemeral: Ephemeral,
) -> Result<Zeroizing<Vec<u8>>, ContentError> {
    let (kind, mut body) = ephemeral.to_body()?;
    let wire = WireEphemeral { sent_at, kind, body: std::mem::take(&mut *body), extensions: Vec::new() };
    padding::pad(&versioned(&wire)).ok_or(ContentError::TooLarge)
}

/// Reads what [`encode_ephemeral`] wrote, or a later version of it.
pub(crate) fn decode_ephemeral(padded: &[u8]) -> Result<(UnixMillis, Ephemeral), Malformed> {
    let wire: WireEphemeral = read_versioned(padded)?;
    check_extensions(&wire.extensions)?;
    Ok((wire.sent_at, Ephemeral::from_body(wire.kind, &wire.body)?))
}

fn versioned(wire: &impl Encode) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(vec![VERSION]);
    plain.extend_from_slice(&write(wire));
    plain
}

fn read_versioned<T: Decode<()>>(padded: &[u8]) -> Result<T, Malformed> {
    match padding::unpad(padded).and_then(<[u8]>::split_first) {
        Some((&VERSION, bytes)) => read(bytes),
        _ => Err(Malformed),
    }
}

fn check_extensions(extensions: &[(u16, Vec<u8>)]) -> Result<(), Malformed> {
    let within = extensions.len() <= EXTENSIONS_MAX
        && extensions.iter().all(|(_, bytes)| bytes.len() <= EXTENSION_BYTES_MAX);
    if within { Ok(()) } else { Err(Malformed) }
}

/// bincode 2 standard with a limit: no claim of a length allocates more than a content may hold.
const CONFIG: Configuration<LittleEndian, Varint, Limit<{ PLAIN_BYTES_MAX }>> =
    bincode::config::standard().with_limit::<{ PLAIN_BYTES_MAX }>();

/// One value in bincode, in memory that is wiped.
pub(crate) fn write(value: &impl Encode) -> Zeroizing<Vec<u8>> {
    let bytes = bincode::encode_to_vec(value, bincode::config::standard());
    Zeroizing::new(
        bytes.expect("writing to memory does not fail, and no content has a type that cannot be encoded"),
    )
}

/// Reads one value to the last byte.
pub(crate) fn read<T: Decode<()>>(bytes: &[u8]) -> Result<T, Malformed> {
    match bincode::decode_from_slice(bytes, CONFIG) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        Head {
            sent_at: UnixMillis(1_700_000_000_000),
            number: MessageNumber(7),
            seen: Sequence(9),
            chain: [3; 32],
            history: HistoryPolicy::SinceJoining,
        }
    }

    fn contents() -> Vec<Content> {
        let (to, request) = (DeviceId([1; 16]), RequestTag([2; 16]));
        vec![
            Content::Text { body: "grüezi".into() },
            Content::Info { name: "Sunday".into() },
            Content::KeyRequest { hpke_key: vec![4; 1216], from: Epoch(1), until: Epoch(5) },
            Content::KeyAnswer { to, request, sealed: vec![5; 100] },
            Content::ResendRequest { hpke_key: vec![4; 32], sequences: vec![Sequence(1), Sequence(300)] },
            Content::Resent { to, request, sequence: Sequence(300), sealed: vec![6; 10] },
        ]
    }

    #[test]
    fn every_content_is_read_as_it_was_written() {
        for content in contents() {
            let padded = encode(&head(), &content).expect("small");
            assert_eq!(decode(&padded), Ok((head(), content)));
        }
        for ephemeral in [Ephemeral::Typing, Ephemeral::Receipt { upto: Sequence(70_000) }] {
            let padded = encode_ephemeral(UnixMillis(5), ephemeral).expect("small");
            assert_eq!(decode_ephemeral(&padded), Ok((UnixMillis(5), ephemeral)));
        }
    }

    #[test]
    fn a_content_of_a_later_kind_is_kept_as_unknown() {
        let wire = |kind| Wire {
            sent_at: head().sent_at,
            number: head().number,
            seen: head().seen,
            chain: head().chain,
            history: head().history,
            kind,
            body: b"from the future".to_vec(),
            extensions: vec![(1, vec![2])],
        };
        let padded = padding::pad(&versioned(&wire(999))).expect("small");
        assert_eq!(decode(&padded), Ok((head(), Content::Unknown { kind: 999 })));
        let padded = padding::pad(&versioned(&wire(3))).expect("small");
        assert_eq!(decode(&padded), Err(Malformed));
    }

    /// Golden: these bytes lie in logs and archives.
    #[test]
    fn a_text_has_the_bytes_of_version_1() {
        let padded = encode(&head(), &Content::Text { body: "hi".into() }).expect("small");
        let plain = padding::unpad(&padded).expect("padded");
        let mut golden = vec![1, 0xfd, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00, 7, 9];
        golden.extend([3; 32]);
        golden.extend([1, 1, 3, 2, b'h', b'i', 0]);
        assert_eq!(plain, golden);
    }

    #[test]
    fn the_longest_text_fits_and_a_longer_one_is_refused() {
        let text = |length| Content::Text { body: "x".repeat(length) };
        assert!(encode(&head(), &text(TEXT_BYTES_MAX)).is_ok());
        assert_eq!(encode(&head(), &text(CONTENT_BYTES_MAX)), Err(ContentError::TooLarge));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256), kind in 0u16..8) {
            let _ = decode(&bytes);
            let _ = Content::from_body(kind, &bytes);
            let _ = Ephemeral::from_body(kind, &bytes);
            if let Some(padded) = padding::pad(&bytes) {
                let _ = decode(&padded);
                let _ = decode_ephemeral(&padded);
            }
        }
    }
}
