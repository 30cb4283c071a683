//! What is inside an envelope: the content, with a head that only members read.
//!
//! ```text
//! version 1 | bincode { sent_at, number, seen, chain, history, kind, body, extensions }   then padded
//! ```
//!
//! The body is the bincode of one kind. Kinds are numbered and only ever added; one that this version does not know
//! is kept as [`Content::Unknown`], never as a failure: people see that there is something, unless its number is one
//! of [`CONTROL_KINDS_FROM`] and above, which are for devices. Fields of a kind are frozen, extensions are the tail that
//! later versions write into. So a text that answers another one is a text with an extension, and whoever does not
//! know the extension reads the text.
//!
//! | number | kind | body |
//! |---|---|---|
//! | 1 | text | the text; extensions 1 (what it answers), 2 (seconds until it disappears), 3 (accounts it mentions) |
//! | 2 | info | the conversation's name |
//! | 3 to 6 | key request, key answer, resend request, resent | for devices |
//! | 7 | edit | target, the new text, accounts it mentions, seconds until it disappears |
//! | 8 | delete | target |
//! | 9 | reaction | target, emoji, on or off |
//! | 10 | pin | target, on or off |
//! | 11 | timer | seconds after which texts from now on disappear, or none |
//! | 12 | file | name, bytes, media type, root of the blob, key, caption; extensions as of a text, and 4: a [`Preview`] in parts |
//! | 13 | call | what stays of a [`call`]: which, with a picture, when, how it went, seconds |
//!
//! A preview is longer than one extension may be. So it stands in several of the same number, one behind the other, which are read
//! as one; whoever does not know them passes over each. One that is not what it should be is left out, and the file is there.
//!
//! A target is a place in the log of the same conversation. What these mean, and who may, is decided by the client core.

use crate::file::{FileAbout, FileKey, FileName, PREVIEW_BYTES_MAX, Preview};
use crate::padding::{self, PLAIN_BYTES_MAX};
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::limits::{CONTENT_BYTES_MAX, EXTENSION_BYTES_MAX, EXTENSIONS_MAX};
use zeroize::Zeroizing;

pub mod call;
pub mod peer;

use call::{CallRecord, CallSignal};
use peer::PeerSignal;

/// Bytes of the body of a text: [`CONTENT_BYTES_MAX`] less 1 KiB for head, extensions and the padding's mark. The head
/// takes less than 90 bytes and the extensions of a text with the most mentions less than 540.
pub const TEXT_BYTES_MAX: usize = CONTENT_BYTES_MAX - 1024;

/// Bytes of the caption of a file: what a name, a media type, a root and a key leave of [`TEXT_BYTES_MAX`], 400 bytes less.
pub const CAPTION_BYTES_MAX: usize = TEXT_BYTES_MAX - 512;

/// Bytes of the caption of a file that has a preview: what that leaves, with the numbers around it.
pub const CAPTION_WITH_PREVIEW_BYTES_MAX: usize = CAPTION_BYTES_MAX - PREVIEW_BYTES_MAX - 64;

/// Contents that one [`Content::ResendRequest`] may ask for.
pub const RESENDS_PER_REQUEST_MAX: usize = 64;

/// Accounts that one text may mention: 32 ids of 16 bytes are half of what [`TEXT_BYTES_MAX`] leaves around the body.
/// What is beyond is cut off.
pub const MENTIONS_MAX: usize = 32;

/// An unknown kind from this number on is for devices and not shown.
pub const CONTROL_KINDS_FROM: u16 = 0x8000;

const VERSION: u8 = 1;

/// Extensions of contents.
const REPLY_TO: u16 = 1;
const EXPIRES_AFTER: u16 = 2;
const MENTIONS: u16 = 3;
const PREVIEW: u16 = 4;

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

/// A text for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Text {
    /// The text, at most [`TEXT_BYTES_MAX`].
    pub body: String,
    /// The place of what it answers.
    pub reply_to: Option<Sequence>,
    /// Seconds after which it disappears from every client.
    pub expires_after: Option<u32>,
    /// The accounts it mentions, at most [`MENTIONS_MAX`].
    pub mentions: Vec<AccountId>,
}

