//! A conversation: one MLS group.
//!
//! Every operation takes the [`Transaction`] that it writes into. Commit the transaction's batch together with
//! the frames to send; if you drop it instead, drop the `Conversation` too and [`Conversation::load`] it again.
use crate::content::{Content, Ephemeral, Head};
use crate::identity::LocalDevice;
use crate::key_package::VerifiedKeyPackage;
use crate::seal::{SealError, Verified};
use crate::store::{StoreError, Transaction};
use rand_core::CryptoRng;
use sotto_protocol::body::conversation::{Group, HistoryPolicy, Welcome};
use sotto_protocol::body::log::Entry;
use sotto_protocol::body::push;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::payload::Payload;

/// Will be `sotto_mls::Suite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    XWing,
    X25519,
}

/// A device, as its certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender {
    pub account: AccountId,
    pub device: DeviceId,
    pub identity_key: [u8; 32],
    pub device_key: [u8; 32],
}

pub struct Conversation {
    id: ConversationId,
}

impl Conversation {
    /// A new group whose only leaf is this device. Send `Create` with what is returned.
    pub fn create(
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        id: ConversationId,
        suite: Suite,
        history: HistoryPolicy,
        now: UnixMillis,
    ) -> Result<(Self, Genesis), ConversationError> {
        unimplemented!()
    }
    /// Joins by a Welcome; `group` is the relay's answer to `GetGroup{epoch: Some(welcome.epoch)}`.
    pub fn join_welcome(
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        history: HistoryPolicy,
        welcome: &Welcome,
        group: &Group,
        now: UnixMillis,
    ) -> Result<(Self, Vec<Alert>), ConversationError> {
        unimplemented!()
    }
    /// Joins, or rejoins, by an external commit on the relay's current `Group`. Not a member until [`Self::confirm`].
    pub fn join_external(
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        id: ConversationId,
        history: HistoryPolicy,
        group: &Group,
        now: UnixMillis,
    ) -> Result<(Self, Staged), ConversationError> {
        unimplemented!()
    }
    pub fn load(tx: &Transaction<'_>, id: ConversationId) -> Result<Option<Self>, ConversationError> {
        unimplemented!()
    }
    /// Deletes the group's secrets and rows (left, removed, or before a rejoin). Archive keys stay.
    pub fn delete(self, tx: &Transaction<'_>) -> Result<(), ConversationError> {
        unimplemented!()
    }

    pub fn id(&self) -> ConversationId {
        self.id
    }
    pub fn epoch(&self) -> Epoch {
        unimplemented!()
    }
    pub fn suite(&self) -> Suite {
        unimplemented!()
    }
    pub fn history(&self) -> HistoryPolicy {
        unimplemented!()
    }
    /// The last entry that was processed.
    pub fn cursor(&self) -> Sequence {
        unimplemented!()
    }
    /// The same for all members of an epoch, for people and tests to compare.
    pub fn epoch_authenticator(&self) -> [u8; 32] {
        unimplemented!()
    }
    /// Every leaf, as its checked certificate says.
    pub fn members(&self) -> Vec<Sender> {
        unimplemented!()
    }
    /// False while a join by external commit waits for the relay, and after this device was removed.
    pub fn is_member(&self) -> bool {
        unimplemented!()
    }
    /// A staged commit waits for the relay.
    pub fn has_staged(&self) -> bool {
        unimplemented!()
    }

    /// Encrypts under the current epoch. Call again with the same number when the relay answered `Stale`.
    pub fn encrypt(
        &mut self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        number: MessageNumber,
        content: &Content,
        now: UnixMillis,
    ) -> Result<Encrypted, ConversationError> {
        unimplemented!()
    }
    /// The relay answered an append of ours with its place: needed for the history check, because own entries may
    /// not be delivered back. Entries of ours right after the cursor move it on.
    pub fn appended(
        &mut self,
        tx: &Transaction<'_>,
        number: MessageNumber,
        sequence: Sequence,
    ) -> Result<(), ConversationError> {
        unimplemented!()
    }
    /// Takes the entry right after the cursor (an earlier one gives `Outcome::Known`, a later one `Gap`).
    /// Whatever the outcome, the cursor is past the entry then and the transaction should be committed.
    pub fn process(
        &mut self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        entry: &Entry,
        now: UnixMillis,
    ) -> Result<Processed, ConversationError> {
        unimplemented!()
    }

    /// Prepares a commit. Send it; it becomes real by [`Self::confirm`] or by its bytes in the log.
    pub fn stage(
        &mut self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        change: Change,
        now: UnixMillis,
    ) -> Result<Staged, ConversationError> {
        unimplemented!()
    }
    /// The relay accepted the staged commit as this entry. Needs the cursor right before it (`Gap` otherwise: fetch
    /// and process first; the commit is then found in the log by its bytes and this is not needed).
    pub fn confirm(
        &mut self,
        tx: &Transaction<'_>,
        sequence: Sequence,
        now: UnixMillis,
    ) -> Result<Processed, ConversationError> {
        unimplemented!()
    }
    /// The relay refused the staged commit for good. (Processing the winner's commit abandons it too.)
    pub fn abandon(&mut self, tx: &Transaction<'_>) -> Result<(), ConversationError> {
        unimplemented!()
    }

