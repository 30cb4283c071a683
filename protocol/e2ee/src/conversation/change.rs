//! Changing who is a member: a commit is staged, and becomes real when the relay has accepted it.

use super::members;
use super::process::summarise;
use super::record::{self, Phase};
use super::{Alert, Conversation, ConversationError, Outcome, Processed, Sender, chain, join};
use crate::identity::LocalDevice;
use crate::key_package::VerifiedKeyPackage;
use crate::mls::Provider;
use crate::store::{MlsStorage, Transaction};
use openmls::prelude::{CommitMessageBundle, LeafNodeIndex, MlsMessageOut};
use openmls_traits::OpenMlsProvider as _;
use rand_core::CryptoRng;
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, Sequence, UnixMillis};
use sotto_protocol::limits::ADDS_PER_COMMIT_MAX;
use sotto_protocol::payload::Payload;

/// What a commit is to do.
pub enum Change {
    /// Adds devices, at most [`ADDS_PER_COMMIT_MAX`].
    Add(Vec<VerifiedKeyPackage>),
    /// Removes every device of these accounts.
    RemoveAccounts(Vec<AccountId>),
    /// Removes these devices.
    RemoveDevices(Vec<DeviceId>),
    /// Gives this device fresh keys, so that whoever copied the old ones is locked out.
    Update,
}

/// A commit that waits to be sent and accepted.
pub struct Staged {
    /// The MLS commit.
    pub commit: Payload,
    /// The MLS `GroupInfo` message of the epoch that it begins, without the tree.
    pub group_info: Payload,
    /// The MLS `Welcome` for the devices it adds, without the tree.
    pub welcome: Option<Payload>,
    /// The epoch that it begins.
    pub epoch: Epoch,
    /// Loud: each goes to the person, before the commit is sent.
    pub alerts: Vec<Alert>,
}

impl Staged {
    pub(super) fn of(
        bundle: CommitMessageBundle,
        epoch: Epoch,
        alerts: Vec<Alert>,
    ) -> Result<Self, ConversationError> {
        let (commit, welcome, group_info) = bundle.into_messages();
        let group_info =
            group_info.ok_or_else(|| ConversationError::library("a commit came without group info"))?;
        let payload = |message: &MlsMessageOut| join::bytes(message).map(Payload::from);
        Ok(Self {
            commit: payload(&commit)?,
            group_info: payload(&group_info)?,
            welcome: welcome.as_ref().map(payload).transpose()?,
            epoch,
            alerts,
        })
    }
}

impl Conversation {
    /// Prepares a commit. Keep what is returned with the outbox and send it; it becomes real by
    /// [`Conversation::confirm`], or when [`Conversation::process`] meets it in the log.
    ///
    /// # Errors
    /// If a commit waits already, the change cannot be, or the store fails.
    pub fn stage(
        &mut self,
        tx: &Transaction<'_>,
        rng: &mut impl CryptoRng,
        me: &LocalDevice,
        change: Change,
        now: UnixMillis,
    ) -> Result<Staged, ConversationError> {
        self.require_member()?;
        if self.has_staged() {
            return Err(ConversationError::CommitPending);
        }
        let removed = self.leaves_to_remove(&change)?;
        let (packages, update) = match change {
            Change::Add(packages) => (packages, false),
            Change::RemoveAccounts(_) | Change::RemoveDevices(_) => (Vec::new(), false),
            Change::Update => (Vec::new(), true),
        };
        if packages.len() > ADDS_PER_COMMIT_MAX {
            return Err(ConversationError::BadChange("too many devices to add by one commit"));
        }
        if packages.is_empty() && removed.is_empty() && !update {
            return Err(ConversationError::BadChange("the change changes nothing"));
        }
        self.check_added(&packages)?;
        self.attempt(tx, |this| {
            let added: Vec<_> = packages.iter().map(VerifiedKeyPackage::sender).collect();
            let alerts = members::observe(tx, &added, now)?;
            let provider = Provider::new(MlsStorage(tx), rng);
            let bundle = this
                .group
                .commit_builder()
                .propose_adds(packages.into_iter().map(VerifiedKeyPackage::into_package))
                .propose_removals(removed)
                .force_self_update(update)
                .load_psks(provider.storage())
                .map_err(ConversationError::library)?
                .create_group_info(true)
                .build(provider.rand(), provider.crypto(), me, |_| true)
                .map_err(ConversationError::library)?
                .stage_commit(&provider)
                .map_err(ConversationError::library)?;
            let staged = Staged::of(bundle, this.epoch().next(), alerts)?;
            this.record.staged = Some(chain::message_hash(staged.commit.as_slice()));
            this.record.save(tx, this.id);
            Ok(staged)
        })
    }

