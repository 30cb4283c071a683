//! Reading the log: one entry after the other, each checked before it is believed.

use super::members::{self, Roster};
use super::record::{self, LastNumber, Phase};
use super::send::associated_data;
use super::{Conversation, ConversationError, chain};
use crate::content;
use crate::identity::LocalDevice;
use crate::mls::Provider;
use crate::seal::{Sender, Verified};
use crate::store::{CodecError, MlsStorage, StoreError, Transaction};
use ed25519_dalek::{Signature, VerifyingKey};
use openmls::framing::errors::{MessageDecryptionError, SecretTreeError};
use openmls::prelude::{
    LeafNode, MlsGroup, MlsMessageBodyIn, MlsMessageIn, ProcessMessageError, ProcessedMessage,
    ProcessedMessageContent, Proposal, ProposalOrRefType, ProtocolMessage, Sender as MlsSender, StagedCommit,
    ValidationError,
};
use sotto_mls::credential::check_leaf_node;
use sotto_protocol::body::conversation::{HistoryPolicy, leave_bytes};
use sotto_protocol::body::log::{Entry, EntryKind};
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::limits::{APPLICATION_BYTES_MAX, COMMIT_BYTES_MAX};
use sotto_protocol::mls_header::{self, WireFormat};
use tls_codec::Deserialize as _;

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    /// What it is.
    pub outcome: Outcome,
    /// Loud: each goes to the person.
    pub alerts: Vec<Alert>,
}

/// What an entry of the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody said something.
    Content(Box<Verified>),
    /// Somebody changed the membership, or refreshed keys.
    Commit(CommitSummary),
    /// Our staged commit, or our join, became real.
    OwnCommit(CommitSummary),
    /// An entry of ours.
    Own {
        /// Its number.
        number: MessageNumber,
    },
    /// A member wishes to leave: somebody is to commit the removal of all its devices.
    Left(AccountId),
    /// This device was removed; the group's secrets are deleted.
    Removed(CommitSummary),
    /// While joining: an entry of before, which only the archive has for us.
    BeforeJoining,
    /// While joining: another commit was first. Join again on the new `Group`.
    JoinLost,
    /// At or before the cursor: nothing was done.
    Known,
    /// Refused. [`crate::repair`] decides what to do.
    Undecryptable(Reason),
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// The epoch that it began.
    pub epoch: Epoch,
    /// Whose it is. (`None` cannot be in an outcome: a commit whose committer is not known is refused.)
    pub committer: Option<Sender>,
    /// Devices that came.
    pub added: Vec<Sender>,
    /// Devices that went.
    pub removed: Vec<Sender>,
    /// Devices that repaired themselves: by an external commit their old leaf went and a new one came.
    pub rejoined: Vec<Sender>,
    /// A commit that we had staged lost the race and was cleared: redo the change if it is still needed.
    pub staged_was_cleared: bool,
}

/// Why an entry is refused, and who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is not the MLS message that its kind promises. The sender, or the relay.
    Malformed,
    /// It belongs to another conversation. The relay.
    WrongConversation,
    /// It was made for another epoch than the one it stands in. The relay.
    WrongEpoch,
    /// It was read before, or stands after a later one of its sender; its key is gone. The relay, or a device that
    /// was put back to an old state.
    Replayed,
    /// It does not decrypt, or its signature is wrong: somebody altered it.
    Altered,
    /// The relay names another account, device or number than the sender did.
    Spoofed,
    /// A certificate in it is forged, or contradicts another one. The sender.
    ForgedCertificate,
    /// Its sender is no member.
    NotMember,
    /// It skips more messages than may be skipped, or its keys are not where they should be. Our own state.
    KeyGone,
    /// The commit does not apply to our group, or does what no commit may. Ours or the committer's state: while it
    /// lasts nothing later can be read, so join again.
    CommitInvalid,
    /// The wish to leave is not signed by the device that it names. The relay.
    LeaveForged,
}