    pub fn seal_ephemeral(
        &self,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        ephemeral: &Ephemeral,
        now: UnixMillis,
    ) -> Result<Payload, ConversationError> {
        unimplemented!()
    }
    pub fn open_ephemeral(
        &self,
        ephemeral: &push::Ephemeral,
    ) -> Result<(Sender, UnixMillis, Ephemeral), SealError> {
        unimplemented!()
    }

    /// A request for the archive keys that this device lacks; the private half is kept in the transaction.
    pub fn request_keys(
        &self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        from: Epoch,
        until: Epoch,
    ) -> Result<Content, ConversationError> {
        unimplemented!()
    }
    /// Answers a request with the keys that the sender may have; `None` when there are none to give.
    pub fn answer_keys(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        from: &Sender,
        request: &Content,
    ) -> Result<Option<Content>, ConversationError> {
        unimplemented!()
    }
    /// Takes an answer to our request; gives the epochs whose keys are new.
    pub fn take_keys(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        from: &Sender,
        answer: &Content,
    ) -> Result<Vec<Epoch>, ConversationError> {
        unimplemented!()
    }
    /// Asks for contents again.
    pub fn request_resend(
        &self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        sequences: Vec<Sequence>,
    ) -> Result<Content, ConversationError> {
        unimplemented!()
    }
    /// Answers for one sequence with a content that **this device** sent or holds signed.
    pub fn answer_resend(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        from: &Sender,
        request: &Content,
        sequence: Sequence,
        epoch: Epoch,
        head: &Head,
        content: &Content,
    ) -> Result<Option<Content>, ConversationError> {
        unimplemented!()
    }
    pub fn take_resent(
        &self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        answer: &Content,
    ) -> Result<Option<(Sequence, Verified)>, ConversationError> {
        unimplemented!()
    }
}

/// What `Create` needs.
pub struct Genesis {
    pub group_info: Payload,
    pub tree: Payload,
}
pub struct Encrypted {
    pub message: Payload,
    /// Empty where the history policy is `None`.
    pub archive: Payload,
    pub epoch: Epoch,
}
pub struct Staged {
    pub commit: Payload,
    pub group_info: Payload,
    pub welcome: Option<Payload>,
    pub epoch: Epoch,
    pub alerts: Vec<Alert>,
}

/// What a commit is to do. At most `ADDS_PER_COMMIT_MAX` adds.
pub enum Change {
    Add(Vec<VerifiedKeyPackage>),
    RemoveAccounts(Vec<AccountId>),
    RemoveDevices(Vec<DeviceId>),
    /// Fresh keys for this device's leaf and path.
    Update,
}

pub struct Processed {
    pub outcome: Outcome,
    /// Loud: each goes to the person.
    pub alerts: Vec<Alert>,
}

pub enum Outcome {
    Content(Verified),
    Commit(CommitSummary),
    /// Our staged commit became real.
    OwnCommit(CommitSummary),
    /// An entry of ours came back.
    Own {
        number: MessageNumber,
    },
    /// A member's signed wish to leave: somebody commits the removal (`Change::RemoveAccounts`).
    Left(AccountId),
    /// This device was removed; its group secrets are deleted.
    Removed(CommitSummary),
    /// At or before the cursor: nothing was done.
    Known,
    /// While joining: another commit was first; `delete` this and join again on the new `Group`.
    JoinLost,
    /// See [`crate::repair`] for what to do.
    Undecryptable(Reason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    pub epoch: Epoch,
    pub committer: Option<Sender>,
    pub added: Vec<Sender>,
    pub removed: Vec<Sender>,
    /// By external commit with the same device key: its old leaf went, a new one came.
    pub rejoined: Vec<Sender>,
    /// Our staged commit lost the race and was cleared: redo the change if still needed.
    pub staged_was_cleared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    Malformed,
    WrongConversation,
    WrongEpoch,
    Replayed,
    SpoofedSender,
    ForgedCertificate,
    Altered,
    KeyGone,
    NotYetMember,
    CommitInvalid,
    LeaveForged,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    IdentityChanged {
        account: AccountId,
        old: [u8; 32],
        new: [u8; 32],
        was_verified: bool,
    },
    /// The relay shows this member another log than us.
    LogForked {
        by: Sender,
        at: Sequence,
    },
    /// The relay withheld contents of a device: its numbers skip.
    Withheld {
        device: DeviceId,
        expected: MessageNumber,
        got: MessageNumber,
    },
    /// Head below our cursor.
    LogRewound {
        cursor: Sequence,
        head: Sequence,
    },
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("entry {got} came where {expected} was due")]
    Gap { expected: Sequence, got: Sequence },
    #[error("not a member of this conversation")]
    NotMember,
    #[error("a staged commit waits for the relay")]
    CommitPending,
    #[error("no commit is staged")]
    NothingStaged,
    #[error("the conversation's stored state is damaged: {0}")]
    Damaged(String),
    #[error("the relay's group does not verify: {0}")]
    GroupInvalid(String),
    #[error("a certificate in the group is forged")]
    ForgedCertificate,
    #[error("the content is too large")]
    TooLarge,
    #[error("{0}")]
    Refused(&'static str),
    #[error("MLS: {0}")]
    Mls(String),
}
/// A head that the relay named for a conversation, against our cursor.
pub fn check_head(cursor: Sequence, head: Sequence) -> Option<Alert> {
    unimplemented!()
}
