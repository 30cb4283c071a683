//! What a relay knows of a group: the public tree, and nothing that opens a message.
//!
//! ```text
//! create(group info, tree) -> PublicState --check_commit(bytes)--> CheckedCommit --apply--> PublicState
//!                                                    |                   |
//!                                              CommitRefusal      summary: who did what
//! ```
//!
//! A [`PublicState`] never changes: it is cheap to clone, may be checked against on any thread, and applying
//! a commit gives the next one, which was already computed while the commit was checked. So the one task
//! that owns the log compares epochs and swaps a pointer.
//!
//! What is checked is what can be seen: framing, epoch, signatures, the tree, each certificate. What needs
//! the group's secrets (membership and confirmation tags, the ciphertexts in an update path) the members
//! check. A member that sends a commit which only members can see to be wrong locks the others out until
//! they rejoin; it cannot read more, and it is named in the log.

use crate::certificate::DeviceCertificate;
use crate::credential::{CredentialError, check_leaf, check_leaf_node};
pub use crate::group_info::GroupInfoRefusal;
use crate::group_info::{self, Expected};
use crate::provider::MlsCrypto;
use crate::snapshot::Snapshot;
use crate::suite::{Suite, UnknownSuite};
use openmls::group::{ProposalStore, StageCommitError, ValidationError};
use openmls::prelude::{
    ContentType, ExtensionType, GroupId, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, Proposal,
    ProposalOrRefType, ProtocolMessage, PublicGroup, PublicProcessMessageError, RatchetTreeIn, Sender,
    StagedCommit,
};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch};
use sotto_protocol::limits::{
    ADDS_PER_COMMIT_MAX, COMMIT_BYTES_MAX, GROUP_INFO_BYTES_MAX, LEAVES_PER_CONVERSATION_MAX, TREE_BYTES_MAX,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tls_codec::{Deserialize, Serialize};

/// One device in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Its place in the tree.
    pub index: u32,
    /// Its checked certificate.
    pub certificate: DeviceCertificate,
}

/// The public state of one conversation's group at one epoch.
#[derive(Clone)]
pub struct PublicState(Arc<Inner>);

struct Inner {
    conversation: ConversationId,
    suite: Suite,
    group: PublicGroup,
    /// In the order of their places.
    leaves: Vec<Leaf>,
    snapshot: Vec<u8>,
}

/// Why a group cannot be taken in. Whoever sent the group info and the tree is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupRefusal {
    /// The group info or the tree is over its limit, or does not decode.
    #[error("this is not a group info with its tree")]
    Malformed,
    /// The group id is not the conversation's id.
    #[error("the group is of another conversation")]
    OtherConversation,
    /// A suite that Sotto does not speak.
    #[error(transparent)]
    Suite(#[from] UnknownSuite),
    /// The group carries extensions that change who may do what.
    #[error("the group context holds an extension that is not allowed")]
    Extension,
    /// The group info has no key for external commits.
    #[error("the group info has no key for external commits")]
    NoExternalKey,
    /// The group info or the tree does not verify; the text is the library's.
    #[error("the group does not verify: {0}")]
    Invalid(String),
    /// The members cannot be taken as they are.
    #[error(transparent)]
    Roster(#[from] RosterRefusal),
}

/// Why a set of leaves is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterRefusal {
    /// A leaf does not show which device it is.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A device would be in the group twice.
    #[error("device {0} would be in the group twice")]
    DeviceTwice(DeviceId),
    /// Two devices say that they are of one account and show different identity keys.
    #[error("two devices of account {0} show different identity keys")]
    TwoIdentities(AccountId),
    /// More leaves than a conversation may have.
    #[error("a conversation has at most {LEAVES_PER_CONVERSATION_MAX} devices")]
    TooManyLeaves,
}

