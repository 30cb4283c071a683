//! Direct links between two devices of a conversation: who asks, who answers, and how the two find to each other.
//!
//! The link itself is a connection that a shell owns; what the devices say to each other before there is one goes through here
//! as [words](sotto_e2ee::content::peer), each sealed for the members and signed by its device.
//!
//! ```text
//! taker                                       every device with the file, or on its way to having it
//!   Want  -- wanted: ask, root ------------->   Asked: the shell looks whether it still has it
//!                                          <--  Offer: have: link, fingerprint, addresses
//!   Meeting -- meet: fingerprint, addresses ->  Meeting
//!   <======= QUIC; each shows the certificate that the other one was promised =======>
//! ```
//!
//! Where a browser is an end they make a data channel instead (`channels`), which has words of its own: a device asks by what it can make,
//! browsers channels and nodes both, and is answered by QUIC where both ends speak it.
//!
//! Between devices of which neither reaches the other, there is a channel by way of what the relay lends, where it has the file no more.
//!
//! Where a device is, is told to nobody by a device that is [relay-only](PeerCommand::SetRelayOnly), and by others only to a
//! conversation in which they asked for a file or offer one, and to no room, since anybody may be in there. Everything that a member can set off is bounded: words that are answered,
//! links that are waited for, addresses that are tried.
//!
//! `machine` is the whole decision, `addresses` what may be told and tried, [`plan`] the steps by which two devices behind two
//! NATs meet, `channels` what becomes a data channel, [`asking`] what is asked on one, [`chunks`] who is asked for which chunk of a file; `glue` ties the machine to the rest of the client.

mod addresses;
pub mod asking;
mod channels;
pub mod chunks;
mod glue;
mod machine;
pub mod plan;
#[cfg(test)]
mod tests;

pub use addresses::to_tell;
pub(crate) use glue::relay_only;
pub(crate) use machine::Peers;
pub use sotto_e2ee::content::peer::{ADDRESSES_MAX, Way};
pub use sotto_protocol::ids::{AskId, LinkId};

use crate::calls::{Candidate, Negotiation};
use core::net::SocketAddr;
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId};

/// Devices from which one file is taken at a time.
pub const SOURCES_MAX: usize = 6;

/// By what this device can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// A node: QUIC, there, and data channels.
    Both(Way),
    /// A browser: data channels; its shell finds the way for each.
    Channels,
    /// A node whose network lets no UDP out: data channels by way of the relay, for who asks for that.
    Routed,
}

/// What the shell, or a person, wants of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCommand {
    /// By what and where this device may be reached now; `None` when it cannot be.
    Network(Option<Reach>),
    /// The shell goes on running and gives the files that it has to members who ask. Until it says so it does not.
    Serve,
    /// The person wants to take and give files by way of the relay only, so that nobody learns this device's address. Kept.
    SetRelayOnly(bool),
    /// A file is wanted; said again now and then until [`Self::EndWant`].
    Want {
        /// Names the question; drawn anew.
        ask: AskId,
        /// Where.
        conversation: ConversationId,
        /// Which file.
        root: BlobRoot,
    },
    /// Some of a file that is wanted is here: members who want it too may have that from here.
    HasSome {
        /// As it was named.
        ask: AskId,
    },
    /// Nobody gives it directly, and the relay has it no more: it may come by way of what the relay lends.
    Route {
        /// As it was named.
        ask: AskId,
    },
    /// It is not wanted any more.
    EndWant {
        /// As it was named.
        ask: AskId,
    },
    /// A link did not come about, or is lost: the device may be asked again.
    Lost {
        /// For which question.
        ask: AskId,
        /// Which device.
        device: DeviceId,
    },
    /// The file that was [asked](PeerEvent::Asked) for is here: offer it over QUIC.
    Offer(Asked),
    /// About data channels, of a shell that makes them.
    Channel(ChannelCommand),
}

/// What a shell says that makes data channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelCommand {
    /// It has this file and gives it to members who ask.
    Holds {
        /// Where.
        conversation: ConversationId,
        /// Which.
        root: BlobRoot,
    },
    /// It has what was asked for: this is its end. On a link that there is, in a later round: the way changed.
    Offer {
        /// Names the link; drawn anew.
        link: LinkId,
        /// As it was told.
        asked: Asked,
        /// Which attempt, from 0.
        round: u32,
        /// SDP without candidates.
        sdp: String,
    },
    /// The answer to an offer.
    Answer {
        /// On which link.
        link: LinkId,
        /// To which attempt.
        round: u32,
        /// SDP without candidates.
        sdp: String,
    },
    /// Here this device may be reached.
    Candidates {
        /// On which link.
        link: LinkId,
        /// For which attempt.
        round: u32,
        /// Those that were found since.
        list: Vec<Candidate>,
    },
    /// A link is over, or came to nothing.
    Close {
        /// Which.
        link: LinkId,
        /// The device may be asked again.
        again: bool,
    },
}

/// What the shell is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// A member asks for a file that was kept under its root, or is on its way here. If it is still here, `Offer` it, or a
    /// [channel](ChannelCommand::Offer).
    Asked(Asked),
    /// Connect to a device.
    Meet(Box<Meeting>),
    /// Do something about a data channel.
    Channel(Box<ChannelNews>),
}

/// What is to be done about a data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelNews {
    /// Which.
    pub link: LinkId,
    /// The question of this device that it came of; `None` if this device gives.
    pub ask: Option<AskId>,
    /// Whose device the other one is.
    pub account: AccountId,
    /// The other device.
    pub device: DeviceId,
    /// What it said.
    pub what: Negotiation,
}

/// A question that may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// As it was named.
    pub ask: AskId,
    /// Where.
    pub conversation: ConversationId,
    /// Which file.
    pub root: BlobRoot,
    /// By which device.
    pub by: DeviceId,
    /// It takes a data channel and nothing else.
    pub channel: bool,
    /// That may lead over what the relay lends.
    pub routed: bool,
}

/// Two devices that are to connect; both are told at about the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Names the link.
    pub link: LinkId,
    /// Whose files it is for.
    pub conversation: ConversationId,
    /// The question of this device that it came of; `None` if this device gives.
    pub ask: Option<AskId>,
    /// Whose device the other one is.
    pub account: AccountId,
    /// The other device.
    pub device: DeviceId,
    /// The SHA-256 of the certificate that it has to show.
    pub fingerprint: [u8; 32],
    /// Where it may be.
    pub addresses: Vec<SocketAddr>,
    /// What this device does, and when.
    pub steps: Vec<plan::Step>,
}
