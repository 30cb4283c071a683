//! Calls of a group: up to six devices, each connected with each other one.
//!
//! Nobody leads such a call. Whoever is in it says so to the whole conversation every few seconds (`Here`), and who is not heard for
//! a while is gone; so every member knows which call goes on and who is in it, and can join at any time.
//!
//! ```text
//! A: Join -- here --> it rings at B and C                      C: Decline -- to C's own devices
//!                     B: Join -- here --> A, B know each other
//!   the device with the smaller id offers; the other one answers      (a [`Pair`], as in a call between two people)
//!   <===== media, sealed by a key of the epoch (SFrame), with the fingerprints that were promised =====>
//! ```
//!
//! Nothing about where a device is goes out before it joins, and then it is said to devices that said that they are in the call; as everything that
//! is said in a group, each member can read it.
//! If two begin at once, the call with the smaller id goes on, and whoever is in the other one moves over. There is room for [`PEOPLE_MAX`]:
//! who comes later is refused, and of a race the first ones stay, by the time at which each says that it joined; that only counts among
//! those who came within the same moment, so that nobody can push out who has been in it for a while.
//!
//! `machine` is who is in which call, `stay` this device's own part in one, `signals` the ear of both, and `glue` ties them to the rest of the client.
//!
//! [`Pair`]: super::pair::Pair

mod glue;
mod machine;
mod signals;
mod stay;
#[cfg(test)]
mod tests;

pub(super) use machine::Groups;

use super::{CallId, Candidate, MediaReport, MediaState};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, UnixMillis};
use zeroize::Zeroizing;

/// Devices in one call of a group: each sends its sound and picture to each other one, five times at the most.
pub const PEOPLE_MAX: usize = 6;

/// What a person, or the shell that runs the media, does about a call of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCommand {
    /// Joins the call that goes on in a group, or begins one. Done: `Outcome::Call`.
    Join {
        /// Where.
        conversation: ConversationId,
        /// With a picture.
        video: bool,
    },
    /// About one call.
    Of(CallId, GroupWord),
}

/// What is done about one call of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupWord {
    /// Leaves it.
    Leave,
    /// Does not join: it stops ringing on all devices of the account. It can be joined later all the same.
    Decline,
    /// The shell still has this call; said every few seconds, see [`ALIVE_MS`](super::ALIVE_MS).
    Alive,
    /// What the others are to be shown of us.
    State(MediaState),
    /// The description for another device is ready.
    Description {
        /// For which.
        device: DeviceId,
        /// Of which attempt.
        round: u32,
        /// SDP, at most [`SDP_BYTES_MAX`](super::SDP_BYTES_MAX).
        sdp: String,
    },
    /// Ways to this device were found.
    Candidates {
        /// For which other device.
        device: DeviceId,
        /// For which attempt.
        round: u32,
        /// What was found.
        list: Vec<Candidate>,
    },
    /// How the media between this device and another one do.
    Media {
        /// Which.
        device: DeviceId,
        /// How.
        report: MediaReport,
    },
}

/// How a call of a group stands; told anew with every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCallView {
    /// Which.
    pub call: CallId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// Who began it.
    pub by: AccountId,
    /// It began with a picture.
    pub video: bool,
    /// How this device stands to it.
    pub state: GroupState,
    /// Why this device is not in it any more, or why it is over; told once.
    pub reason: Option<GroupReason>,
    /// When it began, by this device's clock.
    pub since: UnixMillis,
    /// The relay altered messages that came while this device was in it; they were refused.
    pub altered: bool,
    /// Two were begun at once: the call that this one goes on for.
    pub replaces: Option<CallId>,
    /// Everybody in it, this device too if it is.
    pub people: Vec<GroupPerson>,
}

/// A device in a call of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPerson {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub device: DeviceId,
    /// It is this one.
    pub own: bool,
    /// The way to it, where there is one.
    pub link: Option<GroupLink>,
    /// What it sends.
    pub state: MediaState,
    /// Its connection was not the one that it promised, and was cut.
    pub tampered: bool,
}

/// How the way to another device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupLink {
    /// It is being made.
    Connecting,
    /// Both hear each other.
    Connected,
    /// It was lost, and is being made anew.
    Reconnecting,
}

/// How this device stands to a call of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// It rings here.
    Ringing,
    /// It goes on without this device.
    GoingOn,
    /// This device is in it.
    Joined,
    /// Nobody is in it any more.
    Ended,
}

/// Why a device is out of a call of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupReason {
    /// Its person left.
    Left,
    /// Everybody left.
    Over,
    /// Others were faster, and there is no room for more.
    Full,
    /// Its account is not in the group any more.
    Removed,
    /// The page that ran it is gone.
    Lost,
}

/// What seals the media of a call: told when this device joins, and with each epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupKey {
    /// Of which epoch.
    pub epoch: Epoch,
    /// The same for all members of the epoch.
    pub base_key: Zeroizing<[u8; 16]>,
    /// Tells this stay in the call from every other one under the same key; from 2^24 to 2^31 - 1.
    pub context: u32,
    /// The leaf of this device.
    pub mine: u32,
    /// The leaf of each device in the group.
    pub senders: Vec<(DeviceId, u32)>,
}

impl std::fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupKey").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl GroupLink {
    /// The stable name, for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
        }
    }
}

impl GroupState {
    /// The stable name, for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::GoingOn => "going_on",
            Self::Joined => "joined",
            Self::Ended => "ended",
        }
    }
}

impl GroupReason {
    /// The stable name, for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Over => "over",
            Self::Full => "full",
            Self::Removed => "removed",
            Self::Lost => "lost",
        }
    }
}