/// Why a commit is refused. Except for [`CommitRefusal::WrongEpoch`] (a lost race) its sender is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitRefusal {
    /// Over the limit.
    #[error("a commit of {bytes} bytes is over the limit of {COMMIT_BYTES_MAX}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Not exactly one MLS message.
    #[error("this is not an MLS message")]
    Malformed,
    /// An MLS message, but not a commit as a public message.
    #[error("this is not a commit as a public message")]
    NotACommit,
    /// Made for another conversation.
    #[error("the commit is of another conversation")]
    OtherConversation,
    /// Made for another epoch than the current one.
    #[error("the commit is of epoch {got}, the conversation is at {current}")]
    WrongEpoch {
        /// The current epoch.
        current: Epoch,
        /// The epoch that the commit would end.
        got: Epoch,
    },
    /// The sender is no leaf of the group.
    #[error("the committer is not in the group")]
    UnknownSender,
    /// The signature is not the sender's.
    #[error("the commit is not signed by its sender")]
    BadSignature,
    /// It refers to a standalone proposal; every change must be in the commit itself.
    #[error("the commit refers to a proposal that is not in it")]
    ByReference,
    /// It holds a proposal that is neither an add nor a remove.
    #[error("the commit holds a proposal that is not allowed")]
    ProposalNotAllowed,
    /// More adds than one commit may hold.
    #[error("a commit adds at most {ADDS_PER_COMMIT_MAX} devices")]
    TooManyAdds,
    /// The committer would change its own certificate.
    #[error("the commit changes the certificate of its sender")]
    CertificateChanged,
    /// An external commit removes another device than its own old leaf.
    #[error("an external commit may remove the old leaf of its own device only")]
    RemovesAnother,
    /// The members it leads to cannot be taken.
    #[error(transparent)]
    Roster(#[from] RosterRefusal),
    /// Another rule of MLS is broken; the text is the library's.
    #[error("the commit is not valid: {0}")]
    Invalid(String),
    /// Our own state could not be read again: a bug here, not the sender's fault.
    #[error("the public state of the group could not be copied: {0}")]
    Internal(String),
}

/// The bytes of a stored snapshot cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored public state of conversation {conversation} is damaged: {reason}")]
pub struct DamagedSnapshot {
    /// Whose.
    pub conversation: ConversationId,
    /// What is wrong.
    pub reason: String,
}

/// A commit was applied to a state of another epoch than it was checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the commit was checked at epoch {checked}, the conversation is at {current}")]
pub struct EpochMoved {
    /// Where it was checked.
    pub checked: Epoch,
    /// Where the conversation is.
    pub current: Epoch,
}

/// What a commit does, in terms of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// The epoch that it ends.
    pub epoch: Epoch,
    /// The device that made it; for an external commit with the place that it takes.
    pub committer: Leaf,
    /// Whether it is an external commit: the committer was not in the group, or lost its state and rejoins.
    pub external: bool,
    /// Whether an external commit replaces the committer's own old leaf.
    pub rejoin: bool,
    /// The devices that it adds by key package; the committer of an external commit is not among them.
    pub added: Vec<DeviceCertificate>,
    /// The devices that it removes; the committer's own old leaf is not among them.
    pub removed: Vec<Leaf>,
}

/// A commit that passed every check against one [`PublicState`].
#[derive(Clone)]
pub struct CheckedCommit {
    summary: CommitSummary,
    next: PublicState,
}

impl PublicState {
    /// Takes in a group from its group info and tree.
    ///
    /// # Errors
    /// See [`GroupRefusal`].
    pub fn create(
        conversation: ConversationId,
        group_info: &[u8],
        tree: &[u8],
    ) -> Result<Self, GroupRefusal> {
        if group_info.len() > GROUP_INFO_BYTES_MAX || tree.len() > TREE_BYTES_MAX {
            return Err(GroupRefusal::Malformed);
        }
        let message = MlsMessageIn::tls_deserialize_exact(group_info).map_err(|_| GroupRefusal::Malformed)?;
        let MlsMessageBodyIn::GroupInfo(group_info) = message.extract() else {
            return Err(GroupRefusal::Malformed);
        };
        let tree = RatchetTreeIn::tls_deserialize_exact(tree).map_err(|_| GroupRefusal::Malformed)?;
        if group_info.group_id().as_slice() != conversation.as_bytes() {
            return Err(GroupRefusal::OtherConversation);
        }
        let suite = Suite::try_from(group_info.ciphersuite())?;
        let extensions = group_info.group_context().extensions();
        if extensions
            .iter()
            .any(|extension| extension.extension_type() != ExtensionType::RequiredCapabilities)
        {
            return Err(GroupRefusal::Extension);
        }
        if group_info.extensions().external_pub().is_none() {
            return Err(GroupRefusal::NoExternalKey);
        }
        let snapshot = Snapshot::default();
        let (group, _) =
            PublicGroup::from_external(&MlsCrypto, &snapshot, tree, group_info, ProposalStore::new())
                .map_err(|error| GroupRefusal::Invalid(error.to_string()))?;
        let leaves = roster(&group, &HashMap::new())?;
        Ok(Self(Arc::new(Inner { conversation, suite, group, leaves, snapshot: snapshot.to_bytes() })))
    }

