//! What a person is writing and has not sent: kept in the store, sealed like everything else, until it is sent or
//! taken back.

use crate::client::SHELL_PREFIX;
use sotto_e2ee::store::{Batch, Scan, Store, StoreError};
use sotto_protocol::ids::ConversationId;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const PREFIX: [u8; 2] = [SHELL_PREFIX, b'd'];

/// Keeps a draft; an empty one is removed.
///
/// # Errors
/// If the store fails.
pub fn keep(store: &mut impl Store, of: ConversationId, text: &str) -> Result<(), StoreError> {
    let key = [PREFIX.as_slice(), of.as_bytes()].concat();
    let value = (!text.is_empty()).then(|| Zeroizing::new(text.as_bytes().to_vec()));
    store.commit(Batch { changes: [(key, value)].into() })
}

/// The draft of one conversation.
///
/// # Errors
/// If the store fails.
pub fn one(store: &impl Store, of: ConversationId) -> Result<Option<String>, StoreError> {
    let value = store.get(&[PREFIX.as_slice(), of.as_bytes()].concat())?;
    Ok(value.and_then(|value| String::from_utf8(value.to_vec()).ok()))
}

/// Every draft.
///
/// # Errors
/// If the store fails.
pub fn all(store: &impl Store) -> Result<BTreeMap<ConversationId, String>, StoreError> {
    let rows = store.scan(&Scan::prefix(PREFIX))?;
    let draft = |key: &[u8], value: &[u8]| {
        let id = key.strip_prefix(&PREFIX)?.try_into().ok().map(ConversationId)?;
        Some((id, String::from_utf8(value.to_vec()).ok()?))
    };
    Ok(rows.iter().filter_map(|row| draft(&row.key, &row.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_e2ee::store::MemoryStore;

    #[test]
    fn a_draft_is_kept_until_it_is_emptied() {
        let mut store = MemoryStore::new();
        let (first, other) = (ConversationId([1; 16]), ConversationId([2; 16]));
        keep(&mut store, first, "half a sent").expect("kept");
        keep(&mut store, other, "gone").expect("kept");
        keep(&mut store, other, "").expect("removed");
        assert_eq!(all(&store), Ok(BTreeMap::from([(first, "half a sent".to_owned())])));
        assert_eq!(one(&store, first), Ok(Some("half a sent".to_owned())));
        assert_eq!(one(&store, other), Ok(None));
    }
}
