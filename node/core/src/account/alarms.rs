//! Accounts whose identity key changed after a person had verified it: kept until the person verifies again,
//! so that a warning that scrolled away still stops the next message.

use crate::client::SHELL_PREFIX;
use sotto_e2ee::store::{Batch, Scan, Store, StoreError};
use sotto_protocol::ids::AccountId;
use zeroize::Zeroizing;

const PREFIX: [u8; 2] = [SHELL_PREFIX, b'i'];

fn key(account: AccountId) -> Vec<u8> {
    [PREFIX.as_slice(), account.as_bytes()].concat()
}

/// Notes that an account has to be verified again.
///
/// # Errors
/// If the store fails.
pub fn raise(store: &mut impl Store, account: AccountId) -> Result<(), StoreError> {
    store.commit(Batch { changes: [(key(account), Some(Zeroizing::new(vec![1])))].into() })
}

/// It was verified again.
///
/// # Errors
/// If the store fails.
pub fn clear(store: &mut impl Store, account: AccountId) -> Result<(), StoreError> {
    store.commit(Batch { changes: [(key(account), None)].into() })
}

/// Every account that has to be.
///
/// # Errors
/// If the store fails.
pub fn all(store: &impl Store) -> Result<Vec<AccountId>, StoreError> {
    let rows = store.scan(&Scan::prefix(PREFIX))?;
    let account = |key: &[u8]| key.strip_prefix(&PREFIX)?.try_into().ok().map(AccountId);
    Ok(rows.iter().filter_map(|row| account(&row.key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_e2ee::store::MemoryStore;

    #[test]
    fn an_alarm_stays_until_it_is_cleared() {
        let mut store = MemoryStore::new();
        raise(&mut store, AccountId([1; 16])).expect("kept");
        raise(&mut store, AccountId([2; 16])).expect("kept");
        clear(&mut store, AccountId([1; 16])).expect("kept");
        assert_eq!(all(&store), Ok(vec![AccountId([2; 16])]));
    }
}