    /// Reads a state that [`Self::snapshot`] wrote. Every certificate is checked again.
    ///
    /// # Errors
    /// If the bytes are not such a snapshot, whole.
    pub fn from_snapshot(conversation: ConversationId, bytes: &[u8]) -> Result<Self, DamagedSnapshot> {
        let damaged = |reason: String| DamagedSnapshot { conversation, reason };
        let group = load(conversation, bytes).map_err(damaged)?;
        if group.group_id().as_slice() != conversation.as_bytes() {
            return Err(damaged("it is of another conversation".to_owned()));
        }
        let suite = Suite::try_from(group.ciphersuite()).map_err(|error| damaged(error.to_string()))?;
        let leaves = roster(&group, &HashMap::new()).map_err(|error| damaged(error.to_string()))?;
        Ok(Self(Arc::new(Inner { conversation, suite, group, leaves, snapshot: bytes.to_vec() })))
    }

    /// The state as bytes, for the relay's disk.
    #[must_use]
    pub fn snapshot(&self) -> &[u8] {
        &self.0.snapshot
    }

    /// The conversation.
    #[must_use]
    pub fn conversation(&self) -> ConversationId {
        self.0.conversation
    }

    /// The suite of the group.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.0.suite
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.0.group.group_context().epoch().as_u64())
    }

    /// The devices, in the order of their places.
    #[must_use]
    pub fn members(&self) -> &[Leaf] {
        &self.0.leaves
    }

    /// The accounts that own leaves.
    #[must_use]
    pub fn accounts(&self) -> BTreeSet<AccountId> {
        self.0.leaves.iter().map(|leaf| leaf.certificate.account()).collect()
    }

    /// The leaf of a device.
    #[must_use]
    pub fn leaf_of(&self, device: DeviceId) -> Option<&Leaf> {
        self.0.leaves.iter().find(|leaf| leaf.certificate.device() == device)
    }

    /// The ratchet tree as it travels in `Group`.
    ///
    /// # Panics
    /// Never: a tree that OpenMLS holds can be written.
    #[must_use]
    pub fn export_tree(&self) -> Vec<u8> {
        self.0
            .group
            .export_ratchet_tree()
            .tls_serialize_detached()
            .expect("a tree that OpenMLS holds can be written")
    }

    /// Checks a commit against this state, and computes the state that it leads to.
    ///
    /// Takes milliseconds, more in large groups; call it off the thread that owns the log.
    ///
    /// The library compares the lifetimes of added key packages with the system's clock. So a commit that was
    /// accepted and adds devices is never checked again: the state that it leads to is kept as a snapshot.
    ///
    /// # Errors
    /// See [`CommitRefusal`].
    pub fn check_commit(&self, bytes: &[u8]) -> Result<CheckedCommit, CommitRefusal> {
        let message = self.framing(bytes)?;
        let processed = self.0.group.process_message(&MlsCrypto, message).map_err(refusal)?;
        let sender = processed.sender().clone();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(CommitRefusal::NotACommit);
        };
        let changes = Changes::of(&staged, &self.0.leaves)?;
        let (committer, external) = match sender {
            Sender::Member(index) => {
                let committer = self.0.leaves.iter().find(|leaf| leaf.index == index.u32());
                let committer = committer.ok_or(CommitRefusal::UnknownSender)?.certificate;
                if changes.path.is_some_and(|path| path != committer) {
                    return Err(CommitRefusal::CertificateChanged);
                }
                (committer, false)
            }
            Sender::NewMemberCommit => (changes.path.ok_or(CommitRefusal::UnknownSender)?, true),
            Sender::External(_) | Sender::NewMemberProposal => return Err(CommitRefusal::UnknownSender),
        };
        let mut removed = changes.removed;
        let rejoin = external && !removed.is_empty();
        if external {
            removed.retain(|leaf| !same_device(&leaf.certificate, &committer));
            if !removed.is_empty() {
                return Err(CommitRefusal::RemovesAnother);
            }
        }
        let next = self.next(*staged, &committer, &changes.added)?;
        let index = next.leaf_of(committer.device()).ok_or(CommitRefusal::UnknownSender)?.index;
        let committer = Leaf { index, certificate: committer };
        let summary =
            CommitSummary { epoch: self.epoch(), committer, external, rejoin, added: changes.added, removed };
        Ok(CheckedCommit { summary, next })
    }

    /// The state after a commit that was checked against this one.
    ///
    /// # Errors
    /// If the conversation has moved to another epoch since.
    pub fn apply(&self, commit: CheckedCommit) -> Result<Self, EpochMoved> {
        let (checked, current) = (commit.summary.epoch, self.epoch());
        let same = checked == current && commit.next.conversation() == self.conversation();
        if same { Ok(commit.next) } else { Err(EpochMoved { checked, current }) }
    }

    /// The checks that need no cryptography, cheapest first.
    fn framing(&self, bytes: &[u8]) -> Result<ProtocolMessage, CommitRefusal> {
        if bytes.len() > COMMIT_BYTES_MAX {
            return Err(CommitRefusal::TooLarge { bytes: bytes.len() });
        }
        let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| CommitRefusal::Malformed)?;
        let MlsMessageBodyIn::PublicMessage(message) = message.extract() else {
            return Err(CommitRefusal::NotACommit);
        };
        if message.content_type() != ContentType::Commit {
            return Err(CommitRefusal::NotACommit);
        }
        if message.group_id() != self.0.group.group_id() {
            return Err(CommitRefusal::OtherConversation);
        }
        let (current, got) = (self.epoch(), Epoch(message.epoch().as_u64()));
        if current == got { Ok(message.into()) } else { Err(CommitRefusal::WrongEpoch { current, got }) }
    }

    fn next(
        &self,
        staged: StagedCommit,
        committer: &DeviceCertificate,
        added: &[DeviceCertificate],
    ) -> Result<Self, CommitRefusal> {
        // OpenMLS gives its groups no `clone`, so the copy goes through the snapshot.
        let mut group = load(self.0.conversation, &self.0.snapshot).map_err(CommitRefusal::Internal)?;
        let snapshot = Snapshot::default();
        group.merge_commit(&snapshot, staged).map_err(|error| CommitRefusal::Internal(error.to_string()))?;
        let checked = self.0.leaves.iter().map(|leaf| &leaf.certificate).chain(added).chain([committer]);
        let checked = checked.map(|certificate| (certificate.to_bytes(), *certificate)).collect();
        let leaves = roster(&group, &checked)?;
        let Inner { conversation, suite, .. } = *self.0;
        Ok(Self(Arc::new(Inner { conversation, suite, group, leaves, snapshot: snapshot.to_bytes() })))
    }
}

