//! A conversation: one MLS group with one leaf for each device, a place in the relay's log, and its archive keys.
//!
//! ```text
//!            create ─┐                      stage ─► confirm (the relay accepted it, or its bytes are in the log)
//!      join_welcome ─┼─► member ─► encrypt    └────► cleared by another commit, or abandon
//!     join_external ─┘      └────► process: one entry of the log after the other
//!        (then confirm)
//! ```
//!
//! Every operation takes the [`Transaction`] that it writes into. Commit its batch together with the frame that is
//! to be sent (or with what was received), so that neither exists without the other. If the transaction is dropped
//! instead, the `Conversation` in memory is ahead of the store: drop it too and [`Conversation::load`] it again.
//!
//! An operation that fails has changed nothing, neither in the transaction nor in memory.
//!
//! The checks of an entry, each with its [`Reason`], are in [`Conversation::process`].

mod chain;
mod change;
mod join;
mod media;
mod members;
mod process;
mod record;
mod requests;
mod send;
#[cfg(test)]
mod tests;

pub use crate::mls::Suite;
pub use crate::seal::Sender;
pub use change::{Change, Staged};
pub use join::Genesis;
pub use media::MediaKey;
pub use process::{Alert, CommitSummary, Outcome, Processed, Reason, check_head};
pub use requests::ResentContent;
pub use send::Encrypted;

use crate::content::ContentError;
use crate::mls::group_id;
use crate::seal::Purpose;
use crate::store::{CodecError, MlsStorage, StoreError, Transaction, prefix};
use members::Roster;
use openmls::prelude::MlsGroup;
use record::{Phase, Record};
use sotto_mls::provider::MlsCrypto;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::{AccountId, ConversationId, Epoch, Sequence};
use std::fmt::Display;
use zeroize::Zeroizing;

/// One conversation, as this device takes part in it.
pub struct Conversation {
    id: ConversationId,
    group: MlsGroup,
    record: Record,
    roster: Roster,
}

/// Why an operation on a conversation failed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConversationError {
    /// The local store failed, or a row of it is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored state of the group is damaged: [`Conversation::forget`] it and join again.
    #[error("the stored state of conversation {0} is damaged")]
    Damaged(ConversationId),
    /// An entry came before the ones in between. The caller is to blame.
    #[error("entry {got} came where {due} was due")]
    Gap {
        /// The entry that is due.
        due: Sequence,
        /// The one that came.
        got: Sequence,
    },
    /// This device is no member, or not yet.
    #[error("this device is not a member of the conversation")]
    NotMember,
    /// One commit at a time: confirm or abandon the one that waits.
    #[error("a commit waits for the relay's answer")]
    CommitPending,
    /// There is no commit to confirm.
    #[error("no commit waits for the relay's answer")]
    NothingStaged,
    /// The change asks for what cannot be: nobody added, an unknown member removed, oneself removed.
    #[error("{0}")]
    BadChange(&'static str),
    /// The content cannot be written.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// What the relay gave to join with does not verify. The relay, or whoever made it, is to blame.
    #[error("the group to join does not verify: {0}")]
    GroupInvalid(String),
    /// A leaf of the group shows a certificate that is forged, or that another leaf contradicts.
    #[error("the group to join has a member with a forged certificate")]
    ForgedCertificate,
    /// No key package of this device fits the Welcome: it was used already, has expired, or is of another device.
    #[error("the Welcome is for no key package of this device")]
    NoKeyPackage,
    /// The library refused what it should not, which is a bug.
    #[error("MLS: {0}")]
    Library(String),
}

impl ConversationError {
    fn library(error: impl Display) -> Self {
        Self::Library(error.to_string())
    }

    fn invalid(error: impl Display) -> Self {
        Self::GroupInvalid(error.to_string())
    }
}

impl Conversation {
    /// Reads a conversation from the store; `None` if there is none.
    ///
    /// # Errors
    /// If the store fails, or the state is damaged.
    pub fn load(tx: &Transaction<'_>, id: ConversationId) -> Result<Option<Self>, ConversationError> {
        let Some(record) = Record::load(tx, id)? else {
            return Ok(None);
        };
        let group = load_group(tx, id)?;
        Ok(Some(Self { id, group, record, roster: Roster::default() }))
    }

