//! The log: appending, committing, fetching by cursor, following.
//!
//! An entry has two columns. The *core* holds the MLS message, which members who were there read once and
//! forget the keys of. The *archive* holds the same content sealed under the epoch's archive key, which a
//! new device reads instead. Both are fetched by the same cursor, a [`Sequence`].

use super::Extensions;
use crate::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use crate::payload::Payload;
use bincode::{Decode, Encode};

/// Appends one content. Answered by [`Appended`] when it is on disk by fsync.
///
/// Numbers of one device in one conversation are 1, 2, 3 without a gap. A number that the log has already
/// is answered with the entry it became; one that skips is refused as `NumberGap`, one for an ended epoch as `Stale`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Append {
    /// The conversation.
    pub conversation: ConversationId,
    /// The device's own count in this conversation.
    pub number: MessageNumber,
    /// An MLS `PrivateMessage` (application) of the current epoch.
    pub message: Payload,
    /// The sealed archive copy; empty where the history policy is `None`.
    pub archive: Payload,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// An append or a commit is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Appended {
    /// The conversation.
    pub conversation: ConversationId,
    /// The number of the append; 0 for a commit.
    pub number: MessageNumber,
    /// Its place in the log.
    pub sequence: Sequence,
    /// The relay's time of it.
    pub time: UnixMillis,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Proposes the commit that ends the current epoch. Answered by [`Appended`], or refused as `EpochMoved`
/// (another was first), `CommitInvalid` (it does not verify) or `Forbidden` (it does what the sender may not).
///
/// Idempotent without a number: a repeated commit is refused as `EpochMoved`, and its sender finds its own
/// bytes in the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Commit {
    /// The conversation.
    pub conversation: ConversationId,
    /// An MLS `PublicMessage` with a commit, by a member or external.
    pub commit: Payload,
    /// The MLS `GroupInfo` message of the epoch that it begins, without the tree.
    pub group_info: Payload,
    /// The MLS `Welcome` message for the devices it adds, without the tree.
    pub welcome: Option<Payload>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// What an entry of the log is. Frozen numbers; new kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum EntryKind {
    /// An encrypted content: `message` is an MLS `PrivateMessage`.
    Application,
    /// A commit: `message` is an MLS `PublicMessage`.
    Commit,
    /// An account left: `message` is the signature over [`leave_bytes`](super::conversation::leave_bytes).
    Leave,
}

/// One entry of the log, without its archive column.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Entry {
    /// Its place.
    pub sequence: Sequence,
    /// When the relay took it, by the relay's clock.
    pub time: UnixMillis,
    /// What it is.
    pub kind: EntryKind,
    /// Who sent it, by the relay's word; clients check it against the MLS sender.
    pub account: AccountId,
    /// Which device sent it, by the relay's word.
    pub device: DeviceId,
    /// The device's number of it; 0 for what is no application message.
    pub number: MessageNumber,
    /// The epoch it belongs to. A commit belongs to the epoch it ends.
    pub epoch: Epoch,
    /// See [`EntryKind`].
    pub message: Payload,
}

/// Asks for entries after a cursor. Answered by [`Entries`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Fetch {
    /// The conversation.
    pub conversation: ConversationId,
    /// The last entry that the device has; 0 for none.
    pub after: Sequence,
    /// At most so many; the relay may give fewer, and gives at least one where there is one.
    pub limit: u32,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// A run of entries with no gap.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Entries {
    /// The conversation.
    pub conversation: ConversationId,
    /// The last entry of the whole log when this was read.
    pub head: Sequence,
    /// Ascending, consecutive.
    pub entries: Vec<Entry>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Asks for archive copies. Answered by [`ArchiveEntries`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct FetchArchive {
    /// The conversation.
    pub conversation: ConversationId,
    /// Entries before (exclusive) or after (exclusive) this place.
    pub from: Sequence,
    /// `true` reads towards the past, newest first, for scrolling back.
    pub backwards: bool,
    /// At most so many.
    pub limit: u32,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The archive column of one application entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct ArchiveEntry {
    /// Its place.
    pub sequence: Sequence,
    /// When the relay took it.
    pub time: UnixMillis,
    /// Who sent it, by the relay's word; the sealed copy carries a signature that says who did.
    pub account: AccountId,
    /// Which device sent it, by the relay's word.
    pub device: DeviceId,
    /// The device's number of it.
    pub number: MessageNumber,
    /// The epoch whose archive key seals it.
    pub epoch: Epoch,
    /// The sealed copy.
    pub sealed: Payload,
}

/// Archive copies in the order asked for; entries without a copy are left out.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct ArchiveEntries {
    /// The conversation.
    pub conversation: ConversationId,
    /// The copies.
    pub entries: Vec<ArchiveEntry>,
    /// Where to go on from: the last place looked at; 0 when the log's end (or start) was reached.
    pub next: Sequence,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Asks the relay to push what comes after now. Answered by [`Followed`]; nothing between the heads in the
/// answer and the first push is skipped, so a device fetches from its cursor to the head and is complete.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Follow {
    /// Which conversations; those that the account is not a member of are missing in the answer.
    pub conversations: Vec<ConversationId>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The heads of the conversations that are followed from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Followed {
    /// Each conversation with the last entry of its log.
    pub heads: Vec<(ConversationId, Sequence)>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Routes an ephemeral to the devices of the other members that are connected now. It is not stored and not answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct SendEphemeral {
    /// The conversation.
    pub conversation: ConversationId,
    /// Sealed under the epoch's ephemeral key.
    pub sealed: Payload,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Asks to be told who is here ([`Presence`](super::push::Presence)) in what this connection follows, from now on,
/// and says whether the others are told of this device. It is not answered. Before it a connection is shown and is
/// told nothing; it counts for the connection, and the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct SetPresence {
    /// The others are not told that this device is here.
    pub invisible: bool,
    /// Whatever later versions add.
    pub extensions: Extensions,
}
