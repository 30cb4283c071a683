//! May this content be appended, and as what?
//!
//! The order of the checks is part of the protocol: member, size, quota, repeat, gap, epoch. A repeat is
//! answered whatever the epoch is now, so that a device which lost an answer always learns what became of it.

use crate::authorise::{Action, authorise};
use crate::commit::Roll;
use crate::conversation::Conversation;
use crate::quota::Quotas;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::log::Append;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, MessageNumber, Sequence};
use sotto_protocol::mls_header::{self, WireFormat};

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It becomes the entry at this place.
    Accept(Sequence),
    /// It is there already: at this place, or too long ago to say.
    Repeat(Option<Sequence>),
}

/// Why an append is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The account is no member now; whether the conversation exists is not said.
    #[error("not a member of this conversation")]
    NotMember,
    /// The message is no MLS application message of this conversation, or its number is 0.
    #[error("the message is not an application message of this conversation")]
    Malformed,
    /// The history policy allows no archive copy.
    #[error("this conversation keeps no archive")]
    NoArchive,
    /// The conversation has used its bytes up.
    #[error(
        "this conversation has used up its room on the relay: ask who runs the relay for more, or begin another"
    )]
    ConversationFull,
    /// The account has used its bytes up.
    #[error("this account has used up its room on the relay: ask who runs the relay for more")]
    AccountFull,
    /// A number was skipped.
    #[error("a message number was skipped, {due} is due")]
    Gap {
        /// The number that is due.
        due: MessageNumber,
    },
    /// The message is of another epoch.
    #[error("the message is of another epoch, the current one is {current}")]
    Stale {
        /// The current epoch.
        current: Epoch,
    },
}

impl Refusal {
    /// As it travels.
    #[must_use]
    pub fn wire(self) -> WireError {
        let (code, context) = match self {
            Self::NotMember => (ErrorCode::NotMember, 0),
            Self::Malformed | Self::NoArchive => (ErrorCode::Malformed, 0),
            Self::ConversationFull | Self::AccountFull => (ErrorCode::QuotaExceeded, 0),
            Self::Gap { due } => (ErrorCode::NumberGap, due.0),
            Self::Stale { current } => (ErrorCode::Stale, current.0),
        };
        WireError::new(code, self.to_string()).with_context(context)
    }
}

/// Decides about an append whose sizes are within the limits, of an account that has `held` bytes in the log. Changes
/// nothing.
///
/// # Errors
/// See [`Refusal`].
pub fn decide(
    conversation: Option<&Conversation>,
    account: AccountId,
    device: DeviceId,
    append: &Append,
    quotas: &Quotas,
    held: u64,
) -> Result<Decision, Refusal> {
    let may_write =
        |known: &&Conversation| authorise(Action::Write, known.standing(account), known.kind).is_ok();
    let conversation = conversation.filter(may_write).ok_or(Refusal::NotMember)?;
    let header = mls_header::peek(append.message.as_slice()).ok_or(Refusal::Malformed)?;
    let is_application = header.wire_format == WireFormat::PrivateMessage && header.content_type == Some(1);
    if !is_application || header.group_id != conversation.id.as_bytes() || append.number.0 == 0 {
        return Err(Refusal::Malformed);
    }
    if conversation.history == HistoryPolicy::None && !append.archive.is_empty() {
        return Err(Refusal::NoArchive);
    }
    let sender = conversation.senders.get(&device);
    let last = sender.map_or(MessageNumber(0), |sender| sender.last);
    if append.number <= last {
        return Ok(Decision::Repeat(sender.and_then(|sender| sender.place_of(append.number))));
    }
    let bytes = append.message.len().saturating_add(append.archive.len()) as u64;
    if quotas.conversation_bytes > 0 && !quotas.conversation_takes(conversation.stored_bytes(), bytes) {
        return Err(Refusal::ConversationFull);
    }
    if !quotas.account_takes(held, bytes) {
        return Err(Refusal::AccountFull);
    }
    if append.number != last.next() {
        return Err(Refusal::Gap { due: last.next() });
    }
    if header.epoch != conversation.epoch.0 {
        return Err(Refusal::Stale { current: conversation.epoch });
    }
    Ok(Decision::Accept(conversation.head.next()))
}
