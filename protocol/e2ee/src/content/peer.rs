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
//! | 4 | sought: who has this file, and can give it over one of these? | all | ask, root, carriers |
//! | 5 | offer: I do, and here is a description of my end | who asked | ask, link, round, SDP |
//! | 6 | answer: here is one of mine | who offered | link, round, SDP |
//! | 7 | candidates: here I may be reached | the other end | link, round, list |
//!
//! Links are made over QUIC by the words 1 to 3, and over a data channel of WebRTC by 4 to 7; a description holds the fingerprint of its
//! device's certificate. Carriers are bits: 1 QUIC, 2 data channel, 4 a data channel by way of what the relay lends (TURN, its streams), which
//! is asked for where the relay has the file no more and nobody was reached directly. Who speaks QUIC answers 4 as 1 if that is among them,
//! and by an offer if it is not and it can make data channels too.
//!
//! A way is the SHA-256 of the certificate that the device shows, and the addresses under which it may be reached. The number of
//! an ask and of a link is random and drawn anew for each, so a word that a relay repeats is of one that is over. A word
//! that this version does not know is [`PeerWord::Unknown`], and passed over.

use super::call::Candidate;
use super::{Malformed, read, write};
use bincode::{Decode, Encode};
use core::net::SocketAddr;
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AskId, DeviceId, LinkId};
use zeroize::Zeroizing;

/// Addresses in one [`Way`]: one of each network that a device is in, and what a relay sees of it.
pub const ADDRESSES_MAX: usize = 8;

/// A description of a data channel's end: Chromium's and Firefox's are below 1 KiB.
pub const CHANNEL_SDP_BYTES_MAX: usize = 4 * 1024;

/// Over what a link may be made: a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Carriers(u32);

impl Carriers {
    /// QUIC, from port to port.
    pub const QUIC: Self = Self(1);
    /// A data channel of WebRTC.
    pub const CHANNEL: Self = Self(2);
    /// Either.
    pub const BOTH: Self = Self(3);
    /// What the relay lends may carry a data channel.
    pub const ROUTED: Self = Self(4);
    /// A data channel, by way of the relay if it has to be.
    pub const ROUTED_CHANNEL: Self = Self(6);

    /// Whether one is among them.
    #[must_use]
    pub const fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }
}

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
    /// Who has this file, and can give it over one of these?
    Sought {
        /// Names the question.
        ask: AskId,
        /// Which file.
        root: BlobRoot,
        /// Over what the one that asks can make a link.
        carriers: Carriers,
    },
    /// This device has it, and offers a data channel; or offers anew on a link that there is.
    Offer {
        /// What it answers.
        ask: AskId,
        /// Names the link.
        link: LinkId,
        /// Which attempt to connect, from 0.
        round: u32,
        /// SDP, at most [`CHANNEL_SDP_BYTES_MAX`].
        sdp: String,
    },
    /// The answer to an offer.
    Answer {
        /// As the other one named it.
        link: LinkId,
        /// Of which attempt.
        round: u32,
        /// SDP, at most [`CHANNEL_SDP_BYTES_MAX`].
        sdp: String,
    },
    /// Ways to reach this device.
    Candidates {
        /// Of which link.
        link: LinkId,
        /// For which attempt.
        round: u32,
        /// As many as a call says at once.
        list: Vec<Candidate>,
    },
    /// A word of a later version.
    Unknown {
        /// Its number.
        word: u16,
    },
}

impl PeerWord {
    /// Within the limits.
    fn is_sound(&self) -> bool {
        match self {
            Self::Have { way, .. } | Self::Meet { way, .. } => way.is_sound(),
            Self::Offer { sdp, .. } | Self::Answer { sdp, .. } => sdp.len() <= CHANNEL_SDP_BYTES_MAX,
            Self::Candidates { list, .. } => Candidate::are_sound(list),
            Self::Wanted { .. } | Self::Sought { .. } | Self::Unknown { .. } => true,
        }
    }
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
        if !self.word.is_sound() {
            return None;
        }
        let (word, mut bytes) = match &self.word {
            PeerWord::Wanted { ask, root } => (1, write(&(ask, root))),
            PeerWord::Have { ask, link, way } => (2, write(&(ask, link, way))),
            PeerWord::Meet { link, way } => (3, write(&(link, way))),
            PeerWord::Sought { ask, root, carriers } => (4, write(&(ask, root, carriers))),
            PeerWord::Offer { ask, link, round, sdp } => (5, write(&(ask, link, round, sdp))),
            PeerWord::Answer { link, round, sdp } => (6, write(&(link, round, sdp))),
            PeerWord::Candidates { link, round, list } => (7, write(&(link, round, list))),
            PeerWord::Unknown { .. } => return None,
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
            4 => {
                let (ask, root, carriers) = read(&bytes)?;
                PeerWord::Sought { ask, root, carriers }
            }
            5 => {
                let (ask, link, round, sdp) = read(&bytes)?;
                PeerWord::Offer { ask, link, round, sdp }
            }
            6 => {
                let (link, round, sdp) = read(&bytes)?;
                PeerWord::Answer { link, round, sdp }
            }
            7 => {
                let (link, round, list) = read(&bytes)?;
                PeerWord::Candidates { link, round, list }
            }
            word => PeerWord::Unknown { word },
        };
        if word.is_sound() { Ok(Self { to, word }) } else { Err(Malformed) }
    }
}
