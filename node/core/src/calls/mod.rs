//! Calls between two people: who rings where, who talks to whom, and how the two devices get a connection.
//!
//! The media run from device to device over WebRTC, which a shell owns; what the shells say to each other about it goes
//! through here as [signals](sotto_e2ee::content::call), each sealed for the members and signed by its device.
//!
//! ```text
//! caller                                   every device of the other account
//!   Start  -- invite (again and again) -->   rings            -- ringing -->
//!                                       <--  Answer: accept
//!          -- taken: this device ------->    the others stop
//!   Offer  -- offer, candidates -------->    answer, candidates
//!   <============= media, with the fingerprints that were in offer and answer ============>
//! ```
//!
//! Nothing about where a device is goes out before its person took the call. Since ephemerals can be lost, each step is said
//! again until the next one is heard; since they can be repeated, each has a number that counts once.
//!
//! `machine` is the whole decision, without clock, network or store; `signals` is its ear, `pair` the way between two devices, `record` what stays of a call; `glue` ties it to the rest of the
//! client; `group` is what calls of a group have beside that. The shell sends [`MediaReport::Alive`] every few seconds, so that a call does not outlive the page that it runs in.

mod glue;
mod group;
pub(crate) mod guard;
mod machine;
mod pair;
mod record;
pub(crate) mod sdp;
mod signals;
#[cfg(test)]
mod tests;

pub use group::{
    GroupCallView, GroupCommand, GroupKey, GroupLink, GroupPerson, GroupReason, GroupState, GroupWord,
    PEOPLE_MAX,
};
pub(crate) use machine::Calls;
pub(crate) use pair::CANDIDATES_MAX;
pub use sotto_e2ee::content::call::{
    CANDIDATES_PER_SIGNAL_MAX, CallId, CallOutcome, CallRecord, Candidate, MediaState, SDP_BYTES_MAX,
};

use sotto_protocol::ids::{AccountId, ConversationId, UnixMillis};

/// How long a call rings.
pub const RING_MS: u64 = 45_000;

/// What a person, or the shell that runs the media, does about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallCommand {
    /// Calls the other one of a direct conversation. Done: `Outcome::Call`.
    Start {
        /// Where.
        conversation: ConversationId,
        /// With a picture.
        video: bool,
    },
    /// Takes the call that rings.
    Answer {
        /// Which.
        call: CallId,
        /// With a picture.
        video: bool,
    },
    /// Does not take it: it stops ringing on all devices of the account.
    Decline {
        /// Which.
        call: CallId,
    },
    /// Ends it, in whichever state it is.
    HangUp {
        /// Which.
        call: CallId,
    },
    /// The description that was asked for is ready.
    Description {
        /// Of which call.
        call: CallId,
        /// Of which attempt.
        round: u32,
        /// SDP, at most [`SDP_BYTES_MAX`].
        sdp: String,
    },
    /// Ways to this device were found.
    Candidates {
        /// For which call.
        call: CallId,
        /// For which attempt.
        round: u32,
        /// What was found.
        list: Vec<Candidate>,
    },
    /// How the media do.
    Media {
        /// Of which call.
        call: CallId,
        /// How.
        report: MediaReport,
    },
    /// What the other one is to be shown of us.
    State {
        /// In which call.
        call: CallId,
        /// What.
        state: MediaState,
    },
}

/// How the media do, by the shell that runs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaReport {
    /// There is a connection, with a certificate of this fingerprint (`sha-256 AB:CD:...`) at the other end.
    Connected {
        /// As the transport has it, not as a description says.
        fingerprint: String,
    },
    /// The shell still has this call; said every few seconds, see [`ALIVE_MS`].
    Alive,
    /// Nothing comes for some seconds.
    Disconnected,
    /// The connection is given up.
    Failed,
}

/// A call without a word from its shell for so long is over. Four times what a shell's interval should be.
pub const ALIVE_MS: u64 = 20_000;

/// How a call stands; told anew with every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallView {
    /// Which.
    pub call: CallId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// The other account.
    pub peer: AccountId,
    /// This device began it.
    pub outgoing: bool,
    /// It began with a picture.
    pub video: bool,
    /// What goes on.
    pub state: CallState,
    /// When they began to talk, by this device's clock.
    pub since: Option<UnixMillis>,
    /// What the other one sends.
    pub theirs: MediaState,
    /// Something is wrong that the person should know.
    pub warning: Option<CallWarning>,
    /// Both called at the same time: the call that this one goes on for.
    pub replaces: Option<CallId>,
}

/// What goes on in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Nothing was heard of the other one's devices yet.
    Calling,
    /// It rings there.
    Ringing,
    /// It rings here.
    Incoming,
    /// It was taken; the connection is being made.
    Connecting,
    /// They talk.
    Connected,
    /// The connection was lost, and a new one is being made.
    Reconnecting,
    /// It is over.
    Ended(EndReason),
}

/// Why a call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// This person ended it.
    Ended,
    /// The other one ended it.
    HungUp,
    /// Nobody took it in time.
    Unanswered,
    /// It was declined.
    Declined,
    /// The other one is in another call.
    Busy,
    /// Another device of this account took it.
    AnsweredElsewhere,
    /// Another device of this account declined it.
    DeclinedElsewhere,
    /// No way between the two devices was found.
    Failed,
    /// The connection was lost and did not come back.
    Lost,
    /// The connection is not the one that the other device described: somebody stands between.
    Tampered,
    /// The other device is not in the conversation any more.
    Removed,
}

impl EndReason {
    /// The stable name, for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::HungUp => "hung_up",
            Self::Unanswered => "unanswered",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::DeclinedElsewhere => "declined_elsewhere",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Tampered => "tampered",
            Self::Removed => "removed",
        }
    }
}

impl CallState {
    /// The stable name, for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calling => "calling",
            Self::Ringing => "ringing",
            Self::Incoming => "incoming",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Ended(_) => "ended",
        }
    }
}

/// What a person should know about a call that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallWarning {
    /// Signals came that nobody in the conversation made like this.
    #[error(
        "the relay altered messages that set up this call; they were refused and nothing of them was used"
    )]
    Altered,
}

/// What the shell is to do with the media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Negotiation {
    /// Make an offer, and give it back as a `Description`. From the second round on with new ICE credentials.
    Offer {
        /// For this attempt.
        round: u32,
    },
    /// The other one's description. An offer is to be answered with a `Description`.
    Description {
        /// Of this attempt.
        round: u32,
        /// It is an offer; otherwise the answer to ours.
        offer: bool,
        /// SDP, with at least one strong fingerprint.
        sdp: String,
    },
    /// Ways to the other one, after its description.
    Candidates {
        /// For this attempt.
        round: u32,
        /// Each of them once.
        list: Vec<Candidate>,
    },
}

/// What a call's outcome is called, for JSON.
#[must_use]
pub const fn outcome_name(record: &CallRecord) -> &'static str {
    match record.outcome() {
        Some(CallOutcome::Answered) => "answered",
        Some(CallOutcome::Missed) => "missed",
        Some(CallOutcome::Declined) => "declined",
        Some(CallOutcome::Busy) => "busy",
        Some(CallOutcome::Failed) => "failed",
        _ => "unknown",
    }
}