impl CheckedCommit {
    /// What the commit does.
    #[must_use]
    pub const fn summary(&self) -> &CommitSummary {
        &self.summary
    }

    /// The state that the commit leads to, to look at; [`PublicState::apply`] gives it away.
    #[must_use]
    pub const fn next(&self) -> &PublicState {
        &self.next
    }

    /// Checks the group info that came with the commit: of this conversation, of the epoch that the commit
    /// begins, of exactly the state it leads to, signed by the committer.
    ///
    /// # Errors
    /// See [`GroupInfoRefusal`].
    pub fn check_group_info(&self, bytes: &[u8]) -> Result<(), GroupInfoRefusal> {
        let group = &self.next.0.group;
        let expected = Expected {
            context: group.group_context(),
            confirmation_tag: group.confirmation_tag(),
            signer: self.summary.committer.index,
            signer_key: self.summary.committer.certificate.device_key(),
        };
        group_info::check(bytes, &expected)
    }
}

/// The devices in a staged commit, each with its checked certificate.
struct Changes {
    added: Vec<DeviceCertificate>,
    removed: Vec<Leaf>,
    /// The committer's new leaf, if the commit has a path.
    path: Option<DeviceCertificate>,
}

impl Changes {
    fn of(staged: &StagedCommit, leaves: &[Leaf]) -> Result<Self, CommitRefusal> {
        let path =
            staged.update_path_leaf_node().map(check_leaf_node).transpose().map_err(RosterRefusal::from)?;
        let mut changes = Self { added: Vec::new(), removed: Vec::new(), path };
        for queued in staged.queued_proposals() {
            if queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
                return Err(CommitRefusal::ByReference);
            }
            match queued.proposal() {
                Proposal::Add(add) => {
                    let leaf = add.key_package().leaf_node();
                    changes.added.push(check_leaf_node(leaf).map_err(RosterRefusal::from)?);
                }
                Proposal::Remove(remove) => {
                    let leaf = leaves.iter().find(|leaf| leaf.index == remove.removed().u32());
                    changes.removed.push(*leaf.ok_or(CommitRefusal::ProposalNotAllowed)?);
                }
                Proposal::ExternalInit(_) => {}
                _ => return Err(CommitRefusal::ProposalNotAllowed),
            }
        }
        if changes.added.len() > ADDS_PER_COMMIT_MAX {
            return Err(CommitRefusal::TooManyAdds);
        }
        Ok(changes)
    }
}