/// What is said. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A text for people.
    Text(Text),
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
    /// Another text in the place of an own one. It cannot change what that one answers.
    Edit {
        /// Which.
        target: Sequence,
        /// The new text, with its mentions and the seconds that are left until it disappears.
        text: Text,
    },
    /// A text is to be gone.
    Delete {
        /// Which.
        target: Sequence,
    },
    /// A reaction, put on or taken off.
    React {
        /// To what.
        target: Sequence,
        /// One emoji.
        emoji: String,
        /// On, or off.
        on: bool,
    },
    /// A text is pinned to the conversation, or no more.
    Pin {
        /// Which.
        target: Sequence,
        /// On, or off.
        on: bool,
    },
    /// Texts from now on disappear after so many seconds, or stay.
    Timer {
        /// How long; `None` for ever.
        seconds: Option<u32>,
    },
    /// A file, whose blob is kept elsewhere. Everything that can be done to a text can be done to it.
    File {
        /// What it is, and what opens it.
        about: FileAbout,
        /// What the sender says about it, at most [`CAPTION_BYTES_MAX`], or [`CAPTION_WITH_PREVIEW_BYTES_MAX`]; the body may be
        /// empty.
        caption: Text,
        /// What it looks like, small.
        preview: Option<Preview>,
    },
    /// A call that is over.
    Call(CallRecord),
    /// A kind of a later version.
    Unknown {
        /// Its number.
        kind: u16,
    },
}

/// What is routed and never stored. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ephemeral {
    /// The sender is writing.
    Typing,
    /// The sender's person has read up to here.
    Receipt {
        /// The last entry read.
        upto: Sequence,
    },
    /// The sender's device has processed the log up to here.
    Delivered {
        /// The last entry.
        upto: Sequence,
    },
    /// The sender was away: who is here, please say what was read and delivered.
    ReceiptsWanted,
    /// The sender gave somebody another role: ask the relay, whose word on roles it is.
    RolesChanged,
    /// About a call.
    Call(CallSignal),
    /// About a link between two devices.
    Peer(PeerSignal),
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

/// The body of a file.
type FileBody = (String, u64, String, BlobRoot, FileKey, String);

impl Text {
    /// A text and nothing else.
    pub fn plain(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    fn extensions(&self) -> Vec<(u16, Vec<u8>)> {
        let mut extensions = Vec::new();
        if let Some(reply_to) = &self.reply_to {
            extensions.push((REPLY_TO, write(reply_to).to_vec()));
        }
        if let Some(seconds) = &self.expires_after {
            extensions.push((EXPIRES_AFTER, write(seconds).to_vec()));
        }
        if !self.mentions.is_empty() {
            extensions.push((MENTIONS, write(&self.mentions).to_vec()));
        }
        extensions
    }

    /// Takes what the extensions add to a body; what this version does not know is left.
    fn extended(mut self, extensions: &[(u16, Vec<u8>)]) -> Result<Self, Malformed> {
        for (number, bytes) in extensions {
            match *number {
                REPLY_TO => self.reply_to = Some(read(bytes)?),
                EXPIRES_AFTER => self.expires_after = Some(read(bytes)?),
                MENTIONS => self.mentions = read(bytes)?,
                _ => {}
            }
        }
        self.mentions.truncate(MENTIONS_MAX);
        Ok(self)
    }
}

impl Content {
    /// A text and nothing else.
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text(Text::plain(body))
    }

