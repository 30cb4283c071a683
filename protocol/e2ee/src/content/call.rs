//! What devices say to each other about a call, and what stays of one in the log.
//!
//! A signal is an ephemeral: sealed and signed like every other one, so a relay can lose it and can repeat it, and nothing
//! else. Against repeats each carries its call, the device that it is for, and a number of its sender's that grows.
//!
//! ```text
//! body of an ephemeral of kind 6:  bincode { call, to, number, signal, bytes }
//! ```
//!
//! | signal | meaning | bytes |
//! |---|---|---|
//! | 1 | invite: it rings | video |
//! | 2 | ringing | |
//! | 3 | accept: this device takes it | video |
//! | 4 | taken: the caller talks to this device, every other one stops | device |
//! | 5 | decline | |
//! | 6 | busy | |
//! | 7 | hang up | why |
//! | 8 | offer | round, SDP |
//! | 9 | answer | round, SDP |
//! | 10 | candidates | round, list |
//! | 11 | a new way is wanted: the caller offers again | |
//! | 12 | state: muted, camera, held, screen | four flags |
//! | 13 | here: this device is in a call of a group | joined, started, by, video, state |
//!
//! A call between two people uses 1 to 12. One of a group has nobody who leads it: each device in it says 13 to all, 7 to all when
//! it leaves, and to each other one 8 to 11; 5 is for the own devices, which stop ringing, and 7 with `Tampered` for the device at
//! the other end of a link that is cut.
//!
//! One that this version does not know is [`Signal::Unknown`], and passed over.

use super::{Malformed, read, write};
use bincode::{Decode, Encode};
use sotto_protocol::hex;
use sotto_protocol::ids::{AccountId, BadId, DeviceId, UnixMillis};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// A session description: Chromium's for sound and picture is 7 KiB. With it an ephemeral stays in the padding class of
/// 16 KiB, and that below [`EPHEMERAL_BYTES_MAX`](sotto_protocol::limits::EPHEMERAL_BYTES_MAX); the next class is not.
pub const SDP_BYTES_MAX: usize = 15 * 1024;

/// One ICE candidate: with an IPv6 address and all of its attributes about 200 bytes.
pub const CANDIDATE_BYTES_MAX: usize = 512;

/// Candidates in one signal. 24 of the longest are 12 KiB.
pub const CANDIDATES_PER_SIGNAL_MAX: usize = 24;

/// The name of a media section.
const MID_BYTES_MAX: usize = 32;

/// Names a call; drawn by the device that begins it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CallId(pub [u8; 16]);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

impl FromStr for CallId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        hex::read(text).map(Self).ok_or(BadId)
    }
}

/// One signal with what binds it to its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSignal {
    /// Of which call.
    pub call: CallId,
    /// For which device; `None` for all of the conversation.
    pub to: Option<DeviceId>,
    /// Grows with each signal that the sending device has ever sent about this call.
    pub number: u32,
    /// What it says.
    pub signal: Signal,
}

/// What a signal says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A call begins; said again and again while it rings.
    Invite {
        /// The caller would like to be seen.
        video: bool,
    },
    /// It rings here.
    Ringing,
    /// The person took it on this device.
    Accept {
        /// And would like to be seen.
        video: bool,
    },
    /// The caller talks to this device; all others stop ringing.
    Taken {
        /// Which.
        device: DeviceId,
    },
    /// The person does not want it.
    Decline,
    /// This account is in another call.
    Busy,
    /// It is over.
    HangUp {
        /// For the other one to say why.
        why: HangUp,
    },
    /// A description to answer.
    Offer {
        /// Which attempt to connect, from 0.
        round: u32,
        /// SDP, at most [`SDP_BYTES_MAX`].
        sdp: String,
    },
    /// The answer to an offer.
    Answer {
        /// Of which attempt.
        round: u32,
        /// SDP, at most [`SDP_BYTES_MAX`].
        sdp: String,
    },
    /// Ways to reach this device.
    Candidates {
        /// For which attempt.
        round: u32,
        /// At most [`CANDIDATES_PER_SIGNAL_MAX`].
        list: Vec<Candidate>,
    },
    /// The way that there was is gone: the caller is to offer a new one.
    Restart,
    /// What the other one is to be shown.
    State(MediaState),
    /// This device is in a call of a group; said again and again.
    Here(Here),
    /// A signal of a later version.
    Unknown {
        /// Its number.
        signal: u16,
    },
}

/// A device that is in a call of a group, and what it knows of that call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Here {
    /// When this device joined, by its own clock. It tells one stay from the next, and who came first where there is no room.
    pub joined: UnixMillis,
    /// When the call began, by the clock of the device that began it.
    pub started: UnixMillis,
    /// Who began it.
    pub by: AccountId,
    /// It began with a picture.
    pub video: bool,
    /// What this device sends.
    pub state: MediaState,
}

/// Why a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum HangUp {
    /// The person ended it.
    Ended,
    /// Nobody took it in time.
    Unanswered,
    /// One of the account's devices declined it.
    Declined,
    /// The account is in another call.
    Busy,
    /// No way between the two devices was found, or it was lost.
    Failed,
    /// Both called at the same time, and the other call goes on.
    Glare,
    /// The device knows no such call, or not any more.
    Unknown,
    /// The connection was not the one that was agreed upon.
    Tampered,
}

/// One way to reach a device, as ICE writes it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Candidate {
    /// The line; empty for the end of the candidates.
    pub line: String,
    /// Its media section by name.
    pub mid: Option<String>,
    /// Its media section by place.
    pub section: Option<u16>,
}

