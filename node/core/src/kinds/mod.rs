//! What people do with texts beside writing them: answer, edit, delete, react, pin, let them disappear, read them.
//!
//! Each of these is a content of its own (`sotto_e2ee::content` has the bytes); what it means is decided here, once for
//! every client. Read in this order: `authorise` (who may), `marks` (what accounts said about a text), `settle` (what
//! the text is by that), `expiry` (texts that disappear), then how it hangs together with the log: `heard` (a content
//! came), `ask` (a person wants something), `receipts` (who has it, who read it, who types).
//!
//! Two rules hold throughout. Only the checked sender of a content counts, never what the content says about itself. And
//! what a device shows is a function of *which* entries it has, not of the order in which they came.

pub(crate) mod ask;
pub(crate) mod authorise;
pub(crate) mod expiry;
pub(crate) mod heard;
pub(crate) mod marks;
pub(crate) mod mention;
pub(crate) mod receipts;
pub(crate) mod settle;

#[cfg(test)]
mod order;

pub use expiry::{TIMER_SECONDS_MAX, TIMER_SECONDS_MIN};

use crate::rows;
use bincode::{Decode, Encode};
use heard::WaitingTimer;
use settle::Contested;
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};

/// Bytes of one reaction. The longest emoji that Unicode recommends (two people with skin tones and a heart between them)
/// take 35.
pub const EMOJI_BYTES_MAX: usize = 64;

/// Texts that are listed as pinned in one conversation, the newest pins: a few screens of them.
pub const PINS_MAX: usize = 50;

/// Acts in one conversation that wait for the relay to name the roles of now; what is beyond is refused. One answer
/// decides all of them.
pub(crate) const CONTESTED_MAX: usize = 64;

const KINDS: u8 = 0x54;

/// What this module keeps about a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct KindsRow {
    /// The newest word on the timer, and its place.
    pub(crate) timer: Option<(Sequence, Option<u32>)>,
    pub(crate) contested: Vec<Contested>,
    pub(crate) waiting_timers: Vec<WaitingTimer>,
    /// The newest own text, and the relay's time of it.
    pub(crate) last_own: (Sequence, UnixMillis),
    /// The newest text of somebody else.
    pub(crate) last_others: Sequence,
    /// What others were told was read and delivered here.
    pub(crate) told_read: Sequence,
    pub(crate) told_delivered: Sequence,
}

impl KindsRow {
    pub(crate) fn key(conversation: ConversationId) -> Vec<u8> {
        rows::under(KINDS, conversation)
    }
}