    /// Whether it is for devices and never shown to people.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        match self {
            Self::Info { .. }
            | Self::KeyRequest { .. }
            | Self::KeyAnswer { .. }
            | Self::ResendRequest { .. }
            | Self::Resent { .. } => true,
            Self::Unknown { kind } => *kind >= CONTROL_KINDS_FROM,
            _ => false,
        }
    }

    fn extensions(&self) -> Vec<(u16, Vec<u8>)> {
        match self {
            Self::Text(text) => text.extensions(),
            Self::File { caption, preview, .. } => {
                let mut extensions = caption.extensions();
                let parts = preview.as_ref().map(Preview::to_parts).unwrap_or_default();
                extensions.extend(parts.into_iter().map(|part| (PREVIEW, part)));
                extensions
            }
            _ => Vec::new(),
        }
    }

    fn to_body(&self) -> Result<(u16, Zeroizing<Vec<u8>>), ContentError> {
        let (kind, body) = match self {
            Self::Text(text) => (1, write(&text.body)),
            Self::Info { name } => (2, write(name)),
            Self::KeyRequest { hpke_key, from, until } => (3, write(&(hpke_key, from, until))),
            Self::KeyAnswer { to, request, sealed } => (4, write(&(to, request, sealed))),
            Self::ResendRequest { hpke_key, sequences } => (5, write(&(hpke_key, sequences))),
            Self::Resent { to, request, sequence, sealed } => (6, write(&(to, request, sequence, sealed))),
            Self::Edit { target, text } => {
                (7, write(&(target, &text.body, &text.mentions, text.expires_after)))
            }
            Self::Delete { target } => (8, write(target)),
            Self::React { target, emoji, on } => (9, write(&(target, emoji, on))),
            Self::Pin { target, on } => (10, write(&(target, on))),
            Self::Timer { seconds } => (11, write(seconds)),
            Self::File { about, caption, .. } => {
                let FileAbout { name, bytes, media_type, root, key } = about;
                (12, write(&(name.as_str(), bytes, media_type, root, key, &caption.body)))
            }
            Self::Call(record) => (13, write(record)),
            Self::Unknown { kind } => return Err(ContentError::UnknownKind(*kind)),
        };
        Ok((kind, body))
    }

    fn from_body(kind: u16, body: &[u8], extensions: &[(u16, Vec<u8>)]) -> Result<Self, Malformed> {
        Ok(match kind {
            1 => Self::Text(Text::plain(read::<String>(body)?).extended(extensions)?),
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
            7 => {
                let (target, body, mut mentions, expires_after): (_, String, Vec<AccountId>, _) = read(body)?;
                mentions.truncate(MENTIONS_MAX);
                Self::Edit { target, text: Text { body, reply_to: None, expires_after, mentions } }
            }
            8 => Self::Delete { target: read(body)? },
            9 => {
                let (target, emoji, on) = read(body)?;
                Self::React { target, emoji, on }
            }
            10 => {
                let (target, on) = read(body)?;
                Self::Pin { target, on }
            }
            11 => Self::Timer { seconds: read(body)? },
            12 => {
                let (name, bytes, media_type, root, key, caption): FileBody = read(body)?;
                let about = FileAbout { name: FileName::lossy(&name), bytes, media_type, root, key };
                if !about.is_sound() {
                    return Err(Malformed);
                }
                let caption = Text::plain(caption).extended(extensions)?;
                Self::File { about, caption, preview: preview(extensions) }
            }
            13 => Self::Call(read(body)?),
            _ => Self::Unknown { kind },
        })
    }
}

/// The preview that stands in the extensions of a file.
fn preview(extensions: &[(u16, Vec<u8>)]) -> Option<Preview> {
    let parts = extensions.iter().filter(|(number, _)| *number == PREVIEW);
    Preview::from_joined(&parts.flat_map(|(_, part)| part).copied().collect::<Vec<u8>>())
}

impl Ephemeral {
    fn to_body(&self) -> Result<(u16, Zeroizing<Vec<u8>>), ContentError> {
        match self {
            Self::Typing => Ok((1, Zeroizing::default())),
            Self::Receipt { upto } => Ok((2, write(upto))),
            Self::Delivered { upto } => Ok((3, write(upto))),
            Self::ReceiptsWanted => Ok((4, Zeroizing::default())),
            Self::RolesChanged => Ok((5, Zeroizing::default())),
            Self::Call(signal) => signal.to_body().map(|body| (6, body)).ok_or(ContentError::TooLarge),
            Self::Peer(signal) => signal.to_body().map(|body| (7, body)).ok_or(ContentError::TooLarge),
            Self::Unknown { kind } => Err(ContentError::UnknownKind(*kind)),
        }
    }

    fn from_body(kind: u16, body: &[u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            1 if body.is_empty() => Self::Typing,
            2 => Self::Receipt { upto: read(body)? },
            3 => Self::Delivered { upto: read(body)? },
            4 if body.is_empty() => Self::ReceiptsWanted,
            5 if body.is_empty() => Self::RolesChanged,
            6 => Self::Call(CallSignal::from_body(body)?),
            7 => Self::Peer(PeerSignal::from_body(body)?),
            1 | 4 | 5 => return Err(Malformed),
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
        extensions: content.extensions(),
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
    Ok((head, Content::from_body(wire.kind, &body, &wire.extensions)?))
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
mod tests;
