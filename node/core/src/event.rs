//! What a client tells its shell.

use crate::calls::{CallId, CallView, GroupCallView, GroupKey, Negotiation};
use crate::command::Token;
use crate::peers::PeerEvent;
use crate::view::{ConversationView, Message};
use bytes::Bytes;
use sotto_e2ee::conversation::Reason;
use sotto_e2ee::repair::Repair;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};

/// What comes out of a client. Everything in it happened already: the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
// An event is as large as a conversation's view; they are few beside the frames, and each lives for a moment.
#[allow(clippy::large_enum_variant)]
pub enum Output {
    /// One or more whole frames for the connection, in this order.
    Send(Bytes),
    /// Close the connection: it is of no more use (it timed out, or the relay broke the protocol). Call
    /// `handle_disconnected`, then connect again.
    Disconnect,
    /// For the person or program.
    Event(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A command was carried out.
    Done {
        /// Which.
        token: Token,
        /// What came of it.
        outcome: Outcome,
    },
    /// A command failed, for good.
    Failed {
        /// Which.
        token: Token,
        /// Why.
        failure: Failure,
    },
    /// The relay took our proof.
    Ready {
        /// The relay's clock minus ours, in milliseconds.
        clock_offset_ms: i64,
        /// Our address as the relay sees it.
        observed_address: String,
    },
    /// Every conversation has caught up with its log, for the first time on this connection.
    Synchronised,
    /// The relay wants a fresh access token: refresh it over HTTP, then give `Command::SetAccessToken`.
    TokenRefused(Failure),
    /// The relay will not have this device or this version of the program. Connecting again does not help.
    Refused(Failure),
    /// The relay is about to close the connection.
    Goodbye {
        /// One sentence.
        reason: String,
        /// When to connect again, in milliseconds.
        reconnect_after_ms: u32,
    },
    /// A text is safe in the outbox on this device.
    Queued {
        /// The command.
        token: Token,
        /// Where to.
        conversation: ConversationId,
        /// Its number; the outbox lists it under this.
        number: MessageNumber,
        /// There is no connection: it goes out when there is one again.
        offline: bool,
    },
    /// Something new to show: from others, or one's own text now that it has its place (`message.own`).
    Message(Message),
    /// Older or repaired lines were added to the local history of a conversation: draw it again.
    HistoryAdded {
        /// Which.
        conversation: ConversationId,
        /// How many lines.
        lines: usize,
    },
    /// A conversation is new, or something about it changed (name, members, roles, standing).
    Conversation(ConversationView),
    /// These accounts could not be added with the others: no device of theirs has published a key package yet.
    NotAdded {
        /// Where.
        conversation: ConversationId,
        /// Whom.
        accounts: Vec<AccountId>,
    },
    /// One was admitted to a conversation by an invite. The client goes in by itself; a `Command::Join` waits for that.
    Admitted {
        /// Which.
        conversation: ConversationId,
    },
    /// Loud: an account came with another identity key than before. Compare safety numbers before trusting it.
    IdentityChanged {
        /// Whose.
        account: AccountId,
        /// Its name, where known.
        username: String,
        /// The old key had been verified by the person.
        was_verified: bool,
    },
    /// Loud: the relay (or who controls it) shows different logs to different members, or took entries back.
    LogTampered {
        /// Where.
        conversation: ConversationId,
        /// One sentence.
        what: String,
    },
    /// An envelope could not be decrypted. A repair is under way; `Stats` counts it.
    Undecryptable {
        /// Where.
        conversation: ConversationId,
        /// Which.
        sequence: Sequence,
        /// Why.
        reason: Reason,
    },
    /// What could not be decrypted before is there now.
    Repaired {
        /// Where.
        conversation: ConversationId,
        /// How.
        by: Repair,
    },
    /// A line that was shown already is another one now: edited, deleted, reacted to, pinned, read, or gone because its
    /// time had come. Ask the history for it.
    Changed {
        /// Where.
        conversation: ConversationId,
        /// Which.
        sequence: Sequence,
    },
    /// A member began to type, or stopped. `Client::typing` has all who do.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Began, or stopped: by sending, or by not saying so again for some seconds.
        on: bool,
    },
    /// A member has everything up to here on a device.
    Delivered {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Up to here.
        upto: Sequence,
    },
    /// A member read up to here; or this account did, on another device.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Which device.
        device: DeviceId,
        /// Up to here.
        upto: Sequence,
    },
    /// Somebody came or went, as the relay says. When the connection ends nobody is known to be here, without events.
    Presence {
        /// Where.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Here now, or not any more.
        here: bool,
    },
    /// So many are here now, too many to name.
    PresentCount {
        /// Where.
        conversation: ConversationId,
        /// How many.
        count: u32,
    },
    /// A call began, rings, goes on or is over.
    Call(CallView),
    /// The shell is to do something about the media of the call that it runs.
    Negotiate {
        /// Which call.
        call: CallId,
        /// What to do.
        negotiation: Negotiation,
    },
    /// The call of a group began, rings, goes on or is over, or is another one in some way.
    GroupCall(GroupCallView),
    /// The shell is to do something about the media between this device and another one in the call of a group.
    NegotiateIn {
        /// Which call.
        call: CallId,
        /// Which other device.
        device: DeviceId,
        /// What to do.
        negotiation: Negotiation,
    },
    /// What seals the media of the call of a group from now on.
    GroupKey {
        /// Which call.
        call: CallId,
        /// With what.
        key: GroupKey,
    },
    /// About direct links to other devices: for the shell that makes them.
    Peer(PeerEvent),
    /// The vault's contents changed: put these bytes (sealed under the recovery key) on the relay by HTTP.
    VaultChanged(Bytes),
    /// The local store failed: nothing of the last input happened, nothing was sent. The client went back to
    /// what the store has; the shell should disconnect, and end if it comes again.
    StoreFailed(String),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    Nothing,
    /// This conversation is there now.
    Conversation(ConversationId),
    /// A call was begun.
    Call(CallId),
    /// The relay has it on disk.
    Sent {
        /// Where.
        conversation: ConversationId,
        /// Its number.
        number: MessageNumber,
        /// Its place.
        sequence: Sequence,
        /// The relay's time of it.
        time: UnixMillis,
    },
    /// Accounts were added.
    Added {
        /// Whose devices are in now.
        added: Vec<AccountId>,
        /// Who could not be added because no device of theirs has published a key package yet.
        without_device: Vec<AccountId>,
    },
    /// An account.
    Account {
        /// Its id.
        account: AccountId,
        /// Its user name.
        username: String,
        /// Its identity key by the relay's word.
        identity_key: Option<[u8; 32]>,
    },
    /// Listed rooms.
    Rooms(Vec<Room>),
    /// History was read from the archive.
    History {
        /// Where.
        conversation: ConversationId,
        /// How many lines were added to the local history.
        added: usize,
        /// Where to go on from; `None` when the start of the log, or of what we may read, was reached.
        next: Option<Sequence>,
    },
}