/// The leaves of a group with their certificates; those in `checked` are not verified a second time.
fn roster(
    group: &PublicGroup,
    checked: &HashMap<Vec<u8>, DeviceCertificate>,
) -> Result<Vec<Leaf>, RosterRefusal> {
    let mut leaves = Vec::new();
    let mut devices = BTreeSet::new();
    let mut identities = HashMap::new();
    for member in group.members() {
        if leaves.len() == LEAVES_PER_CONVERSATION_MAX {
            return Err(RosterRefusal::TooManyLeaves);
        }
        let certificate = match checked.get(member.credential.serialized_content()) {
            Some(known) if *known.device_key() == *member.signature_key => *known,
            _ => check_leaf(&member.credential, &member.signature_key)?,
        };
        if !devices.insert(certificate.device()) {
            return Err(RosterRefusal::DeviceTwice(certificate.device()));
        }
        let identity = identities.entry(certificate.account()).or_insert_with(|| *certificate.identity_key());
        if identity != certificate.identity_key() {
            return Err(RosterRefusal::TwoIdentities(certificate.account()));
        }
        leaves.push(Leaf { index: member.index.u32(), certificate });
    }
    Ok(leaves)
}

fn same_device(left: &DeviceCertificate, right: &DeviceCertificate) -> bool {
    left.account() == right.account()
        && left.device() == right.device()
        && left.identity_key() == right.identity_key()
}

fn load(conversation: ConversationId, bytes: &[u8]) -> Result<PublicGroup, String> {
    let snapshot = Snapshot::from_bytes(bytes).map_err(|error| error.to_string())?;
    PublicGroup::load(&snapshot, &GroupId::from_slice(conversation.as_bytes()))
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "a part is missing".to_owned())
}

/// The library's errors in our words, where ours say more.
fn refusal(error: PublicProcessMessageError) -> CommitRefusal {
    match error {
        PublicProcessMessageError::ValidationError(ValidationError::UnknownMember) => {
            CommitRefusal::UnknownSender
        }
        PublicProcessMessageError::ValidationError(ValidationError::InvalidSignature) => {
            CommitRefusal::BadSignature
        }
        PublicProcessMessageError::InvalidCommit(StageCommitError::MissingProposal) => {
            CommitRefusal::ByReference
        }
        PublicProcessMessageError::ValidationError(error) => CommitRefusal::Invalid(error.to_string()),
        PublicProcessMessageError::InvalidCommit(error) => CommitRefusal::Invalid(error.to_string()),
        other => CommitRefusal::Invalid(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
