//! What is inside an envelope.
use sotto_protocol::ids::{DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};

/// The encrypted head of every content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub sent_at: UnixMillis,
    pub number: MessageNumber,
    /// The last entry that the sender had processed.
    pub seen: Sequence,
    /// The sender's hash over the log up to there.
    pub chain: [u8; 32],
}

/// Append-only; a kind that this version does not know is kept as `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    Text {
        body: String,
    },
    /// The conversation's name, sent by who creates, renames or adds.
    Info {
        name: String,
    },
    /// Asks for archive keys from an epoch on.
    KeyRequest {
        hpke_key: Vec<u8>,
        from: Epoch,
        until: Epoch,
    },
    KeyAnswer {
        to: DeviceId,
        sealed: Vec<u8>,
    },
    /// Asks for contents that could not be decrypted.
    ResendRequest {
        hpke_key: Vec<u8>,
        sequences: Vec<Sequence>,
    },
    Resent {
        to: DeviceId,
        sequence: Sequence,
        sealed: Vec<u8>,
    },
    Unknown {
        kind: u16,
    },
}
/// Never shown.
impl Content {
    pub fn is_control(&self) -> bool {
        unimplemented!()
    }
}

/// Bytes of a text body: CONTENT_BYTES_MAX less the head and its padding mark.
pub const TEXT_BYTES_MAX: usize = 63 * 1024;

/// What is routed and never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ephemeral {
    Typing,
    /// Read up to here.
    Receipt {
        upto: Sequence,
    },
    Unknown {
        kind: u16,
    },
}
