//! Archive keys: one for each epoch, kept, handed on as the history policy allows, and used to read.
//!
//! | policy | kept by a member | given to another device of the account | given to another account |
//! |---|---|---|---|
//! | none | nothing | nothing | nothing |
//! | since joining | from its own joining on | all that is kept | from that account's joining on |
//! | all | all | all that is kept | all that is kept |
//!
//! A key that this device derived itself is certain. One that somebody else gave may be wrong, so several are kept
//! side by side and each is tried: a wrong key opens nothing, it cannot hide the right one.

use crate::content;
use crate::pins;
use crate::seal::{self, Place, Purpose, SealError, Verified};
use crate::store::{Scan, StoreError, Transaction, prefix};
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::log::ArchiveEntry;
use sotto_protocol::ids::{ConversationId, Epoch};
use zeroize::Zeroizing;

/// Keys that were given for one epoch and may or may not be right.
const CANDIDATES_MAX: usize = 4;

/// The archive key of one epoch. No `Debug`; wiped when dropped.
#[derive(Clone)]
pub struct ArchiveKey {
    /// The conversation.
    pub conversation: ConversationId,
    /// The epoch.
    pub epoch: Epoch,
    /// The key.
    pub secret: Zeroizing<[u8; 32]>,
}

/// Why an archive copy cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy is refused, or its key is not at hand.
    #[error(transparent)]
    Seal(#[from] SealError),
}

fn key(conversation: ConversationId, epoch: Epoch) -> Vec<u8> {
    prefix::key(prefix::ARCHIVE_KEY, conversation, &epoch.0.to_be_bytes())
}

fn secrets(value: &[u8]) -> impl Iterator<Item = Zeroizing<[u8; 32]>> {
    value.chunks_exact(32).filter_map(|chunk| <[u8; 32]>::try_from(chunk).ok().map(Zeroizing::new))
}

/// Keeps a key that this device derived from the group: it replaces whatever others gave.
pub(crate) fn keep_derived(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    epoch: Epoch,
    secret: &[u8; 32],
) {
    tx.put(key(conversation, epoch), *secret);
}

/// Keeps a key that somebody gave. Whether it was new.
pub(crate) fn keep_given(tx: &Transaction<'_>, given: &ArchiveKey) -> Result<bool, StoreError> {
    let row = key(given.conversation, given.epoch);
    let mut value = tx.get(&row)?.unwrap_or_default();
    if value.len() >= 32 * CANDIDATES_MAX || secrets(&value).any(|known| known == given.secret) {
        return Ok(false);
    }
    value.extend_from_slice(&*given.secret);
    tx.put(row, std::mem::take(&mut *value));
    Ok(true)
}

/// Opens one archive copy with the key of its epoch.
///
/// # Errors
/// If no key of the epoch is at hand, the copy does not verify, or the store fails.
pub fn open(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    entry: &ArchiveEntry,
) -> Result<Verified, OpenError> {
    let candidates = tx.get(&key(conversation, entry.epoch))?.ok_or(SealError::NoKey)?;
    let place = Place {
        purpose: Purpose::Archive,
        conversation,
        epoch: entry.epoch,
        account: entry.account,
        device: entry.device,
        number: entry.number,
    };
    let mut refusal = SealError::NoKey;
    for secret in secrets(&candidates) {
        match seal::open(&secret, &place, entry.sealed.as_slice()) {
            Ok((sender, padded)) => {
                let (head, content) = content::decode(&padded).map_err(|_| SealError::Malformed)?;
                if head.number != entry.number {
                    return Err(SealError::Malformed.into());
                }
                let pin = pins::get(tx, sender.account)?;
                let identity_differs = pin.is_some_and(|pin| pin.identity_key != sender.identity_key);
                return Ok(Verified { sender, head, content, identity_differs });
            }
            Err(error) => refusal = error,
        }
    }
    Err(refusal.into())
}

/// The epochs of which a key is at hand, ascending.
///
/// # Errors
/// If the store fails.
pub fn epochs(tx: &Transaction<'_>, conversation: ConversationId) -> Result<Vec<Epoch>, StoreError> {
    let rows = tx.scan(&Scan::prefix(prefix::key(prefix::ARCHIVE_KEY, conversation, &[])))?;
    Ok(rows.iter().filter_map(|row| prefix::number(&row.key)).map(Epoch).collect())
}

