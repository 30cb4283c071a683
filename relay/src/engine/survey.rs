//! What an operator may know of a conversation: no more than the relay itself does.

use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence};
use sotto_relay_core::conversation::Conversation;

/// Accounts that have much in the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holders {
    /// What the account with the most has.
    pub most_bytes: u64,
    /// Those with at least as much as was asked for, in no order, with their bytes.
    pub accounts: Vec<(AccountId, u64)>,
}

/// One conversation, in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    /// Its id.
    pub conversation: ConversationId,
    /// What kind.
    pub kind: Kind,
    /// The public name of a listed room.
    pub listed_name: Option<String>,
    /// Who may read the past.
    pub history: HistoryPolicy,
    /// Accounts that are members now.
    pub members: usize,
    /// The first entry that is kept; one more than `head` if none is.
    pub first: Sequence,
    /// The last entry.
    pub head: Sequence,
    /// Bytes of entries kept, before the store's own overhead.
    pub stored_bytes: u64,
}

impl Surveyed {
    /// How many entries are kept.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.head.0.saturating_add(1).saturating_sub(self.first.0)
    }

    pub(super) fn of(known: &Conversation) -> Self {
        Self {
            conversation: known.id,
            kind: known.kind,
            listed_name: known.listed_name.clone(),
            history: known.history,
            members: known.members().count(),
            first: known.first(),
            head: known.head,
            stored_bytes: known.stored_bytes(),
        }
    }
}
