//! Archive keys: one for each epoch, kept and handed on as the history policy allows.
use crate::content::{Content, Head};
use crate::conversation::Sender;
use crate::identity::LocalDevice;
use crate::seal::{SealError, Verified};
use crate::store::{StoreError, Transaction};
use sotto_protocol::body::log::ArchiveEntry;
use sotto_protocol::ids::{ConversationId, Epoch};
use zeroize::Zeroizing;

/// Opens one archive copy with the key of its epoch.
pub fn open(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    entry: &ArchiveEntry,
) -> Result<Verified, OpenError> {
    unimplemented!()
}
/// The epochs whose keys are at hand.
pub fn epochs(tx: &Transaction<'_>, conversation: ConversationId) -> Result<Vec<Epoch>, StoreError> {
    unimplemented!()
}
/// Everything, for the vault.
pub fn export_all(
    tx: &Transaction<'_>,
) -> Result<Vec<(ConversationId, Epoch, Zeroizing<[u8; 32]>)>, StoreError> {
    unimplemented!()
}
/// From the vault.
pub fn import(tx: &Transaction<'_>, keys: &[(ConversationId, Epoch, Zeroizing<[u8; 32]>)]) {
    unimplemented!()
}
/// Forgets a conversation's keys (the device left it).
pub fn forget(tx: &Transaction<'_>, conversation: ConversationId) -> Result<(), StoreError> {
    unimplemented!()
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}
