//! What the relay sends unasked, under [`RequestId::PUSH`](crate::ids::RequestId::PUSH).

use super::Extensions;
use super::log::Entry;
use crate::ids::{AccountId, ConversationId, DeviceId, Epoch, Sequence};
use crate::payload::Payload;
use bincode::{Decode, Encode};

/// New entries of a followed conversation, each already on disk.
///
/// The same bytes go to every receiver, so a run may hold the receiver's own entries (it knows them by device
/// and number); a run of nothing else is not pushed to it. A receiver sees each gap by the sequences and fetches it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Delivered {
    /// The conversation.
    pub conversation: ConversationId,
    /// Ascending, consecutive.
    pub entries: Vec<Entry>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The receiver was too slow: the relay stopped pushing this conversation. Fetch from the cursor, then follow again.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Behind {
    /// The conversation.
    pub conversation: ConversationId,
    /// The last entry when pushing stopped.
    pub head: Sequence,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// A Welcome waits for the device: ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct WelcomeWaiting {
    /// The conversation.
    pub conversation: ConversationId,
    /// The epoch that began.
    pub epoch: Epoch,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// An ephemeral from another device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Ephemeral {
    /// The conversation.
    pub conversation: ConversationId,
    /// Who sent it, by the relay's word.
    pub account: AccountId,
    /// Which device sent it, by the relay's word.
    pub device: DeviceId,
    /// Sealed under the epoch's ephemeral key.
    pub sealed: Payload,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The stock of one-time key packages is low: publish more.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct KeyPackagesLow {
    /// How many are left.
    pub count: u32,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Who of a followed conversation is here: has a device that is connected, follows it and does not hide.
///
/// Only a connection that sent [`SetPresence`](super::log::SetPresence) is told. The first one of a conversation,
/// and each that makes up for what was dropped, names everybody or gives the number alone; in between come
/// changes, which are gathered for a moment, so that many who come at once are one frame.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Presence {
    /// The conversation.
    pub conversation: ConversationId,
    /// How many accounts are here now, whether they are named or not.
    pub count: u32,
    /// Which.
    pub who: WhoIsHere,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// What a [`Presence`] says beside the number. Frozen order; new ways are appended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub enum WhoIsHere {
    /// These and nobody else, whatever was said before; at most
    /// [`PRESENT_NAMED_MAX`](crate::limits::PRESENT_NAMED_MAX).
    These(Vec<AccountId>),
    /// What changed since the last one of the conversation.
    Changed {
        /// Who came; at most [`PRESENT_NAMED_MAX`](crate::limits::PRESENT_NAMED_MAX).
        came: Vec<AccountId>,
        /// Who went; at most [`PRESENT_NAMED_MAX`](crate::limits::PRESENT_NAMED_MAX).
        went: Vec<AccountId>,
    },
    /// Too many to name: what was named before is void.
    Unnamed,
}