/// What a person must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    /// An account came with another identity key than the one it was known by.
    IdentityChanged {
        /// The account.
        account: AccountId,
        /// The key that it was known by.
        old: [u8; 32],
        /// The key that it has now.
        new: [u8; 32],
        /// Whether a person had verified the old one.
        was_verified: bool,
    },
    /// The relay showed this member another log than us.
    LogForked {
        /// Who was shown another log.
        by: Sender,
        /// A place where the logs differ, or before it.
        at: Sequence,
    },
    /// The relay gave another entry for a place that we had read already.
    LogRewritten {
        /// The place.
        at: Sequence,
    },
    /// The relay's log ends before what we have read of it.
    LogRewound {
        /// What we have read.
        cursor: Sequence,
        /// Where the relay says that it ends.
        head: Sequence,
    },
    /// The relay withheld contents of a device: its numbers skip.
    Withheld {
        /// Whose.
        device: DeviceId,
        /// The number that was due.
        due: MessageNumber,
        /// The number that came.
        got: MessageNumber,
    },
    /// A member was told another history policy than we were.
    HistoryDiffers {
        /// The member.
        by: Sender,
        /// What it was told.
        theirs: HistoryPolicy,
        /// What we were told.
        ours: HistoryPolicy,
    },
}

/// A head that the relay named, against what this device has read: an alert if the log was rewound.
#[must_use]
pub fn check_head(cursor: Sequence, head: Sequence) -> Option<Alert> {
    (head < cursor).then_some(Alert::LogRewound { cursor, head })
}

/// Why an operation on an entry stopped.
pub(super) enum Stop {
    Refused(Reason),
    Failed(ConversationError),
}

impl<E: Into<ConversationError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

type Step = Result<(Outcome, Vec<Alert>), Stop>;

impl Conversation {
    /// Takes the entry right after the cursor. Whatever the outcome, the cursor is past it then and the transaction
    /// is to be committed; an entry at or before the cursor is [`Outcome::Known`].
    ///
    /// # Errors
    /// [`ConversationError::Gap`] for a later entry; or the store fails, or our state is damaged.
    pub fn process(
        &mut self,
        tx: &Transaction<'_>,
        me: &LocalDevice,
        entry: &Entry,
        now: UnixMillis,
    ) -> Result<Processed, ConversationError> {
        self.absorb(tx)?;
        let due = self.record.cursor.next();
        if entry.sequence < due {
            return self.known(tx, entry);
        }
        if entry.sequence > due {
            return Err(ConversationError::Gap { due, got: entry.sequence });
        }
        let step = self.attempt(tx, |this| match this.record.phase {
            Phase::Joining { .. } => this.read_while_joining(tx, entry),
            Phase::Member if !this.group.is_active() => Err(ConversationError::NotMember.into()),
            Phase::Member => match entry.kind {
                EntryKind::Application if entry.device == me.device() => this.read_own(tx, me, entry),
                EntryKind::Application => this.read_application(tx, entry),
                EntryKind::Commit => this.read_commit(tx, entry, now),
                EntryKind::Leave => this.read_leave(entry),
            },
        });
        let (outcome, alerts) = match step {
            Ok(step) => step,
            Err(Stop::Refused(reason)) => (Outcome::Undecryptable(reason), Vec::new()),
            Err(Stop::Failed(error)) => return Err(error),
        };
        self.advance(tx, entry, &outcome)?;
        Ok(Processed { outcome, alerts })
    }

    /// Puts the cursor behind the entry.
    fn advance(
        &mut self,
        tx: &Transaction<'_>,
        entry: &Entry,
        outcome: &Outcome,
    ) -> Result<(), ConversationError> {
        match outcome {
            Outcome::Removed(_) => return Ok(()), // Nothing is left to keep.
            Outcome::Commit(_) | Outcome::OwnCommit(_) => {} // The chain began anew.
            Outcome::BeforeJoining | Outcome::JoinLost => self.record.cursor = entry.sequence,
            _ => {
                self.record.chain = chain::extend_by(&self.record.chain, entry);
                self.record.cursor = entry.sequence;
                chain::keep(tx, self.id, entry.sequence, &self.record.chain);
            }
        }
        if matches!(outcome, Outcome::Undecryptable(_))
            && entry.kind == EntryKind::Application
            && let Some(known) = record::last_number(tx, self.id, entry.device)?
        {
            let number = LastNumber { refused: known.refused.saturating_add(1), ..known };
            record::keep_last_number(tx, self.id, entry.device, number);
        }
        self.record.save(tx, self.id);
        self.absorb(tx)
    }