    /// Deletes everything of a conversation except its archive keys: it was left, or its state is damaged.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget(tx: &Transaction<'_>, id: ConversationId) -> Result<(), ConversationError> {
        forget_group(tx, id)?;
        Record::delete(tx, id);
        for prefix in [prefix::SENT, prefix::PLACED, prefix::NUMBER, prefix::REQUEST, prefix::SINCE] {
            tx.delete_prefix(&prefix::key(prefix, id, &[]))?;
        }
        Ok(())
    }

    /// The conversation's id, which is also the group's.
    #[must_use]
    pub const fn id(&self) -> ConversationId {
        self.id
    }

    /// The current epoch; while joining, the one that the join begins.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.group.epoch().as_u64())
    }

    /// The cipher suite.
    ///
    /// # Panics
    /// Never: a group of another suite is neither created nor joined.
    #[must_use]
    pub fn suite(&self) -> Suite {
        Suite::try_from(self.group.ciphersuite())
            .expect("a group of another suite is neither created nor joined")
    }

    /// Who may read the past, as it was when this device joined.
    #[must_use]
    pub const fn history(&self) -> HistoryPolicy {
        self.record.history
    }

    /// The last entry that was processed.
    #[must_use]
    pub const fn cursor(&self) -> Sequence {
        self.record.cursor
    }

    /// A secret that is equal for all members of one epoch and for nobody else.
    #[must_use]
    pub fn epoch_authenticator(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.group.epoch_authenticator().as_slice().to_vec())
    }

    /// Every device in the conversation, by its checked certificate.
    #[must_use]
    pub fn members(&self) -> Vec<Sender> {
        self.roster.all(&self.group)
    }

    /// The epoch since which an account is a member, as far as this device knows.
    ///
    /// # Errors
    /// If the store fails.
    pub fn member_since(
        &self,
        tx: &Transaction<'_>,
        account: AccountId,
    ) -> Result<Option<Epoch>, StoreError> {
        record::since(tx, self.id, account)
    }

    /// `false` while a join by external commit waits for the relay, and after this device was removed.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.record.phase == Phase::Member && self.group.is_active()
    }

    /// Whether a commit (or a join) waits for the relay's answer.
    #[must_use]
    pub const fn has_staged(&self) -> bool {
        self.record.staged.is_some()
    }

    fn require_member(&self) -> Result<(), ConversationError> {
        if self.is_member() { Ok(()) } else { Err(ConversationError::NotMember) }
    }

    /// Runs an operation that leaves no trace if it fails, neither in the transaction nor here.
    fn attempt<T, E: From<ConversationError>>(
        &mut self,
        tx: &Transaction<'_>,
        operation: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let record = self.record.clone();
        let result = tx.nested(|| operation(self));
        if result.is_err() {
            self.record = record;
            self.group = load_group(tx, self.id)?;
        }
        result
    }

    /// A secret of the current epoch for one purpose.
    fn export(&self, purpose: Purpose) -> Result<Zeroizing<[u8; 32]>, ConversationError> {
        let secret = self
            .group
            .export_secret(&MlsCrypto, purpose.label(), self.id.as_bytes(), 32)
            .map(Zeroizing::new)
            .map_err(ConversationError::library)?;
        let secret = <[u8; 32]>::try_from(secret.as_slice()).map(Zeroizing::new);
        secret.map_err(|_| ConversationError::Library("an exported secret has another length".into()))
    }

    /// The group is in a new epoch since this entry: the chain begins anew, and there is another archive key.
    fn begin_epoch(&mut self, tx: &Transaction<'_>, start: Sequence) -> Result<(), ConversationError> {
        chain::forget(tx, self.id)?;
        self.record.epoch_start = start;
        self.record.cursor = start;
        self.record.chain =
            chain::begin(self.id, self.epoch(), self.group.epoch_authenticator().as_slice(), start);
        chain::keep(tx, self.id, start, &self.record.chain);
        if self.record.history != HistoryPolicy::None {
            let secret = self.export(Purpose::Archive)?;
            crate::archive_keys::keep_derived(tx, self.id, self.epoch(), &secret);
        }
        Ok(())
    }
}

/// Reads the group; it has to be there.
fn load_group(tx: &Transaction<'_>, id: ConversationId) -> Result<MlsGroup, ConversationError> {
    match MlsGroup::load(&MlsStorage(tx), &group_id(id)) {
        Ok(Some(group)) => Ok(group),
        Ok(None) | Err(CodecError::Decode(_) | CodecError::Encode(_)) => Err(ConversationError::Damaged(id)),
        Err(CodecError::Store(error)) => Err(error.into()),
    }
}

/// Deletes the group's rows, even if they are damaged, and the chain of its epoch.
fn forget_group(tx: &Transaction<'_>, id: ConversationId) -> Result<(), ConversationError> {
    MlsStorage(tx).forget_group(&group_id(id)).map_err(|error| match error {
        CodecError::Store(error) => error.into(),
        other => ConversationError::library(other),
    })?;
    // Who joins again counts everybody's numbers from there: what was missed in between was not withheld.
    tx.delete_prefix(&prefix::key(prefix::NUMBER, id, &[]))?;
    Ok(chain::forget(tx, id)?)
}
