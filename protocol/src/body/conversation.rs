//! Conversations as the relay knows them: kind, policy, members and the public state of their MLS group.
//!
//! The members are the accounts whose devices are leaves of the MLS group; the relay reads them from its
//! copy of the public group state, so an accepted commit *is* the change of membership.

use super::Extensions;
use crate::ids::{AccountId, ConversationId, Epoch, Sequence};
use crate::payload::Payload;
use bincode::{Decode, Encode};

/// What kind of conversation. Frozen numbers; new kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Kind {
    /// Two accounts. The relay keeps one for each pair.
    Direct,
    /// Invited members.
    Group,
    /// Joinable by link, or by anybody if listed.
    Room,
}

/// Who may read what was said before they joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum HistoryPolicy {
    /// No archive at all: forward secrecy to the end.
    None,
    /// Members read from their own joining on, on all their devices.
    SinceJoining,
    /// Members read everything.
    All,
}

/// What a member may do in a conversation. Ordered: each may all that the ones before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Role {
    /// Reads, writes, adds members to groups.
    Member,
    /// Removes members, makes links.
    Moderator,
    /// Changes roles.
    Owner,
}

/// Creates a conversation from a new MLS group at epoch 0 whose only leaf is the asking device.
/// Answered by [`State`], or by `Taken` with [`State`]-finding context for a direct conversation that exists.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Create {
    /// Drawn at random by the device; also the MLS group id.
    pub conversation: ConversationId,
    /// What kind.
    pub kind: Kind,
    /// Who may read the past.
    pub history: HistoryPolicy,
    /// The other account of a direct conversation; `None` for the other kinds.
    pub peer: Option<AccountId>,
    /// The public name of a room that anybody may find and join; `None` keeps it unlisted.
    pub listed_name: Option<String>,
    /// An MLS `GroupInfo` message without the tree.
    pub group_info: Payload,
    /// The serialised ratchet tree of epoch 0.
    pub tree: Payload,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// One member as the relay knows it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Its name when this was asked, for people's eyes.
    pub username: String,
    /// Its role.
    pub role: Role,
    /// The entry by which it joined.
    pub since: Sequence,
}

/// A conversation as one member may know it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct State {
    /// The conversation.
    pub conversation: ConversationId,
    /// What kind.
    pub kind: Kind,
    /// Who may read the past.
    pub history: HistoryPolicy,
    /// The public name of a listed room.
    pub listed_name: Option<String>,
    /// The last entry of the log.
    pub head: Sequence,
    /// The first entry that is still kept (retention deletes older ones).
    pub first: Sequence,
    /// The current epoch.
    pub epoch: Epoch,
    /// The members, in the order of their account ids.
    pub members: Vec<Member>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Asks for one conversation, one by a listed room's name or direct peer, or all that the account is a
/// member of. Answered by [`States`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct List {
    /// Which ones.
    pub which: Which,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Which conversations a [`List`] asks for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Which {
    /// All that the account is a member of, or admitted to by an invite and has not joined.
    Mine,
    /// This one.
    One(ConversationId),
    /// The direct conversation with an account.
    DirectWith(AccountId),
    /// The listed room of this name.
    ListedName(String),
    /// All listed rooms.
    Listed,
}

/// The answer to [`List`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct States {
    /// One for each; none where nothing was found or may be known.
    pub conversations: Vec<State>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Asks for what a joiner needs: the group info and the tree. Answered by [`Group`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct GetGroup {
    /// The conversation.
    pub conversation: ConversationId,
    /// The epoch of a Welcome; `None` for the current one (to join by external commit).
    pub epoch: Option<Epoch>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The public state of a group at one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Group {
    /// The epoch.
    pub epoch: Epoch,
    /// The entry that began the epoch (0 for epoch 0): a joiner's cursor starts here.
    pub sequence: Sequence,
    /// An MLS `GroupInfo` message, signed by a member.
    pub group_info: Payload,
    /// The serialised ratchet tree.
    pub tree: Payload,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// An account leaves. The signed statement is appended to the log; the next member who sees it commits the removal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Leave {
    /// The conversation.
    pub conversation: ConversationId,
    /// Ed25519 by the device key over [`leave_bytes`].
    pub signature: [u8; 64],
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// What a device signs to leave: so that a relay cannot invent that somebody left.
#[must_use]
pub fn leave_bytes(conversation: ConversationId, account: AccountId) -> Vec<u8> {
    let mut bytes = b"sotto leave v1".to_vec();
    bytes.extend_from_slice(conversation.as_bytes());
    bytes.extend_from_slice(account.as_bytes());
    bytes
}

/// Changes a member's role. Answered by [`Done`](super::connection::Done).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct SetRole {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whose.
    pub account: AccountId,
    /// The new one.
    pub role: Role,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Asks for the Welcomes that wait for the asking device. Answered by [`Welcomes`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct GetWelcomes {
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// One Welcome.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Welcome {
    /// The conversation.
    pub conversation: ConversationId,
    /// The epoch that the commit began.
    pub epoch: Epoch,
    /// The entry of that commit: the joiner's cursor starts here.
    pub sequence: Sequence,
    /// A serialised MLS `Welcome` message, without the tree.
    pub welcome: Payload,
}

/// The answer to [`GetWelcomes`]; at most a few at a time, so ask again after taking these.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Welcomes {
    /// Oldest first.
    pub welcomes: Vec<Welcome>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The device has joined (or can never join) by this Welcome; the relay forgets it.
/// Answered by [`Done`](super::connection::Done).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct WelcomeTaken {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whatever later versions add.
    pub extensions: Extensions,
}