    /// An entry of before: whether it is still the same.
    fn known(&self, tx: &Transaction<'_>, entry: &Entry) -> Result<Processed, ConversationError> {
        let mut alerts = Vec::new();
        if let Some(before) =
            entry.sequence.0.checked_sub(1).filter(|_| entry.sequence > self.record.epoch_start)
        {
            let before = chain::at(tx, self.id, Sequence(before))?;
            let at = chain::at(tx, self.id, entry.sequence)?;
            if let (Some(before), Some(at)) = (before, at)
                && chain::extend_by(&before, entry) != at
            {
                alerts.push(Alert::LogRewritten { at: entry.sequence });
            }
        }
        Ok(Processed { outcome: Outcome::Known, alerts })
    }

    fn read_while_joining(&mut self, tx: &Transaction<'_>, entry: &Entry) -> Step {
        let outcome = match entry.kind {
            EntryKind::Commit if self.is_staged(entry) => self.merge_own(tx, entry.sequence)?,
            EntryKind::Commit => Outcome::JoinLost,
            EntryKind::Application | EntryKind::Leave => Outcome::BeforeJoining,
        };
        Ok((outcome, Vec::new()))
    }

    fn is_staged(&self, entry: &Entry) -> bool {
        self.record.staged == Some(chain::message_hash(entry.message.as_slice()))
    }

    /// An entry with our own label. A relay could hide what others say under it, so the bytes must be ours.
    fn read_own(&self, tx: &Transaction<'_>, me: &LocalDevice, entry: &Entry) -> Step {
        let hash = chain::message_hash(entry.message.as_slice());
        let sent = record::sent(tx, self.id, entry.number)?.unwrap_or_default();
        if entry.account != me.account() || sent.for_epoch(self.epoch()) != Some(&hash) {
            return Err(Stop::Refused(Reason::Spoofed));
        }
        record::forget_sent(tx, self.id, entry.number);
        Ok((Outcome::Own { number: entry.number }, Vec::new()))
    }

    fn read_application(&mut self, tx: &Transaction<'_>, entry: &Entry) -> Step {
        let bytes = entry.message.as_slice();
        self.check_framing(bytes, entry, WireFormat::PrivateMessage, APPLICATION_BYTES_MAX)?;
        let known = record::last_number(tx, self.id, entry.device)?;
        if known.is_some_and(|known| entry.number <= known.last) {
            return Err(Stop::Refused(Reason::Replayed));
        }
        let provider = Provider::reading(MlsStorage(tx));
        let message = self.group.process_message(&provider, protocol_message(bytes)?);
        let message = message.map_err(|error| refusal(error, Reason::Altered))?;
        let sender = self.check_sender(&message, entry)?;
        if message.aad() != associated_data(self.id, entry.number) {
            let same_conversation = message.aad().starts_with(self.id.as_bytes());
            return Err(Stop::Refused(if same_conversation {
                Reason::Spoofed
            } else {
                Reason::WrongConversation
            }));
        }
        let ProcessedMessageContent::ApplicationMessage(padded) = message.into_content() else {
            return Err(Stop::Refused(Reason::Malformed));
        };
        let padded = zeroize::Zeroizing::new(padded.into_bytes());
        let (head, content) = content::decode(&padded).map_err(|_| Stop::Refused(Reason::Malformed))?;
        if head.number != entry.number {
            return Err(Stop::Refused(Reason::Malformed));
        }
        let number = LastNumber { last: entry.number, refused: 0 };
        record::keep_last_number(tx, self.id, entry.device, number);
        let alerts = self.check_history(tx, entry, &sender, &head, known)?;
        let verified = Verified { sender, head, content, identity_differs: false };
        Ok((Outcome::Content(Box::new(verified)), alerts))
    }

    /// The sender by its leaf, which must be whom the relay names.
    fn check_sender(&self, message: &ProcessedMessage, entry: &Entry) -> Result<Sender, Stop> {
        let MlsSender::Member(index) = message.sender() else {
            return Err(Stop::Refused(Reason::NotMember));
        };
        let sender = self.roster.at(&self.group, *index).ok_or(Stop::Refused(Reason::ForgedCertificate))?;
        same_label(&sender, entry)?;
        Ok(sender)
    }