/// The keys of a run of epochs, at most `limit`.
pub(crate) fn range(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    from: Epoch,
    until: Epoch,
    limit: usize,
) -> Result<Vec<ArchiveKey>, StoreError> {
    let mut scan = Scan::prefix(prefix::key(prefix::ARCHIVE_KEY, conversation, &[])).limit(limit);
    if let Some(before) = from.0.checked_sub(1) {
        scan = scan.after(key(conversation, Epoch(before)));
    }
    if let Some(after) = until.0.checked_add(1) {
        scan = scan.before(key(conversation, Epoch(after)));
    }
    Ok(tx.scan(&scan)?.iter().flat_map(|row| read_row(&row.key, &row.value)).collect())
}

/// Every key, for the vault.
///
/// # Errors
/// If the store fails.
pub fn export_all(tx: &Transaction<'_>) -> Result<Vec<ArchiveKey>, StoreError> {
    let rows = tx.scan(&Scan::prefix([prefix::ARCHIVE_KEY]))?;
    Ok(rows.iter().flat_map(|row| read_row(&row.key, &row.value)).collect())
}

/// Takes keys from the account's vault. Whether any was new.
///
/// # Errors
/// If the store fails.
pub fn import(tx: &Transaction<'_>, keys: &[ArchiveKey]) -> Result<bool, StoreError> {
    let mut new = false;
    for key in keys {
        new |= keep_given(tx, key)?;
    }
    Ok(new)
}

/// Forgets the keys of a conversation, when a person deletes it from this device.
///
/// # Errors
/// If the store fails.
pub fn forget(tx: &Transaction<'_>, conversation: ConversationId) -> Result<(), StoreError> {
    tx.delete_prefix(&prefix::key(prefix::ARCHIVE_KEY, conversation, &[]))
}

/// The first epoch whose key another device may have; `None` if none.
pub(crate) fn first_epoch_for(policy: HistoryPolicy, same_account: bool, since: Epoch) -> Option<Epoch> {
    match (policy, same_account) {
        (HistoryPolicy::None, _) => None,
        (HistoryPolicy::SinceJoining, false) => Some(since),
        (HistoryPolicy::SinceJoining, true) | (HistoryPolicy::All, _) => Some(Epoch(0)),
    }
}

fn read_row(row: &[u8], value: &[u8]) -> Vec<ArchiveKey> {
    let place = row.get(1..17).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).zip(prefix::number(row));
    let Some((conversation, epoch)) = place else {
        return Vec::new();
    };
    let key = |secret| ArchiveKey { conversation: ConversationId(conversation), epoch: Epoch(epoch), secret };
    secrets(value).map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const CONVERSATION: ConversationId = ConversationId([1; 16]);

    fn archive_key(epoch: u64, byte: u8) -> ArchiveKey {
        ArchiveKey { conversation: CONVERSATION, epoch: Epoch(epoch), secret: Zeroizing::new([byte; 32]) }
    }

    fn found(keys: &[ArchiveKey]) -> Vec<(u64, u8)> {
        keys.iter().map(|key| (key.epoch.0, key.secret[0])).collect()
    }

    #[test]
    fn a_wrong_key_stands_beside_the_right_one_and_a_derived_key_replaces_both() {
        let store = MemoryStore::new();
        let tx = Transaction::new(&store);
        let range = |from, until| range(&tx, CONVERSATION, Epoch(from), Epoch(until), 100).expect("memory");
        assert!(import(&tx, &[archive_key(3, 1)]).expect("memory"));
        assert!(!import(&tx, &[archive_key(3, 1)]).expect("memory"));
        assert!(import(&tx, &[archive_key(3, 2), archive_key(7, 9)]).expect("memory"));
        assert_eq!(found(&range(0, u64::MAX)), [(3, 1), (3, 2), (7, 9)]);
        assert_eq!(found(&range(4, 7)), [(7, 9)]);
        assert_eq!(found(&range(0, 6)), [(3, 1), (3, 2)]);
        keep_derived(&tx, CONVERSATION, Epoch(3), &[5; 32]);
        assert_eq!(found(&export_all(&tx).expect("memory")), [(3, 5), (7, 9)]);
        assert_eq!(epochs(&tx, CONVERSATION).expect("memory"), [Epoch(3), Epoch(7)]);
        forget(&tx, CONVERSATION).expect("memory");
        assert!(export_all(&tx).expect("memory").is_empty());
    }

    #[test]
    fn the_policy_decides_who_may_have_which_keys() {
        let since = Epoch(5);
        for (policy, own, other) in [
            (HistoryPolicy::None, None, None),
            (HistoryPolicy::SinceJoining, Some(Epoch(0)), Some(since)),
            (HistoryPolicy::All, Some(Epoch(0)), Some(Epoch(0))),
        ] {
            assert_eq!(first_epoch_for(policy, true, since), own, "{policy:?}");
            assert_eq!(first_epoch_for(policy, false, since), other, "{policy:?}");
        }
    }
}