/// A listed room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub conversation: ConversationId,
    /// Its public name.
    pub name: String,
    /// How many members.
    pub members: usize,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// One sentence for people.
    pub text: String,
}

/// Codes for programs. The names in snake case are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCode {
    /// There is no connection to the relay.
    Offline,
    /// The relay did not answer in time.
    TimedOut,
    /// The relay refused, with this code.
    Relay(ErrorCode),
    /// The relay refused with a code that this version does not know.
    RelayUnknown(u16),
    /// No account of that name.
    UnknownAccount,
    /// No such conversation on this device.
    UnknownConversation,
    /// This device is not (or no more) a member.
    NotMember,
    /// No device of the account can be added yet.
    NoDevice,
    /// The text is too long.
    TooLarge,
    /// By the rules of the conversation this account may not.
    NotAllowed,
    /// The command makes no sense here (one sentence says why).
    Invalid,
    /// There is a call on this device already.
    Busy,
    /// There is no room for one more in the call of a group.
    GroupCallFull,
    /// Somebody or something does not show the key it should.
    Identity,
    /// The encryption layer refused.
    Encryption,
    /// The local store failed.
    Store,
}

impl FailureCode {
    /// The stable name, for JSON and scripts.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Offline => "offline",
            Self::TimedOut => "timed_out",
            Self::Relay(code) => return format!("relay_{}", snake(&format!("{code:?}"))),
            Self::RelayUnknown(code) => return format!("relay_{code}"),
            Self::UnknownAccount => "unknown_account",
            Self::UnknownConversation => "unknown_conversation",
            Self::NotMember => "not_member",
            Self::NoDevice => "no_device",
            Self::TooLarge => "too_large",
            Self::NotAllowed => "not_allowed",
            Self::Busy => "busy",
            Self::GroupCallFull => "group_call_full",
            Self::Invalid => "invalid",
            Self::Identity => "identity",
            Self::Encryption => "encryption",
            Self::Store => "store",
        };
        name.to_owned()
    }
}

fn snake(camel: &str) -> String {
    let mut out = String::new();
    for (place, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && place > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

impl Failure {
    /// A failure of this client's own.
    #[must_use]
    pub fn new(code: FailureCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        let code = error.code().map_or(FailureCode::RelayUnknown(error.code), FailureCode::Relay);
        Self { code, text: error.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_stable_names() {
        assert_eq!(FailureCode::Relay(ErrorCode::EpochMoved).name(), "relay_epoch_moved");
        assert_eq!(FailureCode::TimedOut.name(), "timed_out");
    }
}