    /// What a content says about the log that its sender was shown.
    fn check_history(
        &self,
        tx: &Transaction<'_>,
        entry: &Entry,
        sender: &Sender,
        head: &content::Head,
        known: Option<LastNumber>,
    ) -> Result<Vec<Alert>, StoreError> {
        let mut alerts = Vec::new();
        let possible = self.record.epoch_start <= head.seen && head.seen < entry.sequence;
        let ours = if possible { chain::at(tx, self.id, head.seen)? } else { None };
        if !possible || ours.is_some_and(|ours| ours != head.chain) {
            alerts.push(Alert::LogForked { by: *sender, at: head.seen });
        }
        if let Some(known) = known {
            let due = known.last.next();
            if entry.number.0.saturating_sub(due.0) > known.refused {
                alerts.push(Alert::Withheld { device: entry.device, due, got: entry.number });
            }
        }
        if head.history != self.record.history {
            let (theirs, ours) = (head.history, self.record.history);
            alerts.push(Alert::HistoryDiffers { by: *sender, theirs, ours });
        }
        Ok(alerts)
    }

    fn read_commit(&mut self, tx: &Transaction<'_>, entry: &Entry, now: UnixMillis) -> Step {
        let bytes = entry.message.as_slice();
        if self.is_staged(entry) {
            return Ok((self.merge_own(tx, entry.sequence)?, Vec::new()));
        }
        self.check_framing(bytes, entry, WireFormat::PublicMessage, COMMIT_BYTES_MAX)?;
        let provider = Provider::reading(MlsStorage(tx));
        let message = self.group.process_message(&provider, protocol_message(bytes)?);
        let message = message.map_err(|error| refusal(error, Reason::CommitInvalid))?;
        let committer = match message.sender() {
            MlsSender::Member(index) => self.roster.at(&self.group, *index),
            MlsSender::NewMemberCommit => None,
            MlsSender::External(_) | MlsSender::NewMemberProposal => {
                return Err(Stop::Refused(Reason::CommitInvalid));
            }
        };
        let external = committer.is_none();
        let ProcessedMessageContent::StagedCommitMessage(staged) = message.into_content() else {
            return Err(Stop::Refused(Reason::CommitInvalid));
        };
        let mut summary =
            summarise(&staged, &self.roster, &self.group, committer, external).map_err(Stop::Refused)?;
        let committer = summary.committer.ok_or(Stop::Refused(Reason::CommitInvalid))?;
        same_label(&committer, entry)?;
        let removed = staged.self_removed();
        self.group.merge_staged_commit(&provider, *staged).map_err(ConversationError::library)?;
        summary.staged_was_cleared = self.record.staged.take().is_some();
        if removed {
            Self::forget(tx, self.id)?;
            return Ok((Outcome::Removed(summary), Vec::new()));
        }
        self.begin_epoch(tx, entry.sequence)?;
        self.roster.check(&self.group).map_err(|members::Forged| Stop::Refused(Reason::ForgedCertificate))?;
        let alerts = members::observe(tx, summary.added.iter().chain(&summary.rejoined), now)?;
        self.keep_membership(tx, &summary)?;
        Ok((Outcome::Commit(summary), alerts))
    }

    fn read_leave(&self, entry: &Entry) -> Step {
        let members = self.members();
        let leaver =
            members.iter().find(|member| member.device == entry.device && member.account == entry.account);
        let leaver = leaver.ok_or(Stop::Refused(Reason::NotMember))?;
        let signed = leave_bytes(self.id, entry.account);
        let signature = Signature::from_slice(entry.message.as_slice());
        signature
            .and_then(|signature| {
                VerifyingKey::from_bytes(&leaver.device_key)?.verify_strict(&signed, &signature)
            })
            .map_err(|_| Stop::Refused(Reason::LeaveForged))?;
        Ok((Outcome::Left(entry.account), Vec::new()))
    }

