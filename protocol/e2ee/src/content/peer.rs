//! How two devices of a conversation find to each other: what is an ephemeral, so sealed for the members and signed.
//!
//! ```text
//! body of an ephemeral of kind 7:  bincode { to, word, bytes }
//! ```
//!
//! | word | meaning | to | bytes |
//! |---|---|---|---|
//! | 1 | wanted: who has this file? | all | ask, root |
//! | 2 | have: I do, and here is how to reach me | who asked | ask, link, way |
//! | 3 | meet: here is how to reach me, now connect | who has it | link, way |
//!
//! A way is the SHA-256 of the certificate that the device shows, and the addresses under which it may be reached. The number of
//! an ask and of a link is random and drawn anew for each, so a word that a relay repeats is of one that is over. A word
//! that this version does not know is [`PeerWord::Unknown`], and passed over.

use super::{Malformed, read, write};
use bincode::{Decode, Encode};
use core::net::SocketAddr;
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AskId, DeviceId, LinkId};
use zeroize::Zeroizing;

/// Addresses in one [`Way`]: one of each network that a device is in, and what a relay sees of it.
pub const ADDRESSES_MAX: usize = 8;

/// How to reach a device, and how to know it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Way {
    /// The SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
    /// Where it may be, at most [`ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
}

impl Way {
    const fn is_sound(&self) -> bool {
        self.addresses.len() <= ADDRESSES_MAX
    }
}

/// One word with whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSignal {
    /// For which device; `None` for all of the conversation.
    pub to: Option<DeviceId>,
    /// What it says.
    pub word: PeerWord,
}

/// What one says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerWord {
    /// Who has this file?
    Wanted {
        /// Names the question.
        ask: AskId,
        /// Which file.
        root: BlobRoot,
    },
    /// This device has it.
    Have {
        /// What it answers.
        ask: AskId,
        /// Names the link that may come of it.
        link: LinkId,
        /// How to reach this device.
        way: Way,
    },
    /// Let us connect.
    Meet {
        /// As the other one named it.
        link: LinkId,
        /// How to reach this device.
        way: Way,
    },
    /// A word of a later version.
    Unknown {
        /// Its number.
        word: u16,
    },
}

#[derive(Encode, Decode)]
struct WireSignal {
    to: Option<DeviceId>,
    word: u16,
    bytes: Vec<u8>,
}

impl PeerSignal {
    /// `None` for a word that this version cannot write, or one beyond its limits.
    pub(super) fn to_body(&self) -> Option<Zeroizing<Vec<u8>>> {
        let (word, mut bytes) = match &self.word {
            PeerWord::Wanted { ask, root } => (1, write(&(ask, root))),
            PeerWord::Have { ask, link, way } if way.is_sound() => (2, write(&(ask, link, way))),
            PeerWord::Meet { link, way } if way.is_sound() => (3, write(&(link, way))),
            _ => return None,
        };
        let bytes = std::mem::take(&mut *bytes);
        Some(write(&WireSignal { to: self.to, word, bytes }))
    }

    pub(super) fn from_body(body: &[u8]) -> Result<Self, Malformed> {
        let WireSignal { to, word, bytes } = read(body)?;
        let word = match word {
            1 => {
                let (ask, root) = read(&bytes)?;
                PeerWord::Wanted { ask, root }
            }
            2 => {
                let (ask, link, way) = read(&bytes)?;
                PeerWord::Have { ask, link, way }
            }
            3 => {
                let (link, way) = read(&bytes)?;
                PeerWord::Meet { link, way }
            }
            word => PeerWord::Unknown { word },
        };
        match &word {
            PeerWord::Have { way, .. } | PeerWord::Meet { way, .. } if !way.is_sound() => Err(Malformed),
            _ => Ok(Self { to, word }),
        }
    }
}
