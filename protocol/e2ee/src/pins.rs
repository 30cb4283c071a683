//! Which identity key each account is known by.
//!
//! The first key that an account is seen with is taken on trust and pinned. A different one later is either a
//! person who lost all devices and the recovery key, or somebody in the middle: it is reported loudly, pinned
//! instead, and counts as unverified until people compare their safety number again.

use crate::store::{StoreError, Transaction, prefix};
use sotto_protocol::ids::{AccountId, UnixMillis};

/// The identity key of an account, as this device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The key.
    pub identity_key: [u8; 32],
    /// When it was seen first.
    pub since: UnixMillis,
    /// A person compared the safety number of exactly this key.
    pub verified: bool,
}

/// What seeing an account with a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The account was not known.
    First,
    /// The known key.
    Same,
    /// Another key than before. Loud: it goes to the person.
    Changed {
        /// The key that the account was known by.
        old: [u8; 32],
        /// Whether a person had verified that one.
        was_verified: bool,
    },
}

fn key(account: AccountId) -> Vec<u8> {
    let mut key = vec![prefix::PIN];
    key.extend_from_slice(account.as_bytes());
    key
}

fn write(tx: &Transaction<'_>, account: AccountId, pin: &Pin) {
    let mut value = pin.identity_key.to_vec();
    value.extend_from_slice(&pin.since.0.to_be_bytes());
    value.push(u8::from(pin.verified));
    tx.put(key(account), value);
}

/// The pinned key of an account.
///
/// # Errors
/// If the store fails or the row is damaged.
pub fn get(tx: &Transaction<'_>, account: AccountId) -> Result<Option<Pin>, StoreError> {
    let Some(value) = tx.get(&key(account))? else {
        return Ok(None);
    };
    let pin = value.split_first_chunk::<32>().and_then(|(identity_key, rest)| {
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let verified = matches!(rest, [1]);
        let since = UnixMillis(u64::from_be_bytes(*since));
        Some(Pin { identity_key: *identity_key, since, verified })
    });
    pin.map(Some).ok_or_else(|| StoreError::Damaged(format!("the pinned identity key of account {account}")))
}

/// An account was seen with a key that its certificate proves; pins it if it is new.
///
/// # Errors
/// If the store fails.
pub fn observe(
    tx: &Transaction<'_>,
    account: AccountId,
    identity_key: &[u8; 32],
    now: UnixMillis,
) -> Result<Seen, StoreError> {
    let seen = match get(tx, account)? {
        Some(pin) if pin.identity_key == *identity_key => return Ok(Seen::Same),
        Some(pin) => Seen::Changed { old: pin.identity_key, was_verified: pin.verified },
        None => Seen::First,
    };
    write(tx, account, &Pin { identity_key: *identity_key, since: now, verified: false });
    Ok(seen)
}

/// A person verified this key of the account. `false`, and nothing is changed, if it is not the pinned one.
///
/// # Errors
/// If the store fails.
pub fn verify(tx: &Transaction<'_>, account: AccountId, identity_key: &[u8; 32]) -> Result<bool, StoreError> {
    match get(tx, account)? {
        Some(pin) if pin.identity_key == *identity_key => {
            write(tx, account, &Pin { verified: true, ..pin });
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn a_changed_key_is_told_and_loses_its_verification() {
        let store = MemoryStore::new();
        let tx = Transaction::new(&store);
        let account = AccountId([1; 16]);
        let observe = |key: u8| observe(&tx, account, &[key; 32], UnixMillis(5)).expect("memory");
        assert_eq!(observe(1), Seen::First);
        assert_eq!(observe(1), Seen::Same);
        assert!(!verify(&tx, account, &[2; 32]).expect("memory"), "not the pinned key");
        assert!(verify(&tx, account, &[1; 32]).expect("memory"));
        assert_eq!(observe(1), Seen::Same);
        assert_eq!(observe(2), Seen::Changed { old: [1; 32], was_verified: true });
        let pin = get(&tx, account).expect("memory").expect("pinned");
        assert_eq!(pin, Pin { identity_key: [2; 32], since: UnixMillis(5), verified: false });
    }
}