impl Candidate {
    /// Within the limits, and on one line.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.line.len() <= CANDIDATE_BYTES_MAX
            && self.mid.as_ref().is_none_or(|mid| mid.len() <= MID_BYTES_MAX)
            && !self.line.chars().any(char::is_control)
    }

    /// As many as may be said at once, each within the limits.
    #[must_use]
    pub fn are_sound(list: &[Self]) -> bool {
        list.len() <= CANDIDATES_PER_SIGNAL_MAX && list.iter().all(Self::is_sound)
    }
}

/// What one of the two sends at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct MediaState {
    /// The microphone is off.
    pub muted: bool,
    /// The camera is on.
    pub camera: bool,
    /// The call is on hold: nothing is sent.
    pub held: bool,
    /// The picture is of a screen.
    pub screen: bool,
}

/// What stays of a call in the log. Its caller's device writes it when it is over; of a call of a group, the last device that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CallRecord {
    /// Which.
    pub call: CallId,
    /// It began with a picture.
    pub video: bool,
    /// When it began, by the caller's clock.
    pub started: UnixMillis,
    /// How it went: 0 answered, 1 missed, 2 declined, 3 busy, 4 failed; what is more is of a later version.
    outcome: u8,
    /// How long it lasted.
    pub seconds: u32,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// They talked.
    Answered,
    /// Nobody took it.
    Missed,
    /// It was declined.
    Declined,
    /// The other one was in another call.
    Busy,
    /// It was taken, and no connection came about.
    Failed,
}

impl CallRecord {
    /// A record of how a call went.
    #[must_use]
    pub const fn new(
        call: CallId,
        video: bool,
        started: UnixMillis,
        outcome: CallOutcome,
        seconds: u32,
    ) -> Self {
        let outcome = match outcome {
            CallOutcome::Answered => 0,
            CallOutcome::Missed => 1,
            CallOutcome::Declined => 2,
            CallOutcome::Busy => 3,
            CallOutcome::Failed => 4,
        };
        Self { call, video, started, outcome, seconds }
    }

    /// How it went; `None` by a word of a later version.
    #[must_use]
    pub const fn outcome(&self) -> Option<CallOutcome> {
        Some(match self.outcome {
            0 => CallOutcome::Answered,
            1 => CallOutcome::Missed,
            2 => CallOutcome::Declined,
            3 => CallOutcome::Busy,
            4 => CallOutcome::Failed,
            _ => return None,
        })
    }
}

#[derive(Encode, Decode)]
struct WireSignal {
    call: CallId,
    to: Option<DeviceId>,
    number: u32,
    signal: u16,
    bytes: Vec<u8>,
}

impl CallSignal {
    /// `None` for a signal that this version cannot write, or one beyond its limits.
    pub(super) fn to_body(&self) -> Option<Zeroizing<Vec<u8>>> {
        if !self.signal.is_sound() {
            return None;
        }
        let nothing = Zeroizing::default();
        let (signal, mut bytes) = match &self.signal {
            Signal::Invite { video } => (1, write(video)),
            Signal::Ringing => (2, nothing),
            Signal::Accept { video } => (3, write(video)),
            Signal::Taken { device } => (4, write(device)),
            Signal::Decline => (5, nothing),
            Signal::Busy => (6, nothing),
            Signal::HangUp { why } => (7, write(why)),
            Signal::Offer { round, sdp } => (8, write(&(round, sdp))),
            Signal::Answer { round, sdp } => (9, write(&(round, sdp))),
            Signal::Candidates { round, list } => (10, write(&(round, list))),
            Signal::Restart => (11, nothing),
            Signal::State(state) => (12, write(state)),
            Signal::Here(here) => (13, write(here)),
            Signal::Unknown { .. } => return None,
        };
        let bytes = std::mem::take(&mut *bytes);
        let Self { call, to, number, .. } = *self;
        Some(write(&WireSignal { call, to, number, signal, bytes }))
    }

    pub(super) fn from_body(body: &[u8]) -> Result<Self, Malformed> {
        let WireSignal { call, to, number, signal, bytes } = read(body)?;
        let signal = match signal {
            1 => Signal::Invite { video: read(&bytes)? },
            2 if bytes.is_empty() => Signal::Ringing,
            3 => Signal::Accept { video: read(&bytes)? },
            4 => Signal::Taken { device: read(&bytes)? },
            5 if bytes.is_empty() => Signal::Decline,
            6 if bytes.is_empty() => Signal::Busy,
            7 => Signal::HangUp { why: read(&bytes)? },
            8 => {
                let (round, sdp) = read(&bytes)?;
                Signal::Offer { round, sdp }
            }
            9 => {
                let (round, sdp) = read(&bytes)?;
                Signal::Answer { round, sdp }
            }
            10 => {
                let (round, list) = read(&bytes)?;
                Signal::Candidates { round, list }
            }
            11 if bytes.is_empty() => Signal::Restart,
            12 => Signal::State(read(&bytes)?),
            13 => Signal::Here(read(&bytes)?),
            2 | 5 | 6 | 11 => return Err(Malformed),
            signal => Signal::Unknown { signal },
        };
        if signal.is_sound() { Ok(Self { call, to, number, signal }) } else { Err(Malformed) }
    }
}

impl Signal {
    /// Within the limits.
    fn is_sound(&self) -> bool {
        match self {
            Self::Offer { sdp, .. } | Self::Answer { sdp, .. } => sdp.len() <= SDP_BYTES_MAX,
            Self::Candidates { list, .. } => Candidate::are_sound(list),
            _ => true,
        }
    }
}