    /// The checks that need no key.
    fn check_framing(
        &self,
        bytes: &[u8],
        entry: &Entry,
        format: WireFormat,
        limit: usize,
    ) -> Result<(), Stop> {
        let header = mls_header::peek(bytes).ok_or(Stop::Refused(Reason::Malformed))?;
        if bytes.len() > limit || header.wire_format != format {
            return Err(Stop::Refused(Reason::Malformed));
        }
        if header.group_id != self.id.as_bytes() {
            return Err(Stop::Refused(Reason::WrongConversation));
        }
        if header.epoch != self.epoch().0 || entry.epoch != self.epoch() {
            return Err(Stop::Refused(Reason::WrongEpoch));
        }
        Ok(())
    }
}

fn same_label(sender: &Sender, entry: &Entry) -> Result<(), Stop> {
    let same = (sender.account, sender.device) == (entry.account, entry.device);
    if same { Ok(()) } else { Err(Stop::Refused(Reason::Spoofed)) }
}

fn protocol_message(bytes: &[u8]) -> Result<ProtocolMessage, Stop> {
    match MlsMessageIn::tls_deserialize_exact(bytes).map(MlsMessageIn::extract) {
        Ok(MlsMessageBodyIn::PrivateMessage(message)) => Ok(message.into()),
        Ok(MlsMessageBodyIn::PublicMessage(message)) => Ok(message.into()),
        _ => Err(Stop::Refused(Reason::Malformed)),
    }
}

/// What the library says, in our words.
fn refusal(error: ProcessMessageError<CodecError>, otherwise: Reason) -> Stop {
    use MessageDecryptionError as Decryption;
    use ValidationError as Validation;
    let reason = match error {
        ProcessMessageError::StorageError(CodecError::Store(error)) => return error.into(),
        ProcessMessageError::StorageError(error) => return ConversationError::library(error).into(),
        ProcessMessageError::ValidationError(error) => match error {
            Validation::WrongGroupId => Reason::WrongConversation,
            Validation::WrongEpoch | Validation::NoPastEpochData => Reason::WrongEpoch,
            Validation::UnknownMember => Reason::NotMember,
            Validation::UnableToDecrypt(Decryption::SecretTreeError(error)) => match error {
                SecretTreeError::TooDistantInThePast | SecretTreeError::SecretReuseError => Reason::Replayed,
                SecretTreeError::TooDistantInTheFuture => Reason::KeyGone,
                _ => otherwise,
            },
            _ => otherwise,
        },
        _ => otherwise,
    };
    Stop::Refused(reason)
}

/// What a commit does, after checking that it does nothing that no commit may: every change is by value and an add,
/// a removal or a (re)join, every certificate verifies, and an external commit removes nothing but its own old leaf.
pub(super) fn summarise(
    staged: &StagedCommit,
    roster: &Roster,
    group: &MlsGroup,
    committer: Option<Sender>,
    external: bool,
) -> Result<CommitSummary, Reason> {
    let check = |leaf: &LeafNode| {
        check_leaf_node(leaf)
            .map(|certificate| Sender::from(&certificate))
            .map_err(|_| Reason::ForgedCertificate)
    };
    let path = staged.update_path_leaf_node().map(check).transpose()?;
    let (mut added, mut removed, mut rejoined) = (Vec::new(), Vec::new(), Vec::new());
    for queued in staged.queued_proposals() {
        if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
            return Err(Reason::CommitInvalid);
        }
        match queued.proposal() {
            Proposal::Add(add) => added.push(check(add.key_package().leaf_node())?),
            Proposal::Remove(remove) => {
                removed.push(roster.at(group, remove.removed()).ok_or(Reason::CommitInvalid)?);
            }
            Proposal::ExternalInit(_) if external => {}
            _ => return Err(Reason::CommitInvalid),
        }
    }
    let committer = if external {
        let joiner = path.ok_or(Reason::CommitInvalid)?;
        if removed.iter().any(|old| (old.account, old.device) != (joiner.account, joiner.device)) {
            return Err(Reason::CommitInvalid);
        }
        if removed.is_empty() { &mut added } else { &mut rejoined }.push(joiner);
        removed.clear();
        Some(joiner)
    } else {
        if path.is_some() && path != committer {
            return Err(Reason::ForgedCertificate);
        }
        committer
    };
    let epoch = Epoch(staged.epoch().as_u64());
    Ok(CommitSummary { epoch, committer, added, removed, rejoined, staged_was_cleared: false })
}