    fn leaves_to_remove(&self, change: &Change) -> Result<Vec<LeafNodeIndex>, ConversationError> {
        let leaves = self.roster.leaves(&self.group);
        let named = |sender: &Sender| match change {
            Change::RemoveAccounts(accounts) => accounts.contains(&sender.account),
            Change::RemoveDevices(devices) => devices.contains(&sender.device),
            Change::Add(_) | Change::Update => false,
        };
        let removed: Vec<_> = leaves.into_iter().filter(|(_, sender)| named(sender)).collect();
        let known = match change {
            Change::RemoveAccounts(accounts) => {
                accounts.iter().all(|account| removed.iter().any(|(_, sender)| sender.account == *account))
            }
            Change::RemoveDevices(devices) => {
                devices.iter().all(|device| removed.iter().any(|(_, sender)| sender.device == *device))
            }
            Change::Add(_) | Change::Update => true,
        };
        if !known {
            return Err(ConversationError::BadChange("whoever is to be removed is no member"));
        }
        if removed.iter().any(|(_, sender)| sender.device == self.record.device) {
            return Err(ConversationError::BadChange(
                "a device leaves by a signed wish, it cannot remove itself",
            ));
        }
        Ok(removed.into_iter().map(|(index, _)| index).collect())
    }

    fn check_added(&self, packages: &[VerifiedKeyPackage]) -> Result<(), ConversationError> {
        let members = self.members();
        for (place, package) in packages.iter().enumerate() {
            if package.suite() != self.suite() {
                return Err(ConversationError::BadChange("a key package is for another suite"));
            }
            let earlier = packages.iter().take(place);
            let twice = members.iter().any(|member| member.device == package.device())
                || earlier.into_iter().any(|other| other.device() == package.device());
            if twice {
                return Err(ConversationError::BadChange("a device that is to be added is a member already"));
            }
            let other_identity = |member: &Sender| {
                member.account == package.account() && member.identity_key != package.identity_key()
            };
            if members.iter().any(other_identity) {
                // Two keys for one account in one group: one of them is somebody else's.
                return Err(ConversationError::ForgedCertificate);
            }
        }
        Ok(())
    }

    /// The relay accepted the staged commit (or the join) as this entry.
    ///
    /// # Errors
    /// [`ConversationError::Gap`] unless the cursor is right before the entry: fetch and process first; the commit
    /// is then met in the log by its bytes, and this call is not needed any more. A join has no such condition.
    pub fn confirm(
        &mut self,
        tx: &Transaction<'_>,
        sequence: Sequence,
    ) -> Result<Processed, ConversationError> {
        self.absorb(tx)?;
        if !self.has_staged() {
            return Err(ConversationError::NothingStaged);
        }
        let due = self.record.cursor.next();
        if self.is_member() && sequence != due {
            return Err(ConversationError::Gap { due, got: sequence });
        }
        let outcome = self.attempt(tx, |this| this.merge_own(tx, sequence))?;
        self.absorb(tx)?;
        Ok(Processed { outcome, alerts: Vec::new() })
    }

    /// The staged commit, or the join, is in the log at this place.
    pub(super) fn merge_own(
        &mut self,
        tx: &Transaction<'_>,
        sequence: Sequence,
    ) -> Result<Outcome, ConversationError> {
        let summary = match self.record.phase {
            Phase::Joining { again } => {
                let members = self.members();
                let own: Vec<_> =
                    members.into_iter().filter(|member| member.device == self.record.device).collect();
                let (added, rejoined) =
                    if again { (Vec::new(), own.clone()) } else { (own.clone(), Vec::new()) };
                super::CommitSummary {
                    epoch: self.epoch(),
                    committer: own.first().copied(),
                    added,
                    removed: Vec::new(),
                    rejoined,
                    staged_was_cleared: false,
                }
            }
            Phase::Member => {
                let own = self.roster.at(&self.group, self.group.own_leaf_index());
                let staged = self.group.pending_commit().ok_or(ConversationError::NothingStaged)?;
                let summary = summarise(staged, &self.roster, &self.group, own, false)
                    .map_err(|_| ConversationError::library("our own commit does not pass our own checks"))?;
                let provider = Provider::reading(MlsStorage(tx));
                self.group.merge_pending_commit(&provider).map_err(ConversationError::library)?;
                summary
            }
        };
        self.record.phase = Phase::Member;
        self.record.staged = None;
        self.begin_epoch(tx, sequence)?;
        self.keep_membership(tx, &summary)?;
        self.record.save(tx, self.id);
        Ok(Outcome::OwnCommit(summary))
    }

    /// Keeps since when accounts are members, by what a commit changed.
    pub(super) fn keep_membership(
        &self,
        tx: &Transaction<'_>,
        summary: &super::CommitSummary,
    ) -> Result<(), ConversationError> {
        let members = self.members();
        for sender in &summary.added {
            if record::since(tx, self.id, sender.account)?.is_none() {
                record::keep_since(tx, self.id, sender.account, summary.epoch);
            }
        }
        for sender in &summary.removed {
            if !members.iter().any(|member| member.account == sender.account) {
                record::forget_since(tx, self.id, sender.account);
            }
        }
        Ok(())
    }

    /// The relay refused the staged commit for good. (Processing the commit that won clears it too.) A join that
    /// was refused is dropped by [`Conversation::forget`].
    ///
    /// # Errors
    /// If no commit is staged, or the store fails.
    pub fn abandon(&mut self, tx: &Transaction<'_>) -> Result<(), ConversationError> {
        self.require_member()?;
        if !self.has_staged() {
            return Err(ConversationError::NothingStaged);
        }
        self.attempt(tx, |this| {
            this.group.clear_pending_commit(&MlsStorage(tx)).map_err(ConversationError::library)?;
            this.record.staged = None;
            this.record.save(tx, this.id);
            Ok(())
        })
    }
}
