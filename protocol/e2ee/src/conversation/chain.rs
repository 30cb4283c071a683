//! The hash over the log by which members notice that a relay shows them different ones.
//!
//! It begins anew with each epoch, from a secret that only members derive, and takes in every entry. Each content
//! carries its sender's last place and hash; a receiver that has another hash for the same place was shown another
//! log than the sender. Only what a relay decides (places, order, labels) goes in beside the message itself.

use crate::store::{StoreError, Transaction, prefix};
use sha2::{Digest as _, Sha256};
use sotto_protocol::body::log::Entry;
use sotto_protocol::ids::{ConversationId, DeviceId, Epoch, MessageNumber, Sequence};

/// Places of the current epoch whose hash is kept: a sender that is further behind cannot be compared.
pub(crate) const KEPT: u64 = 4_096;

/// The hash of a message, as it goes into the chain.
pub(crate) fn message_hash(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// The hash at the entry that began an epoch.
pub(crate) fn begin(
    conversation: ConversationId,
    epoch: Epoch,
    authenticator: &[u8],
    start: Sequence,
) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"sotto log v1")
        .chain_update(conversation.as_bytes())
        .chain_update(epoch.0.to_be_bytes())
        .chain_update(start.0.to_be_bytes())
        .chain_update(authenticator)
        .finalize()
        .into()
}

/// The hash at the next entry.
pub(crate) fn extend(
    chain: &[u8; 32],
    sequence: Sequence,
    device: DeviceId,
    number: MessageNumber,
    message_hash: &[u8; 32],
) -> [u8; 32] {
    Sha256::new()
        .chain_update(chain)
        .chain_update(sequence.0.to_be_bytes())
        .chain_update(device.as_bytes())
        .chain_update(number.0.to_be_bytes())
        .chain_update(message_hash)
        .finalize()
        .into()
}

/// [`extend`] by an entry as the relay gave it.
pub(crate) fn extend_by(chain: &[u8; 32], entry: &Entry) -> [u8; 32] {
    extend(chain, entry.sequence, entry.device, entry.number, &message_hash(entry.message.as_slice()))
}

fn key(conversation: ConversationId, sequence: Sequence) -> Vec<u8> {
    prefix::key(prefix::CHAIN, conversation, &sequence.0.to_be_bytes())
}

/// Keeps the hash at a place, and forgets the one that is too old.
pub(crate) fn keep(tx: &Transaction<'_>, conversation: ConversationId, sequence: Sequence, chain: &[u8; 32]) {
    tx.put(key(conversation, sequence), *chain);
    if let Some(old) = sequence.0.checked_sub(KEPT) {
        tx.delete(key(conversation, Sequence(old)));
    }
}

/// The hash at a place, if it is kept.
pub(crate) fn at(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    sequence: Sequence,
) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(value) = tx.get(&key(conversation, sequence))? else {
        return Ok(None);
    };
    let chain = value.as_slice().try_into();
    chain.map(Some).map_err(|_| StoreError::Damaged("the hash over a conversation's log".into()))
}

/// Forgets all places.
pub(crate) fn forget(tx: &Transaction<'_>, conversation: ConversationId) -> Result<(), StoreError> {
    tx.delete_prefix(&prefix::key(prefix::CHAIN, conversation, &[]))
}
